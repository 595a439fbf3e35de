//! `{"action":"audit_checkpoint"}` ->
//! `{"tenants":12,"signed":3,"records":456,"broken":0,"failed":0,"complete":true}`

mod signer;
mod store;

use std::path::PathBuf;

use audit_verify::{At, Chain, Hash, Record};
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};
use shared::{
    config::{DatabaseConfig, Environment},
    db::maintenance::{AuditRow, Maintenance},
    start::Start,
    telemetry,
};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::{OpsConfig, clean_up::by_turns};
pub(crate) use signer::Signer;
pub(crate) use store::CheckpointStore;
use store::Folder;

/// How long one run goes on, of the fifteen minutes that the function has.
pub(crate) const TIME: Duration = Duration::minutes(10);

/// Records that are read at once.
const PAGE: i64 = 1000;

/// A chain that grew by more is signed on the way, so that a run that ends
/// before it has lost no more than that.
const RECORDS_A_CHECKPOINT: u64 = 50_000;

/// What signs checkpoints, and where they are kept.
#[derive(Debug, Clone)]
pub struct CheckpointConfig {
    kms_key_id: String,
    folder: PathBuf,
}

impl CheckpointConfig {
    /// None where the function is told nothing of them: then it signs none.
    pub(crate) fn read(env: &mut Environment<'_>) -> Option<Self> {
        let kms_key_id = env.optional("AUDIT_CHECKPOINT_KMS_KEY_ID")?;
        let what = "the folder where checkpoints of the audit trail are kept";
        Some(Self { kms_key_id, folder: env.required("AUDIT_CHECKPOINT_FOLDER", what).into() })
    }

    /// Where they are kept, and what signs them: its key is published there.
    pub(crate) async fn open(&self, start: &Start) -> Result<(Box<dyn CheckpointStore>, Signer), String> {
        let store: Box<dyn CheckpointStore> = Box::new(Folder(self.folder.clone()));
        let signer = Signer::ready(start, &self.kms_key_id, &*store).await?;
        Ok((store, signer))
    }
}

/// What one run did.
#[derive(Debug, Default, Serialize)]
struct Done {
    /// Tenants whose chain is anchored to its head.
    tenants: u64,
    /// Checkpoints.
    signed: u64,
    /// Records that were checked.
    records: u64,
    /// Tenants whose chain is not what it was: nothing was signed for them.
    broken: u64,
    /// Tenants that could not be looked at.
    failed: u64,
    complete: bool,
}

/// Why a tenant has no new checkpoint.
enum Stop {
    /// The chain is not what was written.
    Broken(String),
    /// The database failed for this tenant.
    Database(String),
    /// KMS or the store failed: the others would fare no better.
    Outside(String),
    /// The time is over.
    Time,
}

/// Checks what each chain grew by since its last checkpoint, and signs its head.
pub(crate) async fn audit_checkpoint(start: &Start, config: OpsConfig, time: Duration) -> Result<Value, String> {
    let checkpoints = config.checkpoints.ok_or("AUDIT_CHECKPOINT_KMS_KEY_ID is not set: nothing signs checkpoints")?;
    let as_owner = DatabaseConfig { secret_id: config.owner_secret_id, ..config.database };
    let mut done = Done::default();
    let outcome = all(start, &checkpoints, &as_owner, start.clock.now() + time, &mut done).await;
    let counts = [
        ("audit_checkpoint_tenants", done.tenants),
        ("audit_checkpoint_signed", done.signed),
        ("audit_checkpoint_records", done.records),
        ("audit_checkpoint_broken", done.broken),
        ("audit_checkpoint_failed", done.failed + u64::from(outcome.is_err())),
        ("audit_checkpoint_incomplete", u64::from(!done.complete)),
    ];
    telemetry::counts(&start.base, start.clock.now(), "audit trail checkpointed", &counts);
    outcome.map(|()| json!(done))
}

async fn all(
    start: &Start,
    config: &CheckpointConfig,
    as_owner: &DatabaseConfig,
    ends_at: OffsetDateTime,
    done: &mut Done,
) -> Result<(), String> {
    let (store, signer) = config.open(start).await?;
    let database = connect(start, as_owner).await?;
    let mut run = Run { start, store: &*store, signer, database, ends_at, done };
    let tenants = run.database.tenants().await.map_err(|error| format!("the tenants cannot be listed: {error:?}"))?;
    // `nobody`, whose chain has what no tenant could be found for, is not on the list.
    let tenants = [tenants, vec![Uuid::nil()]].concat();
    for tenant in by_turns(tenants, start.clock.new_id()) {
        match run.tenant(tenant).await {
            Ok(()) => run.done.tenants += 1,
            Err(Stop::Time) => return Ok(()),
            Err(Stop::Outside(cause)) => return Err(cause),
            Err(Stop::Broken(cause)) => {
                run.done.broken += 1;
                tracing::error!(tenant_id = %tenant, cause, "an audit trail is broken and was not signed");
            }
            Err(Stop::Database(cause)) => {
                run.done.failed += 1;
                tracing::error!(tenant_id = %tenant, cause, "an audit trail could not be read");
                run.database = connect(start, as_owner).await?;
            }
        }
    }
    run.done.complete = run.done.failed + run.done.broken == 0;
    Ok(())
}

pub(crate) async fn connect(start: &Start, as_owner: &DatabaseConfig) -> Result<Maintenance, String> {
    let connected = Maintenance::connect(as_owner.clone(), start).await;
    connected.map_err(|error| format!("the owner cannot connect: {error:?}"))
}

struct Run<'a> {
    start: &'a Start,
    store: &'a dyn CheckpointStore,
    signer: Signer,
    database: Maintenance,
    ends_at: OffsetDateTime,
    done: &'a mut Done,
}

impl Run<'_> {
    async fn tenant(&mut self, tenant: Uuid) -> Result<(), Stop> {
        if self.start.clock.now() >= self.ends_at {
            return Err(Stop::Time);
        }
        let failed = |error| Stop::Database(format!("{error:?}"));
        let name = tenant.to_string();
        let last = self.store.last(tenant).await.map_err(Stop::Outside)?;
        let mut chain = match &last {
            None => Chain::new(&name),
            Some(last) if last.tenant_id == name => {
                last.check(&self.signer.keys).map_err(|fault| Stop::Broken(fault.to_string()))?;
                Chain::after(&name, last.seq, last.hash)
            }
            Some(_) => return Err(Stop::Broken("its last checkpoint is another tenant's".to_owned())),
        };
        let head = self.database.audit_head(tenant).await.map_err(failed)?;
        let (seq, hash) = match head {
            None => (0, Hash::ZERO),
            Some(head) => (
                u64::try_from(head.seq).unwrap_or_default(),
                head.hash.try_into().map(Hash).map_err(|_| Stop::Broken("its head has no hash".to_owned()))?,
            ),
        };
        let mut signed = chain.seq();
        while chain.seq() < seq {
            if self.start.clock.now() >= self.ends_at {
                return Err(Stop::Time);
            }
            let left = i64::try_from(seq - chain.seq()).unwrap_or(PAGE).min(PAGE);
            let after = i64::try_from(chain.seq()).unwrap_or(i64::MAX);
            let rows = self.database.audit_records(tenant, after, left).await.map_err(failed)?;
            if rows.is_empty() {
                return Err(Stop::Broken(format!("first bad seq {}: it is missing", chain.seq() + 1)));
            }
            for row in &rows {
                push(&mut chain, row)
                    .map_err(|why| Stop::Broken(format!("first bad seq {}: {why}", chain.seq() + 1)))?;
                self.done.records += 1;
            }
            if chain.seq() - signed >= RECORDS_A_CHECKPOINT && chain.seq() < seq {
                self.sign(&chain).await?;
                signed = chain.seq();
            }
        }
        if (chain.seq(), chain.hash()) != (seq, hash) {
            return Err(Stop::Broken(format!("its head, seq {seq}, is not where the records and checkpoints lead")));
        }
        if chain.seq() > signed { self.sign(&chain).await } else { Ok(()) }
    }

    async fn sign(&mut self, chain: &Chain) -> Result<(), Stop> {
        let checkpoint = self.signer.sign(chain, self.start.clock.now()).await.map_err(Stop::Outside)?;
        self.store.put(&checkpoint).await.map_err(Stop::Outside)?;
        self.done.signed += 1;
        Ok(())
    }
}

fn push(chain: &mut Chain, row: &AuditRow) -> Result<(), String> {
    chain.push(&record(row)?).map_err(|fault| fault.to_string())
}

/// The record, as an export has it.
pub(crate) fn record(row: &AuditRow) -> Result<Record<'_>, String> {
    let hash = |bytes: &[u8]| bytes.try_into().map(Hash).map_err(|_| "a hash is none".to_owned());
    let text = |text: &'_ Option<String>| text.clone().map(Into::into);
    let details = row.details.as_deref().map(serde_json::from_str::<&RawValue>);
    Ok(Record {
        version: row.version,
        tenant_id: row.tenant_id.as_str().into(),
        seq: u64::try_from(row.seq).unwrap_or_default(),
        at: At(row.at),
        action: row.action.as_str().into(),
        outcome: row.outcome.as_str().into(),
        reason: text(&row.reason),
        actor_id: text(&row.actor_id),
        session_id: text(&row.session_id),
        object_id: text(&row.object_id),
        source_address: text(&row.source_address),
        request_id: text(&row.request_id),
        details: details.transpose().map_err(|_| "its details are no JSON".to_owned())?,
        prev_hash: hash(&row.prev_hash)?,
        hash: hash(&row.hash)?,
    })
}

#[cfg(test)]
mod tests;
