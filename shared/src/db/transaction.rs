//! A transaction in one tenant.

use sqlx::Executor;

use super::{executor::Sender, failure::Failure, slots::Lease};
use crate::error::Result;

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
