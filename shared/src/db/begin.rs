//! How a transaction begins: in one round trip, within a tenant.

use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, Executor, raw_sql};
use uuid::Uuid;

use super::{Db, Transaction, failure::Failure};
use crate::{
    audit::Action,
    auth::{Caller, Identity},
    error::Result,
    lockout::Attempted,
    origin::Origin,
};

/// A key and its request, by their hashes: the database sees neither.
#[derive(Debug, Clone)]
pub(crate) struct IdempotencyKey {
    pub(crate) key_hash: [u8; 32],
    pub(crate) request_hash: [u8; 32],
}

impl Db {
    /// Begins a transaction in the caller's tenant, in one round trip.
    ///
    /// # Errors
    /// `AUTH_006` where the session has ended, `TEN_004` where the tenant is
    /// suspended, `SYS_002` where the database cannot be had.
    pub async fn begin(&self, caller: &Caller) -> Result<Transaction> {
        self.begin_with_key(caller, None).await
    }

    /// The same, and claims an idempotency key.
    pub(crate) async fn begin_with_key(&self, caller: &Caller, key: Option<&IdempotencyKey>) -> Result<Transaction> {
        let enter = format!("app.enter('{}', '{}')", caller.tenant_id(), caller.session_id());
        let mut sql = begin_sql(&enter, caller.action(), caller.origin());
        if let Some(IdempotencyKey { key_hash, request_hash }) = key {
            let _ = write!(sql, "; SELECT app.claim_idempotency_key('{}', '{}')", hex(key_hash), hex(request_hash));
        }
        self.begin_by(sql).await
    }

    /// Begins a transaction in a tenant where no session stands yet: sign-up,
    /// sign-in, refresh. `identity` is what the audit record will say.
    ///
    /// # Errors
    /// `SYS_002` where the database cannot be had.
    pub async fn begin_as(&self, identity: &Identity, action: Action, origin: &Origin) -> Result<Transaction> {
        self.begin_by(begin_as_sql(identity, action, origin)).await
    }

    /// The same for a sign-in that was right, and clears its account's counter.
    ///
    /// # Errors
    /// `SYS_002` where the database cannot be had.
    pub async fn begin_signed_in(
        &self,
        identity: &Identity,
        action: Action,
        origin: &Origin,
        attempted: &Attempted,
    ) -> Result<Transaction> {
        let mut sql = begin_as_sql(identity, action, origin);
        let _ = write!(sql, "; SELECT app.clear_attempts('{}')", hex(attempted.key()));
        self.begin_by(sql).await
    }

    /// `sql` holds nothing but words of ours, UUIDs, hashes in hexadecimal, a
    /// request id (`A-Za-z0-9._-`) and an IP address: nothing to escape.
    async fn begin_by(&self, sql: String) -> Result<Transaction> {
        loop {
            let mut lease = self.0.lease().await?;
            let failure = match (*lease).execute(raw_sql(AssertSqlSafe(sql.clone()))).await {
                Ok(_) => return Ok(Transaction::new(lease)),
                Err(error) => Failure::of(&error),
            };
            if !failure.connection_is_lost() {
                // The failed statement left the transaction open.
                if (*lease).execute("ROLLBACK").await.is_ok() {
                    lease.keep();
                }
                return Err(failure.into());
            }
            if !self.0.try_again(lease, &failure) {
                return Err(failure.into());
            }
        }
    }
}

fn begin_sql(enter: &str, action: Action, origin: &Origin) -> String {
    format!(
        "BEGIN; SELECT {enter}; SELECT app.describe_request('{}', '{}', '{}')",
        action.as_str(),
        origin.request_id.as_str(),
        origin.source_address_text().unwrap_or_default(),
    )
}

fn begin_as_sql(identity: &Identity, action: Action, origin: &Origin) -> String {
    let mut sql = begin_sql(&format!("app.enter_tenant('{}')", identity.tenant.as_uuid()), action, origin);
    for (setting, id) in [("app.user_id", identity.user), ("app.session_id", identity.session)] {
        let id = id.as_ref().map(Uuid::to_string).unwrap_or_default();
        let _ = write!(sql, "; SELECT set_config('{setting}', '{id}', true)");
    }
    sql
}

/// `bytes` as a Postgres `bytea` literal.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("\\x".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
