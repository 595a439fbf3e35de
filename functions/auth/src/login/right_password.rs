//! A password that was found right, and the session that it begins.

use shared::{
    Result, audit::Action, auth::Identity, db::Transaction, lockout::Attempted, origin::Origin, password::TypedPassword,
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

impl RightPassword<'_> {
    /// Begins a session by `stored`, the hash that the password was verified
    /// by. None where it is not the password any more, or the user not active:
    /// a hash that was only replaced meanwhile, by another sign-in that made a
    /// new one of the same password, is verified once. It is the same attempt.
    pub(super) async fn begin_session(
        &self,
        stored: String,
        origin: &Origin,
        now: OffsetDateTime,
    ) -> Result<Option<(Transaction, Begun)>> {
        if let Some(begun) = self.begin_by(&stored, origin, now).await? {
            return Ok(Some(begun));
        }
        match self.current_hash().await?.filter(|current| *current != stored) {
            Some(current) if self.auth.passwords.verify(self.password, Some(current.clone())).await? => {
                self.begin_by(&current, origin, now).await
            }
            _ => Ok(None),
        }
    }

    async fn begin_by(
        &self,
        stored: &str,
        origin: &Origin,
        now: OffsetDateTime,
    ) -> Result<Option<(Transaction, Begun)>> {
        let Self { auth, password, identity, attempted } = self;
        // Before the transaction begins, since a hash takes longer than all of it.
        let renewed = auth.passwords.upgrade(password, stored).await?;
        let mut transaction = auth.app.db.begin_signed_in(identity, Action::AuthLogin, origin, attempted).await?;
        if let Some(renewed) = &renewed {
            self.replace(&mut transaction, stored, renewed).await?;
        }
        let current = renewed.as_deref().unwrap_or(stored);
        match session::begin(auth, &mut transaction, identity, origin, current, now).await? {
            Some(begun) => Ok(Some((transaction, begun))),
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

    async fn current_hash(&self) -> Result<Option<String>> {
        let query = || {
            sqlx::query!(
                r#"SELECT u.password_hash AS "password_hash!"
                     FROM app.enter_tenant($1) AS t,
                  LATERAL (SELECT password_hash FROM users
                            WHERE tenant_id = t.tenant_id AND id = $2 AND status = 'active' AND password_hash IS NOT NULL
                            LIMIT 1) AS u"#,
                self.identity.tenant.as_uuid(),
                self.identity.user,
            )
        };
        let row = self.auth.app.db.fetch_optional(query).await?;
        Ok(row.map(|row| row.password_hash))
    }
}
