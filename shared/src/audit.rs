//! The audit trail's vocabulary. `docs/AUDIT.md` tells the model,
//! `docs/AUDIT_EVENTS.md` is made from what stands here.
//!
//! A success is recorded by `app.audit(object)` or `app.audit(object, details)`
//! inside the write's own statement, or by
//! [`crate::db::Transaction::commit_recorded`] where the details are known once
//! it is done: it commits with the change or not at all. A refusal has no
//! transaction to stand in; [`crate::refusal`] appends it by itself.
//!
//! A new action is a line here and, as the compiler will say, one in
//! `audit/catalogue.rs`.

mod catalogue;
mod details;
mod link;
pub mod record;
mod words;

pub use catalogue::{Effect, Entry, Object};
pub use details::{Detail, Details, DetailsKind, given};
pub use link::Link;
pub use record::Record;
pub use words::{LogoutScope, ProviderField, TodoField, UserField};

use serde::Deserialize;

macro_rules! actions {
    ($($variant:ident = $name:literal;)*) => {
        /// What a route does, as the audit trail names it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
        #[serde(try_from = "String")]
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

impl TryFrom<String> for Action {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::ALL.iter().copied().find(|action| action.as_str() == name).ok_or("must be an action of the catalogue")
    }
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
    TenantsCreate = "tenants.create";
    TenantsSuspend = "tenants.suspend";
    TenantsResume = "tenants.resume";
    TenantsDelete = "tenants.delete";
    TenantsPurge = "tenants.purge";
    IdentityProvidersList = "identity_providers.list";
    IdentityProvidersCreate = "identity_providers.create";
    IdentityProvidersRead = "identity_providers.read";
    IdentityProvidersUpdate = "identity_providers.update";
    IdentityProvidersDelete = "identity_providers.delete";
    IdentityProvidersTest = "identity_providers.test";
    UsersList = "users.list";
    UsersCreate = "users.create";
    UsersRead = "users.read";
    UsersUpdate = "users.update";
    UsersDelete = "users.delete";
    UsersDeactivate = "users.deactivate";
    UsersActivate = "users.activate";
    AuditEvents = "audit.events";
    AuditVerify = "audit.verify";
    AuditExport = "audit.export";
    AuditCheckpoints = "audit.checkpoints";
    TodosList = "todos.list";
    TodosCreate = "todos.create";
    TodosRead = "todos.read";
    TodosUpdate = "todos.update";
    TodosDelete = "todos.delete";
}
