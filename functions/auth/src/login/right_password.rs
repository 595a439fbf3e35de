//! A password that was found right, and the session that it begins.

use shared::{
    Result,
    audit::Action,
    auth::{AccessToken, Identity},
    db::Transaction,
    lockout::Attempted,
    origin::Origin,
    password::TypedPassword,
};
use time::OffsetDateTime;

use crate::{
    Auth,
    session::{self, Begun},
};

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
        if let Some(signed) = self.begin_by(&verified, origin, now).await? {
            return Ok(Some(signed));
        }
        match self.current().await?.filter(|current| *current != verified) {
            Some(current) if self.auth.passwords.verify(self.password, Some(current.hash.clone())).await? => {
                self.begin_by(&current, origin, now).await
            }
            _ => Ok(None),
        }
    }

    async fn begin_by(&self, verified: &Verified, origin: &Origin, now: OffsetDateTime) -> Result<Option<Signed>> {
        let Self { auth, password, identity, attempted } = self;
        let Verified { hash, role } = verified;
        // Before the transaction begins, since both may take longer than all of it.
        let renewed = auth.passwords.upgrade(password, hash).await?;
        let access = session::access_token(auth, identity, role, now).await?;
        let mut transaction = auth.app.db.begin_signed_in(identity, Action::AuthLogin, origin, attempted).await?;
        if let Some(renewed) = &renewed {
            self.replace(&mut transaction, hash, renewed).await?;
        }
        let current = (renewed.as_deref().unwrap_or(hash), &**role);
        match session::begin(auth, &mut transaction, identity, origin, current, now).await? {
            Some(begun) => Ok(Some(Signed { transaction, access, begun })),
            None => transaction.roll_back().await.map(|()| None),
        }
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

    async fn current(&self) -> Result<Option<Verified>> {
        let query = || {
            sqlx::query_as!(
                Verified,
                r#"SELECT u.password_hash AS "hash!", u.role
                     FROM app.enter_tenant($1) AS t,
                  LATERAL (SELECT password_hash, role FROM users
                            WHERE tenant_id = t.tenant_id AND id = $2 AND status = 'active' AND password_hash IS NOT NULL
                            LIMIT 1) AS u"#,
                self.identity.tenant.as_uuid(),
                self.identity.user,
            )
        };
        self.auth.app.db.fetch_optional(query).await
    }
}
