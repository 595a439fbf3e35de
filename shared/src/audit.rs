//! The audit trail's vocabulary, and the record of a refusal.
//!
//! A success is recorded by `app.audit(object)` inside the write's own
//! statement: it commits with the change or not at all. A refusal has no
//! transaction to stand in, so [`crate::access`] appends it by itself.

use uuid::Uuid;

use crate::{auth::Identity, db::Db, error::Code, layers::Origin};

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
    TodosList = "todos.list";
    TodosCreate = "todos.create";
    TodosRead = "todos.read";
    TodosUpdate = "todos.update";
    TodosDelete = "todos.delete";
}

/// A refused or failed act, to be recorded by itself.
#[derive(Debug, Clone)]
pub struct Refusal<'a> {
    /// What was attempted.
    pub action: Action,
    /// Why it was refused.
    pub reason: Code,
    /// By whom, as far as is known.
    pub identity: &'a Identity,
    /// On what, if on one thing.
    pub object: Option<Uuid>,
    /// From where.
    pub origin: &'a Origin,
}

impl Refusal<'_> {
    /// `denied` where the caller may not, `failure` where it did not work.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self.reason.status().as_u16() {
            401 | 403 => "denied",
            _ if self.reason == Code::TooManyFailedAttempts => "denied",
            _ => "failure",
        }
    }

    /// Appends the record, in one round trip. A trail that cannot be reached
    /// does not change the answer, which is a refusal already; it is logged.
    pub async fn record(&self, db: &Db) {
        let recorded = db.fetch_one(|| {
            sqlx::query!(
                r#"SELECT app.audit_append($2, $3, $4, $5, $6, $7, $8, $9) AS "seq!" FROM app.enter_tenant($1)"#,
                self.identity.tenant.as_uuid(),
                self.action.as_str(),
                self.outcome(),
                self.reason.as_str(),
                self.identity.user,
                self.identity.session,
                self.object,
                self.origin.source_address_text(),
                self.origin.request_id.as_str(),
            )
        });
        if let Err(error) = recorded.await {
            tracing::error!(action = self.action.as_str(), cause = ?error, "refusal not recorded");
        }
    }
}
