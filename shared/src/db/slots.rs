//! The connections of one execution environment: one where requests come one
//! at a time, more where they come together.
//!
//! Not sqlx's pool: that one asks the server `SELECT 1` when a connection is
//! taken and again when it is given back, two round trips a request. Here a
//! connection is trusted until it fails, and then replaced within the request.

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::{
    Executor, PgConnection, Postgres,
    postgres::{PgArguments, PgRow},
    query::Map,
};
use time::OffsetDateTime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{connector::Connector, executor::Sender, failure::Failure};
use crate::{
    clock::SharedClock,
    error::{Code, Result},
    start::Start,
};

/// How long a request waits for a connection that others hold.
const LEASE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a rollback may take before the connection is given up.
const ROLLBACK_TIMEOUT: Duration = Duration::from_secs(1);

/// How long an unused connection is believed to be there. An environment that
/// was frozen for longer may have lost it without a word: a NAT gateway or a
/// proxy forgets a quiet connection and tells nobody.
const BELIEVED: time::Duration = time::Duration::seconds(60);
/// How long a connection may take to say that it is there.
const PING_TIMEOUT: Duration = Duration::from_millis(500);

pub(super) struct Slots {
    connector: Connector,
    clock: SharedClock,
    /// Whether statements are named: see [`super::executor`].
    named: bool,
    permits: Arc<Semaphore>,
    /// Connections that are in no transaction, and since when.
    idle: Mutex<Vec<(PgConnection, OffsetDateTime)>>,
    /// Connections whose transaction was dropped, not ended.
    unsettled: Mutex<Vec<Lease>>,
}

/// A connection in use. Dropped without [`Lease::keep`] it is closed: what
/// state it was left in is not known.
pub(super) struct Lease {
    connection: Option<PgConnection>,
    slots: Arc<Slots>,
    fresh: bool,
    _permit: OwnedSemaphorePermit,
}

impl Slots {
    pub(super) fn new(connector: Connector, named: bool, start: &Start) -> Arc<Self> {
        Arc::new(Self {
            connector,
            clock: start.clock.clone(),
            named,
            permits: Arc::new(Semaphore::new(usize::from(start.base.max_concurrency))),
            idle: Mutex::default(),
            unsettled: Mutex::default(),
        })
    }

    /// An idle connection, or a new one.
    pub(super) async fn lease(self: &Arc<Self>) -> Result<Lease> {
        let permit = tokio::time::timeout(LEASE_TIMEOUT, self.permits.clone().acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(Code::DatabaseUnavailable.into()) };
        let (connection, fresh) = match self.idle().await {
            Some(connection) => (connection, false),
            None => (self.connector.connect().await?, true),
        };
        Ok(Lease { connection: Some(connection), slots: self.clone(), fresh, _permit: permit })
    }

    /// A connection that is there, as far as can be told for nothing; one that
    /// was unused for long is asked.
    async fn idle(&self) -> Option<PgConnection> {
        let (mut connection, since) = lock(&self.idle).pop()?;
        if self.clock.now() - since < BELIEVED {
            return Some(connection);
        }
        let answer = tokio::time::timeout(PING_TIMEOUT, (&mut connection).execute("SELECT 1")).await;
        if matches!(answer, Ok(Ok(_))) {
            return Some(connection);
        }
        lock(&self.idle).clear();
        None
    }

    /// Decides after a failed statement outside a transaction: whether the
    /// connection stays, and whether the statement may run again on a new one.
    pub(super) fn try_again(&self, lease: Lease, failure: &Failure) -> bool {
        if !failure.connection_is_lost() {
            lease.keep();
            return false;
        }
        // One lost connection says nothing good of its idle neighbours.
        lock(&self.idle).clear();
        !lease.fresh
    }

    /// Closes every connection that is not in use.
    pub(super) fn close(&self) {
        self.discard();
        lock(&self.idle).clear();
    }

    pub(super) async fn settle(&self) {
        let leases = std::mem::take(&mut *lock(&self.unsettled));
        for mut lease in leases {
            let rollback = tokio::time::timeout(ROLLBACK_TIMEOUT, (*lease).execute("ROLLBACK"));
            if matches!(rollback.await, Ok(Ok(_))) {
                lease.keep();
            }
        }
    }

    pub(super) fn discard(&self) {
        lock(&self.unsettled).clear();
    }
}

impl Lease {
    pub(super) fn sender(&mut self) -> Sender<'_> {
        let named = self.slots.named;
        Sender { connection: &mut *self, named }
    }

    /// All rows of a statement. An unnamed one takes two round trips, between
    /// which only a transaction holds a pooler to one server connection.
    pub(super) async fn fetch_all<F, T>(&mut self, query: Map<'_, Postgres, F, PgArguments>) -> Result<Vec<T>, Failure>
    where
        F: FnMut(PgRow) -> Result<T, sqlx::Error> + Send,
        T: Send + Unpin,
    {
        let failure = |error| Failure::of(&error);
        if self.slots.named {
            return query.fetch_all(self.sender()).await.map_err(failure);
        }
        (**self).execute("BEGIN").await.map_err(failure)?;
        let rows = query.fetch_all(self.sender()).await.map_err(failure);
        (**self).execute(if rows.is_ok() { "COMMIT" } else { "ROLLBACK" }).await.map_err(failure)?;
        rows
    }

    /// Gives the connection back: it is in no transaction and no statement.
    pub(super) fn keep(mut self) {
        if let Some(connection) = self.connection.take() {
            lock(&self.slots.idle).push((connection, self.slots.clock.now()));
        }
    }

    /// Leaves an open transaction to be rolled back when the handler is done.
    pub(super) fn leave_unsettled(self) {
        let slots = self.slots.clone();
        lock(&slots.unsettled).push(self);
    }
}

impl Deref for Lease {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection.as_ref().expect("a lease holds its connection until it is kept")
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect("a lease holds its connection until it is kept")
    }
}

/// Locks a list of connections; each critical section is one push, pop or take,
/// so a panic cannot leave it half done.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
