//! A password that was found right, and the session that it begins.

use shared::{
    Result,
    audit::Action,
    auth::{AccessToken, Identity},
    db::Transaction,
    lockout::Attempted,
    origin::Origin,
    password::TypedPassword,
    session::{self, Begun, By},
};
use time::OffsetDateTime;

use crate::Auth;

/// Whose password it is, and where the attempt was counted.
pub(super) struct RightPassword<'a> {
    pub(super) auth: &'a Auth,
    pub(super) password: &'a TypedPassword,
    pub(super) identity: &'a Identity,
    pub(super) attempted: &'a Attempted,
}

/// What an account was found to be when its password was verified.
#[derive(PartialEq, Eq)]
pub(super) struct Verified {
    pub(super) hash: String,
    pub(super) role: String,
}

/// A session that has begun, with its access token, but is not committed.
pub(super) struct Signed {
    pub(super) transaction: Transaction,
    pub(super) access: AccessToken,
    pub(super) begun: Begun,
}

/// What came of beginning a session.
enum Outcome {
    Begun(Box<Signed>),
    /// The account is not what it was; what it is now.
    Changed(Option<Verified>),
}

impl RightPassword<'_> {
    /// Begins a session of the account that was verified. None where it is not
    /// the password any more, or the user not active: a hash that was only
    /// replaced meanwhile, by another sign-in that made a new one of the same
    /// password, is verified once, and so is an account whose role changed. It
    /// is the same attempt.
    pub(super) async fn begin_session(
        &self,
        verified: Verified,
        origin: &Origin,
        now: OffsetDateTime,
    ) -> Result<Option<Signed>> {
        let current = match self.begin_by(&verified, origin, now).await? {
            Outcome::Begun(signed) => return Ok(Some(*signed)),
            Outcome::Changed(current) => current.filter(|current| *current != verified),
        };
        match current {
            Some(current) if self.auth.passwords.verify(self.password, Some(current.hash.clone())).await? => {
                match self.begin_by(&current, origin, now).await? {
                    Outcome::Begun(signed) => Ok(Some(*signed)),
                    Outcome::Changed(_) => Ok(None),
                }
            }
            _ => Ok(None),
        }
    }

    async fn begin_by(&self, verified: &Verified, origin: &Origin, now: OffsetDateTime) -> Result<Outcome> {
        let Self { auth, password, identity, attempted } = self;
        let Verified { hash, role } = verified;
        // Before the transaction begins, since both may take longer than all of it.
        let renewed = auth.passwords.upgrade(password, hash).await?;
        let access = auth.sessions.access_token(identity, role, now).await?;
        let mut transaction = auth.app.db.begin_signed_in(identity, Action::AuthLogin, origin, attempted).await?;
        if let Some(renewed) = &renewed {
            self.replace(&mut transaction, hash, renewed).await?;
        }
        let current = session::Verified { role, by: By::Password(renewed.as_deref().unwrap_or(hash)) };
        if let Some(begun) = auth.sessions.begin(&mut transaction, identity, origin, current, now).await? {
            return Ok(Outcome::Begun(Box::new(Signed { transaction, access, begun })));
        }
        let current = self.current(&mut transaction).await?;
        transaction.roll_back().await?;
        Ok(Outcome::Changed(current))
    }

    /// Puts a hash as we make them now in the place of the one that was made
    /// otherwise, unless that one has been replaced in the meantime.
    async fn replace(&self, transaction: &mut Transaction, stored: &str, renewed: &str) -> Result<()> {
        sqlx::query!(
            "UPDATE users SET password_hash = $4 WHERE tenant_id = $1 AND id = $2 AND password_hash = $3",
            self.identity.tenant.as_uuid(),
            self.identity.user,
            stored,
            renewed,
        )
        .execute(&mut *transaction)
        .await?;
        Ok(())
    }

    /// The account as it is now; none where it is not active or has no password.
    async fn current(&self, transaction: &mut Transaction) -> Result<Option<Verified>> {
        let current = sqlx::query_as!(
            Verified,
            r#"SELECT password_hash AS "hash!", role FROM users
                WHERE tenant_id = $1 AND id = $2 AND status = 'active' AND password_hash IS NOT NULL"#,
            self.identity.tenant.as_uuid(),
            self.identity.user,
        )
        .fetch_optional(&mut *transaction)
        .await?;
        Ok(current)
    }
}
