//! A transaction in one tenant.

use sqlx::{AssertSqlSafe, Executor, raw_sql};
use uuid::Uuid;

use super::{executor::Sender, failure::Failure, slots::Lease};
use crate::{
    audit::{Action, Details},
    error::Result,
};

/// A transaction that [`super::Db`] began: it executes queries as `&mut
/// transaction`. Dropped without [`Transaction::commit`] it is
/// rolled back.
pub struct Transaction(Option<Lease>);

impl Transaction {
    pub(super) fn new(lease: Lease) -> Self {
        Self(Some(lease))
    }

    pub(super) fn sender(&mut self) -> Sender<'_> {
        self.0.as_mut().expect("a transaction holds its lease until it is committed").sender()
    }

    /// Commits. Where the connection fails in this moment nobody can know
    /// whether it did: the caller is told 503 and may send the same
    /// `Idempotency-Key` again.
    ///
    /// # Errors
    /// `SYS_002`.
    pub async fn commit(self) -> Result<()> {
        self.end("COMMIT").await
    }

    /// Records the success and commits, in one round trip: for details that are
    /// known once the change is done. The head of the trail is locked last and
    /// let go at once.
    ///
    /// # Errors
    /// `SYS_002`; where the record is refused nothing is committed.
    pub async fn commit_recorded(mut self, action: Action, object: Uuid, details: &Details) -> Result<()> {
        // Words and numbers of ours: nothing to escape but what a later word may bring.
        let details = details.text_for(action).replace('\'', "''");
        if let Some(mut lease) = self.0.take() {
            let sql = format!("SELECT app.audit('{object}', '{details}'); COMMIT");
            (*lease).execute(raw_sql(AssertSqlSafe(sql))).await.map_err(|error| Failure::of(&error))?;
            lease.keep();
        }
        Ok(())
    }

    /// Rolls back at once, for a request that goes on without it: one that was
    /// only dropped holds its connection until the handler is done.
    ///
    /// # Errors
    /// `SYS_002`.
    pub async fn roll_back(self) -> Result<()> {
        self.end("ROLLBACK").await
    }

    async fn end(mut self, statement: &'static str) -> Result<()> {
        if let Some(mut lease) = self.0.take() {
            (*lease).execute(statement).await.map_err(|error| Failure::of(&error))?;
            lease.keep();
        }
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(lease) = self.0.take()
            && !std::thread::panicking()
        {
            lease.leave_unsettled();
        }
    }
}
