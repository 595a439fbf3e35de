//! A tenant's rows, reachable from a verified [`crate::Caller`] only.
//!
//! A read is one statement and one round trip: it begins with
//! `FROM app.enter($1, $2) AS caller, LATERAL (... LIMIT 1)`, which checks the
//! session and enters the tenant. A write is a transaction of three: [`Db::begin`]
//! enters, the change stands in one statement with its audit record, commit.
//! `docs/ARCHITECTURE.md` says why, and what the other ways cost.

mod begin;
mod connector;
mod executor;
mod failure;
#[cfg(feature = "migrate")]
pub mod maintenance;
#[cfg(feature = "migrate")]
pub mod migrate;
#[cfg(feature = "migrate")]
pub mod operator;
#[cfg(feature = "migrate")]
mod scram;
mod slots;
mod transaction;

use std::sync::Arc;

use sqlx::{
    Postgres,
    postgres::{PgArguments, PgRow},
    query::Map,
};

pub(crate) use begin::IdempotencyKey;
pub(crate) use failure::AnsweredBefore;
pub use failure::OnConstraint;
pub use transaction::Transaction;

use crate::{
    config::{DatabaseConfig, Faults, PoolMode},
    error::{Code, Error, Result},
    secrets::Secrets,
    start::Start,
};
use connector::{Connector, Login};
use failure::Failure;
use slots::Slots;

/// The database, as the runtime role sees it. Cheap to clone.
#[derive(Clone)]
pub struct Db(Arc<Slots>);

impl Db {
    /// The database whose login is among `secrets`.
    pub fn new(config: DatabaseConfig, secrets: &Secrets, start: &Start, faults: &mut Faults) -> Option<Self> {
        let login = secrets.json(&config.secret_id, connector::LOGIN_FORM, faults)?;
        Self::connected_by(config, Some(login), start, faults)
    }

    /// The database whose login is read when it is first needed.
    pub fn lazy(config: DatabaseConfig, start: &Start, faults: &mut Faults) -> Option<Self> {
        Self::connected_by(config, None, start, faults)
    }

    fn connected_by(config: DatabaseConfig, login: Option<Login>, start: &Start, faults: &mut Faults) -> Option<Self> {
        let named = config.pool_mode == PoolMode::Session;
        let connector = Connector::new(config, login, start, faults)?;
        Some(Self(Slots::new(connector, named, start)))
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// `SYS_002`.
    pub async fn ping(&self) -> Result<()> {
        self.fetch_one(|| sqlx::query!(r#"SELECT 1 AS "one!""#)).await.map(drop)
    }

    /// Opens a connection ahead of the first request.
    ///
    /// # Errors
    /// `SYS_002`.
    pub async fn connect(&self) -> Result<()> {
        self.0.lease().await.map(slots::Lease::keep)
    }

    /// All rows of a statement. `query` is called once more where the first
    /// connection turns out to be dead, so it must only read, or be one that
    /// may safely run twice.
    ///
    /// # Errors
    /// `AUTH_006` or `TEN_004` where the statement enters a tenant and may not;
    /// `SYS_002` where the database cannot be had.
    pub async fn fetch_all<F, T>(
        &self,
        query: impl Fn() -> Map<'static, Postgres, F, PgArguments> + Send,
    ) -> Result<Vec<T>>
    where
        F: FnMut(PgRow) -> Result<T, sqlx::Error> + Send,
        T: Send + Unpin,
    {
        loop {
            let mut lease = self.0.lease().await?;
            let failure = match lease.fetch_all(query()).await {
                Ok(rows) => {
                    lease.keep();
                    return Ok(rows);
                }
                Err(failure) => failure,
            };
            if !self.0.try_again(lease, &failure) {
                return Err(failure.into());
            }
        }
    }

    /// The row of a statement, if there is one.
    ///
    /// # Errors
    /// As [`Db::fetch_all`].
    pub async fn fetch_optional<F, T>(
        &self,
        query: impl Fn() -> Map<'static, Postgres, F, PgArguments> + Send,
    ) -> Result<Option<T>>
    where
        F: FnMut(PgRow) -> Result<T, sqlx::Error> + Send,
        T: Send + Unpin,
    {
        Ok(self.fetch_all(query).await?.into_iter().next())
    }

    /// The row of a statement, which has one.
    ///
    /// # Errors
    /// As [`Db::fetch_all`]; `SYS_001` where there is none.
    pub async fn fetch_one<F, T>(&self, query: impl Fn() -> Map<'static, Postgres, F, PgArguments> + Send) -> Result<T>
    where
        F: FnMut(PgRow) -> Result<T, sqlx::Error> + Send,
        T: Send + Unpin,
    {
        self.fetch_optional(query).await?.ok_or_else(|| Error::new(Code::Internal).caused_by(sqlx::Error::RowNotFound))
    }

    /// Rolls back what a handler left open. Called once the handler is done,
    /// with its error, if it is one: a connection that failed it is not kept.
    pub(crate) async fn settle(&self, error: Option<&Error>) {
        let cause = error.and_then(std::error::Error::source).and_then(|cause| cause.downcast_ref());
        if cause.is_some_and(Failure::connection_is_lost) {
            self.0.close();
        }
        self.0.settle().await;
    }

    /// Closes what a handler left open when it was cut short: nobody knows
    /// what its connections were in the middle of.
    pub(crate) fn discard(&self) {
        self.0.discard();
    }
}

/// A connection with the login of `config`'s secret: for `ops`, whose login is
/// the owner's.
///
/// # Errors
/// `SYS_001` where the configuration is at fault, `SYS_002`.
#[cfg(feature = "migrate")]
pub async fn connect_as_owner(config: DatabaseConfig, start: &Start) -> Result<sqlx::PgConnection> {
    let mut faults = Faults::default();
    let connector = Connector::new(config, None, start, &mut faults);
    connector.ok_or_else(|| Error::new(Code::Internal).caused_by(faults))?.connect().await
}
