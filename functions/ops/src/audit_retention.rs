//! `{"action":"audit_retention"}` -> `{"made":1,"moved":0,"left_over":0,
//! "tenants":12,"records":3456,"exports":12,"dropped":1,"broken":0,"failed":0,
//! "complete":true}`

mod lines;

use audit_verify::{BadSeq, Chain};
use serde::Serialize;
use serde_json::{Value, json};
use shared::{
    config::{DatabaseConfig, Environment},
    db::maintenance::{AuditAnchor, AuditPartition, Maintenance},
    start::Start,
    telemetry,
};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::{
    OpsConfig,
    audit_checkpoint::{Fault, sign::Signer},
};
use lines::lines;

/// Six years: 45 CFR 164.316(b)(2)(i).
const DEFAULT_MONTHS: u32 = 72;

/// How many months there are ahead of this one: so long may the schedule fail
/// before the default partition is of use.
const MONTHS_AHEAD: i32 = 3;

/// `AUDIT_RETENTION_MONTHS`.
pub(crate) fn months(env: &mut Environment<'_>) -> u32 {
    let Some(text) = env.optional("AUDIT_RETENTION_MONTHS") else { return DEFAULT_MONTHS };
    if let Ok(months @ 1..=1200) = text.parse() {
        return months;
    }
    env.fault("AUDIT_RETENTION_MONTHS must be a number of months from 1 to 1200");
    DEFAULT_MONTHS
}

/// What one run may do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Records in one file. Of the months that stand before a tenant's next
    /// file every run must make the same: files that were made by another
    /// number may say some records twice.
    records: i64,
    /// How long it goes on. What is left waits for the next run.
    time: Duration,
}

impl Limits {
    /// Files of a few megabytes; ten minutes of the fifteen that the function has.
    pub(crate) const USUAL: Self = Self { records: 5_000, time: Duration::minutes(10) };
}

/// What one run did.
#[derive(Debug, Default, Serialize)]
struct Done {
    /// Months that were not there.
    made: u64,
    /// Records that the default partition had taken for want of their month.
    moved: u64,
    /// Records that it holds still.
    left_over: u64,
    /// Tenants whose records of a month are all exported, month by month.
    tenants: u64,
    /// Records that were exported.
    records: u64,
    /// The files of them.
    exports: u64,
    /// Months that were dropped.
    dropped: u64,
    /// Chains that are not what was recorded: their month stays.
    broken: u64,
    /// What could not be done; the log says why.
    failed: u64,
    complete: bool,
}

/// Why a tenant's records of a month are not all exported.
enum Stop {
    Broken(String),
    Database(String),
    Outside(String),
    Time,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Database(error) => Self::Database(format!("{error:?}")),
            Fault::Kms(cause) | Fault::Store(cause) => Self::Outside(cause),
        }
    }
}

/// Makes the months to come; then exports, anchors and drops those that are
/// past their retention, oldest first. Each step stands for itself: a run that
/// ends anywhere is gone on with by the next.
pub(crate) async fn audit_retention(start: &Start, config: OpsConfig, limits: Limits) -> Result<Value, String> {
    let mut done = Done::default();
    let outcome = all(start, config, limits, &mut done).await;
    let counts = [
        ("audit_retention_made", done.made),
        ("audit_retention_moved", done.moved),
        ("audit_retention_left_over", done.left_over),
        ("audit_retention_tenants", done.tenants),
        ("audit_retention_records", done.records),
        ("audit_retention_exports", done.exports),
        ("audit_retention_dropped", done.dropped),
        ("audit_retention_broken", done.broken),
        ("audit_retention_failed", done.failed + u64::from(outcome.is_err())),
        ("audit_retention_incomplete", u64::from(!done.complete)),
    ];
    telemetry::counts(&start.base, start.clock.now(), "audit trail retained", &counts);
    outcome.map(|()| json!(done))
}

async fn all(start: &Start, config: OpsConfig, limits: Limits, done: &mut Done) -> Result<(), String> {
    let now = start.clock.now();
    let as_owner = DatabaseConfig { secret_id: config.owner_secret_id, ..config.database };
    let mut database = connect(start, &as_owner).await?;
    let oldest_left = make_months(&mut database, done).await?;
    if done.moved + done.left_over > 0 {
        tracing::warn!(moved = done.moved, left_over = done.left_over, "the trail had records of no month");
    }
    let months = database.audit_partitions().await;
    let mut months = months.map_err(|error| format!("the months cannot be listed: {error:?}"))?;
    let kept_from = month_of(now) - i64::from(config.audit_retention_months);
    months.retain(|month| month_of(month.ends_at) <= kept_from);
    months.retain(|month| oldest_left.is_none_or(|oldest| oldest >= month.ends_at));
    let all_can_go = oldest_left.is_none_or(|oldest| month_of(oldest) >= kept_from);
    if months.is_empty() {
        done.complete = all_can_go;
        return Ok(());
    }
    let checkpoints =
        config.checkpoints.ok_or("AUDIT_SIGNING_KMS_KEY_ID is not set: no month is exported or dropped")?;
    let signer = Signer::begin(&checkpoints, start).await.map_err(|fault| match fault {
        Fault::Kms(cause) | Fault::Store(cause) => format!("no month is exported or dropped: {cause}"),
        Fault::Database(error) => format!("no month is exported or dropped: {error:?}"),
    })?;
    let mut run = Run { start, signer, database, as_owner, limits, ends_at: now + limits.time, done };
    for month in months {
        if !run.month(&month).await? {
            return Ok(());
        }
    }
    done.complete = all_can_go;
    Ok(())
}

/// Makes what months can be made, so many at a time as a writer may wait for;
/// answers with the time of the oldest record that has none still. A month after
/// it may not go before it does: what is left of a chain must be its end.
async fn make_months(database: &mut Maintenance, done: &mut Done) -> Result<Option<OffsetDateTime>, String> {
    loop {
        let made = database.make_audit_partitions(MONTHS_AHEAD).await;
        let made = made.map_err(|error| format!("the months ahead cannot be made: {error:?}"))?;
        done.made += u64::from(made.made.unsigned_abs());
        done.moved += made.moved.unsigned_abs();
        done.left_over = made.left_over.unsigned_abs();
        if made.moved == 0 || made.left_over == 0 {
            return Ok(made.oldest_left);
        }
    }
}

/// Months since the year 0, in UTC.
fn month_of(at: OffsetDateTime) -> i64 {
    let at = at.to_offset(time::UtcOffset::UTC);
    i64::from(at.year()) * 12 + i64::from(u8::from(at.month()))
}

async fn connect(start: &Start, as_owner: &DatabaseConfig) -> Result<Maintenance, String> {
    let database = Maintenance::connect(as_owner.clone(), start).await;
    database.map_err(|error| format!("the database cannot be reached: {error:?}"))
}

struct Run<'a> {
    start: &'a Start,
    signer: Signer,
    database: Maintenance,
    as_owner: DatabaseConfig,
    limits: Limits,
    ends_at: OffsetDateTime,
    done: &'a mut Done,
}

impl Run<'_> {
    /// Whether the month is gone. Where it is not, those after it wait too:
    /// what is left of a chain must be its end.
    async fn month(&mut self, month: &AuditPartition) -> Result<bool, String> {
        let tenants = self.database.tenants().await;
        let tenants = tenants.map_err(|error| format!("the tenants cannot be listed: {error:?}"))?;
        let mut stays = false;
        // `nobody`, who is not on the list, has a chain as well.
        for tenant in tenants.into_iter().chain([Uuid::nil()]) {
            match self.tenant(month, tenant).await {
                Ok(()) => {
                    self.done.tenants += 1;
                    continue;
                }
                Err(Stop::Time) => return Ok(false),
                Err(Stop::Outside(cause)) => return Err(cause),
                Err(Stop::Broken(cause)) => {
                    self.done.broken += 1;
                    tracing::error!(tenant_id = %tenant, month = month.name, cause, "an audit trail is broken and stays");
                }
                Err(Stop::Database(cause)) => {
                    self.done.failed += 1;
                    tracing::error!(tenant_id = %tenant, month = month.name, cause, "an audit trail was not exported");
                    self.database = connect(self.start, &self.as_owner).await?;
                }
            }
            stays = true;
        }
        if stays {
            return Ok(false);
        }
        // The database looks again whether all of it is anchored.
        let records = self.database.drop_audit_partition(month).await;
        let records = records.map_err(|error| format!("{} cannot be dropped: {error:?}", month.name))?;
        // None where another run was faster.
        if let Some(records) = records {
            self.done.dropped += 1;
            tracing::info!(month = month.name, records, "a month of the audit trail was dropped");
        }
        Ok(true)
    }

    /// Exports what is not exported yet of a tenant's month, file by file:
    /// kept, signed, and only then anchored.
    async fn tenant(&mut self, month: &AuditPartition, tenant: Uuid) -> Result<(), Stop> {
        let failed = |error| Stop::Database(format!("{error:?}"));
        let anchor = self.database.audit_anchor(tenant).await.map_err(failed)?;
        let mut chain = match anchor {
            None => Chain::start(),
            Some(AuditAnchor { seq, hash }) => {
                let hash = hash.try_into().map_err(|_| Stop::Broken("its anchor has no hash".to_owned()))?;
                Chain::before(seq + 1, hash)
            }
        };
        loop {
            if self.start.clock.now() >= self.ends_at {
                return Err(Stop::Time);
            }
            let first = chain.next_seq();
            let records = self.database.audit_records_of(month, tenant, first - 1, self.limits.records).await;
            let records = records.map_err(failed)?;
            let Some(last) = records.last() else { return Ok(()) };
            let bad = |BadSeq(seq)| Stop::Broken(format!("the first bad seq is {seq}"));
            let lines = lines(&mut chain, &records).map_err(bad)?;
            let (seq, hash) = (last.seq, chain.hash());
            self.signer.keep(&format!("exports/{tenant}/{first:020}-{seq:020}.ndjson"), &lines).await?;
            let kept = self.signer.sign(tenant, seq, hash, self.start.clock.now()).await?;
            if kept.signed.checkpoint.hash != hash {
                return Err(Stop::Broken(format!("another hash of seq {seq} was signed before")));
            }
            self.database.note_checkpoint(tenant, &kept.signed).await.map_err(failed)?;
            let at = last.at_micros.ok_or_else(|| bad(BadSeq(seq)))?;
            let end = AuditAnchor { seq, hash: hash.to_vec() };
            self.database.anchor_audit(tenant, &end, at).await.map_err(failed)?;
            self.done.exports += 1;
            self.done.records += u64::try_from(records.len()).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests;
