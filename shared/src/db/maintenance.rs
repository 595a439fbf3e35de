//! The clean-up's way to what is over: with the owner's login, as
//! `tenantry_maintenance`, which sees the ids of all tenants and the rows of
//! one. Used by `ops`; docs/adr/0011-clean-up-role.md says why.

mod chain;
mod retention;

use sqlx::{Executor, PgConnection};
use uuid::Uuid;

use super::failure::Failure;
use crate::{config::DatabaseConfig, error::Result, start::Start};

pub use chain::ChainEnds;
pub use retention::{AuditAnchor, AuditPartition, MadePartitions};

/// Begins each transaction. It takes the role on for itself alone, and the
/// deadlines too: roles that are taken on bring none of their own. A process
/// that is killed leaves its locks for a second at most.
const BEGIN: &str = "BEGIN; SET LOCAL ROLE tenantry_maintenance;
    SET LOCAL statement_timeout = '30s'; SET LOCAL lock_timeout = '1s';
    SET LOCAL idle_in_transaction_session_timeout = '10s'; SET LOCAL client_connection_check_interval = '1s'";

/// A connection for the clean-up. Each call is a transaction of its own; after
/// one that failed the connection is of no use any more.
pub struct Maintenance(PgConnection);

/// What one call deleted in a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanedUp {
    /// Sessions that were over for 30 days.
    pub sessions: i32,
    /// Refresh tokens of sessions that are over.
    pub refresh_tokens: i32,
    /// Idempotency keys that are older than 24 hours.
    pub idempotency_keys: i32,
    /// Whether there may be more of a kind.
    pub more: bool,
}

impl Maintenance {
    /// Connects; the secret that `config` names is the owner's login.
    ///
    /// # Errors
    /// As [`super::connect_as_owner`].
    pub async fn connect(config: DatabaseConfig, start: &Start) -> Result<Self> {
        super::connect_as_owner(config, start).await.map(Self)
    }

    /// Every tenant, oldest first, but `nobody`, who has nothing that ends.
    ///
    /// # Errors
    /// `SYS_001` or `SYS_002`, as all of these.
    pub async fn tenants(&mut self) -> Result<Vec<Uuid>> {
        self.begin().await?;
        let tenants = sqlx::query_scalar!("SELECT id FROM tenants WHERE id <> $1 ORDER BY id", Uuid::nil());
        let tenants = tenants.fetch_all(&mut self.0).await.map_err(|error| Failure::of(&error))?;
        self.commit().await?;
        Ok(tenants)
    }

    /// Deletes up to `batch` rows of each kind that are over in this tenant.
    ///
    /// # Errors
    /// Nothing was deleted.
    pub async fn clean_up(&mut self, tenant: Uuid, batch: i32) -> Result<CleanedUp> {
        self.begin().await?;
        let cleaned = sqlx::query_as!(
            CleanedUp,
            r#"SELECT sessions AS "sessions!", refresh_tokens AS "refresh_tokens!",
                      idempotency_keys AS "idempotency_keys!", more AS "more!"
                 FROM app.clean_up($1, $2)"#,
            tenant,
            batch,
        );
        let cleaned = cleaned.fetch_one(&mut self.0).await.map_err(|error| Failure::of(&error))?;
        self.commit().await?;
        Ok(cleaned)
    }

    /// Deletes up to `batch` counters whose time is over, and says how many.
    ///
    /// # Errors
    /// Nothing was deleted.
    pub async fn clean_up_attempts(&mut self, batch: i32) -> Result<i32> {
        self.begin().await?;
        let deleted = sqlx::query_scalar!(r#"SELECT app.clean_up_attempts($1) AS "deleted!""#, batch);
        let deleted = deleted.fetch_one(&mut self.0).await.map_err(|error| Failure::of(&error))?;
        self.commit().await?;
        Ok(deleted)
    }

    async fn begin(&mut self) -> Result<()> {
        self.0.execute(sqlx::raw_sql(BEGIN)).await.map_err(|error| Failure::of(&error))?;
        Ok(())
    }

    async fn commit(&mut self) -> Result<()> {
        self.0.execute("COMMIT").await.map_err(|error| Failure::of(&error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
