//! The data keys that an environment holds, and for how long.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use http::StatusCode;
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex as AsyncMutex;

use super::tenant_keys::{self, StoredKey};
use crate::{
    auth::TenantId,
    clock::SharedClock,
    db::Db,
    error::{Code, Error, Result},
    kms::{DataKey, DataKeySource},
    start::Start,
};

/// How long, how often and for how much an unwrapped key is used before KMS is
/// asked again, and for how many tenants at once. Each limit bounds what a
/// disabled key still opens, and what lies in the memory of an environment.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The time since KMS unwrapped it.
    pub age: Duration,
    /// How many fields it seals and opens.
    pub uses: u64,
    /// How many bytes these have together.
    pub bytes: u64,
    /// How many tenants' keys are held; the one unused for longest gives way.
    pub tenants: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A disabled key is refused within it; a busy tenant then costs 12
            // calls an hour for each environment, a round trip of some 10 ms.
            age: Duration::minutes(5),
            // 1000 full pages of a list: who reads out a tenant is seen by KMS.
            uses: 100_000,
            // Those pages at an average of 2.5 kB; it bounds large fields.
            bytes: 256 << 20,
            // Some 300 kB, and more tenants than one environment sees in 5 minutes.
            tenants: 1000,
        }
    }
}

/// Which of a tenant's data keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// The highest version; made where there is none.
    Newest,
    /// The highest version, where there is one.
    NewestIfAny,
    /// This one.
    Version(i32),
}

/// Marks that the tenant has no such data key; it never reaches a caller.
#[derive(Debug, thiserror::Error)]
#[error("no such data key")]
pub(super) struct Missing;

/// The keyrings of the tenants that were asked for last.
pub(super) struct Keyrings {
    kms_key_id: String,
    source: Arc<dyn DataKeySource>,
    clock: SharedClock,
    limits: Limits,
    tenants: Mutex<Tenants>,
}

#[derive(Default)]
struct Tenants {
    rings: HashMap<TenantId, (Arc<AsyncMutex<Ring>>, u64)>,
    /// Counts the requests: the lower, the longer unused.
    turn: u64,
}

/// One tenant's keys. Its lock is held while the database and KMS are asked,
/// so that of many requests at once one asks.
#[derive(Default)]
struct Ring {
    /// What is stored, newest first, and since when this is known.
    stored: Vec<StoredKey>,
    read_at: Option<OffsetDateTime>,
    held: HashMap<i32, Held>,
    /// The last outage: those who waited for it need not ask again.
    failed: Option<(Instant, Error)>,
}

/// An unwrapped key.
struct Held {
    key: Arc<DataKey>,
    since: OffsetDateTime,
    uses: u64,
    bytes: u64,
}

impl Keyrings {
    pub(super) fn new(kms_key_id: String, start: &Start, limits: Limits) -> Self {
        let (source, clock) = (start.data_keys.clone(), start.clock.clone());
        Self { kms_key_id, source, clock, limits, tenants: Mutex::default() }
    }

    /// A data key to use once, for `bytes` bytes.
    pub(super) async fn key(
        &self,
        db: &Db,
        tenant: TenantId,
        which: Which,
        bytes: usize,
    ) -> Result<(i32, Arc<DataKey>)> {
        let (asked, ring) = (Instant::now(), self.ring(tenant));
        let mut ring = ring.lock().await;
        if let Some((at, error)) = &ring.failed
            && *at > asked
        {
            return Err(error.clone());
        }
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let found = self.look_up(&mut ring, db, tenant, which, bytes).await;
        // An outage is everybody's; what one ciphertext asks for is its own.
        let outage = found.as_ref().err().filter(|error| error.code().status() == StatusCode::SERVICE_UNAVAILABLE);
        ring.failed = outage.map(|error| (Instant::now(), error.clone()));
        found
    }

    async fn look_up(
        &self,
        ring: &mut Ring,
        db: &Db,
        tenant: TenantId,
        which: Which,
        bytes: u64,
    ) -> Result<(i32, Arc<DataKey>)> {
        let now = self.clock.now();
        // A clock that was set back must not lengthen a key's life.
        let fresh = |since: OffsetDateTime| since <= now && now - since < self.limits.age;
        let limits = self.limits;
        ring.held.retain(|_, held| fresh(held.since) && held.uses < limits.uses && held.bytes < limits.bytes);
        if !ring.read_at.is_some_and(fresh) || ring.find(which).is_none() {
            ring.read(db, tenant, now).await?;
        }
        let mut made = None;
        if ring.stored.is_empty() && which == Which::Newest {
            made = self.make(ring, db, tenant, now).await?;
        }
        let stored = ring.find(which).ok_or_else(|| Error::new(Code::Undecryptable).caused_by(Missing))?;
        let version = stored.version;
        let key = match (ring.held.get(&version), made) {
            (Some(held), _) => held.key.clone(),
            (None, Some(key)) => Arc::new(key),
            (None, None) => Arc::new(self.source.unwrap(&stored.wrapped, tenant).await?),
        };
        let held = ring.held.entry(version).or_insert(Held { key, since: now, uses: 0, bytes: 0 });
        held.uses += u64::from(which != Which::NewestIfAny);
        held.bytes = held.bytes.saturating_add(bytes);
        Ok((version, held.key.clone()))
    }

    /// Makes the first data key, or finds that another environment just did.
    async fn make(&self, ring: &mut Ring, db: &Db, tenant: TenantId, now: OffsetDateTime) -> Result<Option<DataKey>> {
        let (key, wrapped) = self.source.generate(&self.kms_key_id, tenant).await?;
        let stored = StoredKey { version: 1, wrapped };
        if tenant_keys::add(db, tenant, &stored).await? {
            ring.stored = vec![stored];
            return Ok(Some(key));
        }
        ring.read(db, tenant, now).await?;
        Ok(None)
    }

    /// The tenant's keyring, for which another may have to go.
    fn ring(&self, tenant: TenantId) -> Arc<AsyncMutex<Ring>> {
        // Each critical section is whole in itself: a panic leaves nothing half done.
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.turn += 1;
        let turn = tenants.turn;
        if !tenants.rings.contains_key(&tenant) && tenants.rings.len() >= self.limits.tenants {
            let unused = tenants.rings.iter().min_by_key(|(_, (_, turn))| *turn).map(|(tenant, _)| *tenant);
            unused.and_then(|tenant| tenants.rings.remove(&tenant));
        }
        let (ring, last) = tenants.rings.entry(tenant).or_default();
        *last = turn;
        ring.clone()
    }
}

impl Ring {
    fn find(&self, which: Which) -> Option<&StoredKey> {
        match which {
            Which::Newest | Which::NewestIfAny => self.stored.first(),
            Which::Version(version) => self.stored.iter().find(|stored| stored.version == version),
        }
    }

    async fn read(&mut self, db: &Db, tenant: TenantId, now: OffsetDateTime) -> Result<()> {
        self.stored = tenant_keys::read(db, tenant).await?;
        self.read_at = Some(now);
        // A key that is no longer stored was shredded.
        self.held.retain(|version, _| self.stored.iter().any(|stored| stored.version == *version));
        Ok(())
    }
}
