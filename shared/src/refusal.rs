//! The record of what was refused: it has no transaction of its own to stand in.

use http::{Method, StatusCode};
use uuid::Uuid;

use crate::{
    app::App,
    audit::Action,
    auth::Identity,
    db::Db,
    error::{Code, Error},
    origin::Origin,
};

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

/// Every refusal of a change or of a protected read, every denial, every reach
/// for a thing that is not there, which may be another tenant's, and everything stored that does
/// not decrypt, which may have been tampered with. Not what an outage refused:
/// the record would fail with it. Nor attempts while an account is locked: the
/// lock itself is recorded ([`crate::lockout`]), and a trail is not to be flooded.
pub(crate) fn is_recorded(method: &Method, action: Action, reason: Code) -> bool {
    match reason.status() {
        _ if reason == Code::TooManyFailedAttempts => false,
        StatusCode::SERVICE_UNAVAILABLE => false,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => true,
        _ if matches!(reason, Code::NotFound | Code::Undecryptable) => true,
        _ => action.entry().records_success() || !matches!(*method, Method::GET | Method::HEAD),
    }
}

/// Records a refusal on a public route, whose handler alone knows of whom: what
/// no handler recorded, the access check does, in the trail of `nobody`.
pub async fn refuse(app: &App, action: Action, identity: &Identity, origin: &Origin, error: Error) -> Error {
    if error.code().status() != StatusCode::SERVICE_UNAVAILABLE {
        app.db.settle(Some(&error)).await;
        Refusal { action, reason: error.code(), identity, object: None, origin }.record(&app.db).await;
        return error.recorded();
    }
    error
}
