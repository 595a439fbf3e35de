//! `{"action":"audit_checkpoint"}` ->
//! `{"signed":3,"unmoved":9,"broken":0,"failed":0,"complete":true}`

pub(crate) mod sign;
mod verified;

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::{Value, json};
use shared::{
    checkpoints::CheckpointsConfig, config::DatabaseConfig, db::maintenance::Maintenance, start::Start, telemetry,
};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::{OpsConfig, clean_up::by_turns};
use sign::Signer;
use verified::{Verified, verified};

/// What one run may do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Records of a tenant between two checkpoints that one run makes of it:
    /// then it is another tenant's turn.
    pub(crate) records: i64,
    /// How long it goes on. What is left waits for the next run.
    pub(crate) time: Duration,
}

impl Limits {
    /// Below the fifteen minutes that the function has, and that lie between
    /// two runs.
    pub(crate) const USUAL: Self = Self { records: 50_000, time: Duration::minutes(10) };
}

/// What one run did.
#[derive(Debug, Default, Serialize)]
struct Done {
    /// Checkpoints that stand where they are kept, and did not before.
    signed: u64,
    /// Tenants of whom nothing was recorded since the last one.
    unmoved: u64,
    /// Tenants whose chains are not what was recorded; the log says where.
    broken: u64,
    /// Tenants that could not be read; the log says why.
    failed: u64,
    /// Whether no tenant is left for the next run.
    complete: bool,
}

/// Why a tenant got no checkpoint.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Its rows could not be read, or the note not be made.
    Database(shared::Error),
    /// KMS does not sign: then it signs for nobody.
    Kms(String),
    /// What is signed cannot be kept.
    Store(String),
}

/// Signs the head of each chain that grew since its last checkpoint, once the
/// records in between were recomputed, and keeps it outside of the database.
pub(crate) async fn audit_checkpoint(start: &Start, config: OpsConfig, limits: Limits) -> Result<Value, String> {
    let checkpoints =
        config.checkpoints.ok_or("AUDIT_SIGNING_KMS_KEY_ID is not set: nothing is known of a key that signs")?;
    let as_owner = DatabaseConfig { secret_id: config.owner_secret_id, ..config.database };
    let mut run = Run { start, as_owner, limits, ends_at: start.clock.now() + limits.time, done: Done::default() };
    let outcome = run.all(&checkpoints).await;
    let Run { done, .. } = run;
    let is_fault = |wanted: fn(&Fault) -> bool| u64::from(outcome.as_ref().is_err_and(wanted));
    telemetry::counts(
        &start.base,
        start.clock.now(),
        "checkpoints signed",
        &[
            ("audit_checkpoints_signed", done.signed),
            ("audit_chain_broken", done.broken),
            ("audit_checkpoint_failed", done.failed),
            ("audit_checkpoint_kms_unavailable", is_fault(|fault| matches!(fault, Fault::Kms(_)))),
            ("audit_checkpoint_store_unavailable", is_fault(|fault| matches!(fault, Fault::Store(_)))),
            ("audit_checkpoint_incomplete", u64::from(!done.complete)),
        ],
    );
    outcome.map(|()| json!(done)).map_err(|fault| match fault {
        Fault::Database(error) => format!("the tenants' chains cannot be read: {error:?}"),
        Fault::Kms(cause) => format!("nothing more was signed: {cause}"),
        Fault::Store(cause) => format!("no more checkpoints can be kept: {cause}"),
    })
}

struct Run<'a> {
    start: &'a Start,
    as_owner: DatabaseConfig,
    limits: Limits,
    ends_at: OffsetDateTime,
    done: Done,
}

impl Run<'_> {
    async fn all(&mut self, checkpoints: &CheckpointsConfig) -> Result<(), Fault> {
        let signer = Signer::begin(checkpoints, self.start).await?;
        let mut database = self.connect().await?;
        let mut tenants = database.tenants().await.map_err(Fault::Database)?;
        // What nobody known did is on a trail too.
        tenants.push(Uuid::nil());
        let mut waiting = by_turns(tenants, self.start.clock.new_id());
        while let Some(tenant) = waiting.pop_front() {
            if self.start.clock.now() >= self.ends_at {
                return Ok(());
            }
            match self.tenant(&mut database, &signer, tenant, &mut waiting).await {
                Ok(()) => {}
                Err(Fault::Database(cause)) => {
                    self.done.failed += 1;
                    tracing::error!(tenant_id = %tenant, ?cause, "a tenant's chain was not signed");
                    database = self.connect().await?;
                }
                Err(outside) => return Err(outside),
            }
        }
        self.done.complete = self.done.failed == 0;
        Ok(())
    }

    /// One tenant's next checkpoint.
    async fn tenant(
        &mut self,
        database: &mut Maintenance,
        signer: &Signer,
        tenant: Uuid,
        waiting: &mut VecDeque<Uuid>,
    ) -> Result<(), Fault> {
        match verified(database, tenant, self.limits.records).await.map_err(Fault::Database)? {
            Verified::Unmoved => self.done.unmoved += 1,
            Verified::Broken { bad_seq } => self.broken(tenant, bad_seq),
            Verified::Grown { seq, hash, more } => {
                let kept = signer.sign(tenant, seq, hash, self.start.clock.now()).await?;
                // Another hash of this very record was signed before.
                if kept.signed.checkpoint.hash != hash {
                    self.broken(tenant, seq);
                    return Ok(());
                }
                self.done.signed += u64::from(kept.is_new);
                database.note_checkpoint(tenant, &kept.signed).await.map_err(Fault::Database)?;
                if more {
                    waiting.push_back(tenant);
                }
            }
        }
        Ok(())
    }

    fn broken(&mut self, tenant: Uuid, bad_seq: i64) {
        self.done.broken += 1;
        tracing::error!(tenant_id = %tenant, bad_seq, "a chain is not what was recorded, and was not signed");
    }

    async fn connect(&self) -> Result<Maintenance, Fault> {
        Maintenance::connect(self.as_owner.clone(), self.start).await.map_err(Fault::Database)
    }
}

#[cfg(test)]
pub(crate) mod tests;
