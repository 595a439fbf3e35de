//! The audit trail's vocabulary.
//!
//! A success is recorded by `app.audit(object)` inside the write's own
//! statement: it commits with the change or not at all. A refusal has no
//! transaction to stand in; [`crate::refusal`] appends it by itself.

macro_rules! actions {
    ($($variant:ident = $name:literal;)*) => {
        /// What a route does, as the audit trail names it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Action {
            $(#[doc = concat!("`", $name, "`.")] $variant,)*
        }

        impl Action {
            /// Every action.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name in the trail.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

actions! {
    HealthRead = "health.read";
    AuthSignup = "auth.signup";
    AuthLogin = "auth.login";
    AuthRefresh = "auth.refresh";
    AuthLogout = "auth.logout";
    AuthMe = "auth.me";
    AuthPassword = "auth.password";
    AuthSessionsList = "auth.sessions.list";
    AuthSessionsDelete = "auth.sessions.delete";
    AuthIntrospect = "auth.introspect";
    AuthRevoke = "auth.revoke";
    AuthOidcStart = "auth.oidc.start";
    AuthOidcLogin = "auth.oidc.login";
    AuthOidcLogout = "auth.oidc.logout";
    AuthJwks = "auth.jwks";
    AuthDiscovery = "auth.discovery";
    TenantsRead = "tenants.read";
    TenantsUpdate = "tenants.update";
    IdentityProvidersList = "identity_providers.list";
    IdentityProvidersCreate = "identity_providers.create";
    IdentityProvidersRead = "identity_providers.read";
    IdentityProvidersUpdate = "identity_providers.update";
    IdentityProvidersDelete = "identity_providers.delete";
    IdentityProvidersTest = "identity_providers.test";
    TodosList = "todos.list";
    TodosCreate = "todos.create";
    TodosRead = "todos.read";
    TodosUpdate = "todos.update";
    TodosDelete = "todos.delete";
}
