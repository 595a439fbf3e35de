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

use sqlx::{Executor, PgConnection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{connector::Connector, failure::Failure};
use crate::error::{Code, Result};

/// How long a request waits for a connection that others hold.
const LEASE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a rollback may take before the connection is given up.
const ROLLBACK_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) struct Slots {
    connector: Connector,
    permits: Arc<Semaphore>,
    /// Connections that are in no transaction.
    idle: Mutex<Vec<PgConnection>>,
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
    pub(super) fn new(connector: Connector, connections: u16) -> Arc<Self> {
        Arc::new(Self {
            connector,
            permits: Arc::new(Semaphore::new(usize::from(connections))),
            idle: Mutex::default(),
            unsettled: Mutex::default(),
        })
    }

    /// An idle connection, or a new one.
    pub(super) async fn lease(self: &Arc<Self>) -> Result<Lease> {
        let permit = tokio::time::timeout(LEASE_TIMEOUT, self.permits.clone().acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(Code::DatabaseUnavailable.into()) };
        let idle = lock(&self.idle).pop();
        let (connection, fresh) = match idle {
            Some(connection) => (connection, false),
            None => (self.connector.connect().await?, true),
        };
        Ok(Lease { connection: Some(connection), slots: self.clone(), fresh, _permit: permit })
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
    /// Gives the connection back: it is in no transaction and no statement.
    pub(super) fn keep(mut self) {
        if let Some(connection) = self.connection.take() {
            lock(&self.slots.idle).push(connection);
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
