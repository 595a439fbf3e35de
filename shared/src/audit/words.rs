//! The words that a record's details may say: each is one of a closed list.

use serde::Serialize;

use super::Detail;

macro_rules! words {
    ($($(#[doc = $doc:literal])+ $name:ident { $($variant:ident = $word:literal,)* })*) => {
        $(
            $(#[doc = $doc])+
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
            pub enum $name {
                $(#[doc = concat!("`", $word, "`.")] #[serde(rename = $word)] $variant,)*
            }

            impl Detail for $name {
                fn form() -> String {
                    [$(concat!("`", $word, "`")),*].join(", ")
                }
            }
        )*
    };
}

words! {
    /// Which sessions a sign-out ended.
    LogoutScope {
        Local = "local",
        Others = "others",
        Global = "global",
    }

    /// A field of an identity provider.
    ProviderField {
        Name = "name",
        Issuer = "issuer",
        Audiences = "audiences",
        ClientId = "client_id",
        ClientSecret = "client_secret",
        TenantClaim = "tenant_claim",
        RoleClaim = "role_claim",
        RoleMap = "role_map",
        DefaultRole = "default_role",
        JitProvisioning = "jit_provisioning",
        AllowedAlgorithms = "allowed_algorithms",
        Status = "status",
    }

    /// A field of a todo.
    TodoField {
        Title = "title",
        Notes = "notes",
        Completed = "completed",
        DueAt = "due_at",
    }

    /// A field of a user.
    UserField {
        Email = "email",
        DisplayName = "display_name",
        Role = "role",
        Status = "status",
        Password = "password",
    }
}
