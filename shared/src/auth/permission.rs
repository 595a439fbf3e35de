//! Roles and permissions: the one table.

use serde::{Deserialize, Serialize};

/// A user's role in its tenant, lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", try_from = "String")]
pub enum Role {
    /// Reads what is shared, and keeps todos of its own.
    Viewer,
    /// Works on the shared records.
    Analyst,
    /// Runs the organization.
    Admin,
}

macro_rules! permissions {
    ($($variant:ident = $name:literal, from $role:ident;)*) => {
        /// What a route may ask of its caller, as `resource:action`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
        pub enum Permission {
            $(#[doc = concat!("`", $name, "`: from ", stringify!($role), " upwards.")]
              #[serde(rename = $name)]
              $variant,)*
        }

        impl Permission {
            /// Every permission.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The lowest role that has it.
            #[must_use]
            pub const fn lowest_role(self) -> Role {
                match self { $(Self::$variant => Role::$role),* }
            }
        }
    };
}

permissions! {
    TenantWrite = "tenant:write", from Admin;
    IdentityProvidersRead = "identity_providers:read", from Admin;
    IdentityProvidersWrite = "identity_providers:write", from Admin;
    UsersRead = "users:read", from Admin;
    UsersWrite = "users:write", from Admin;
    AuditRead = "audit:read", from Admin;
    TodosRead = "todos:read", from Viewer;
    TodosWrite = "todos:write", from Viewer;
}

impl Role {
    /// Every role, lowest first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Analyst, Self::Admin];

    /// Its name in tokens and rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Analyst => "analyst",
            Self::Admin => "admin",
        }
    }

    /// Whether it has `permission`.
    #[must_use]
    pub fn may(self, permission: Permission) -> bool {
        self >= permission.lowest_role()
    }

    /// All its permissions.
    pub fn permissions(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |permission| self.may(*permission))
    }
}

impl TryFrom<String> for Role {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::try_from(&*name).map_err(|()| "must be viewer, analyst or admin")
    }
}

impl TryFrom<&str> for Role {
    type Error = ();

    fn try_from(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|role| role.as_str() == name).ok_or(())
    }
}
