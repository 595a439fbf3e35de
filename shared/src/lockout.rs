//! Lockout: five attempts at an account within 15 minutes that begin no
//! session lock it for 15 minutes, whether or not there is such an account.
//!
//! An attempt is reserved in Postgres before its password is looked at
//! (`app.begin_sign_in`), and the account's counter is cleared in the
//! transaction that begins a session. In between nothing is given back: an
//! attempt that is cut short counts.

use aws_lc_rs::digest::{SHA256, digest};

use crate::{
    app::App,
    audit::Action,
    auth::Identity,
    error::{Code, Error, Result},
    origin::Origin,
    refusal::{Refusal, refuse},
    text::{Email, Slug},
};

/// How many attempts an account has within the window; the last one locks it.
const ATTEMPTS: i32 = 5;

/// Under what the attempts at an account are counted: a SHA-256 of its
/// organization's slug and its address, so that the counter names neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempted([u8; 32]);

impl Attempted {
    /// Of the account `email` in the organization `slug`, existing or not.
    #[must_use]
    pub fn account(slug: &Slug, email: &Email) -> Self {
        // A slug has no slash, so no two accounts read alike.
        let hash = digest(&SHA256, format!("{}/{}", &**slug, &**email).as_bytes());
        let mut key = [0; 32];
        key.copy_from_slice(hash.as_ref());
        Self(key)
    }

    /// Reserves an attempt of a caller who is signed in.
    ///
    /// # Errors
    /// `AUTH_008` where the account is locked, `SYS_002`.
    pub async fn reserve(&self, app: &App) -> Result<Reserved> {
        let now = app.clock.now();
        let query = || sqlx::query!("SELECT ordinal, locked_seconds FROM app.reserve_attempt($1, $2)", self.key(), now);
        let row = app.db.fetch_one(query).await?;
        Reserved::read(row.ordinal, row.locked_seconds)
    }

    /// The key in the database.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.0
    }
}

/// An attempt that was reserved, and so may be evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reserved {
    locks: bool,
}

impl Reserved {
    /// Reads what `app.begin_sign_in` said.
    ///
    /// # Errors
    /// `AUTH_008` where the account is locked.
    pub fn read(ordinal: Option<i32>, locked_seconds: Option<i32>) -> Result<Self> {
        let locked = || {
            let seconds = locked_seconds.and_then(|seconds| seconds.try_into().ok()).unwrap_or(1);
            Error::new(Code::TooManyFailedAttempts).retry_after_seconds(seconds).counted_as("refused_while_locked")
        };
        ordinal.map(|ordinal| Self { locks: ordinal >= ATTEMPTS }).ok_or_else(locked)
    }

    /// Records why the attempt was refused, and the lock where it was the last
    /// one. Attempts while the account is locked are in the log and in the
    /// metric `refused_while_locked` only: a trail is not to be flooded.
    pub async fn refuse(
        self,
        app: &App,
        action: Action,
        identity: &Identity,
        origin: &Origin,
        error: impl Into<Error>,
    ) -> Error {
        let error = refuse(app, action, identity, origin, error.into()).await;
        self.lock(app, action, identity, origin, error).await
    }

    /// Records the lock, where this attempt was the last one: by itself where
    /// the route's access check records the refusal.
    pub async fn lock(self, app: &App, action: Action, identity: &Identity, origin: &Origin, error: Error) -> Error {
        if !self.locks {
            return error;
        }
        let reason = Code::TooManyFailedAttempts;
        Refusal { action, reason, identity, object: None, origin }.record(&app.db).await;
        error.counted_as("account_locked")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempted(slug: &str, email: &str) -> Attempted {
        let slug = Slug::try_from(slug.to_owned()).expect("a slug");
        Attempted::account(&slug, &Email::try_from(email.to_owned()).expect("an address"))
    }

    #[test]
    fn an_account_is_counted_under_its_organization_and_its_normalized_address() {
        assert_eq!(attempted("acme", "ada@acme.example"), attempted("acme", " Ada@ACME.example "));
        assert_ne!(attempted("acme", "ada@acme.example"), attempted("acme-2", "ada@acme.example"));
        assert_ne!(attempted("acme", "b/ada@acme.example"), attempted("acme", "ada@acme.example"));
    }
}
