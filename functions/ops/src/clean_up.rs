//! `{"action":"clean_up"}` -> `{"tenants":12,"sessions":34,"refresh_tokens":56,
//! "idempotency_keys":7,"counters":8,"failed":0,"complete":true}`

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::{Value, json};
use shared::{
    config::DatabaseConfig,
    db::maintenance::{CleanedUp, Maintenance},
    start::Start,
    telemetry,
};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::OpsConfig;

/// So many tenants stand between two lines of the log.
const TENANTS_A_LINE: u64 = 1000;

/// What one run may do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Rows of each kind in one transaction.
    batch: i32,
    /// How long it goes on. What is left waits for the next run.
    time: Duration,
}

impl Limits {
    /// Ten minutes of the fifteen that the function has: the last batch and
    /// its deadlines fit in.
    pub(crate) const USUAL: Self = Self { batch: 500, time: Duration::minutes(10) };
}

/// What one run did.
#[derive(Debug, Default, Serialize)]
struct Done {
    /// Tenants in which nothing is left that is over.
    tenants: u64,
    sessions: u64,
    refresh_tokens: u64,
    idempotency_keys: u64,
    counters: u64,
    /// Tenants that could not be cleaned up; the log says why.
    failed: u64,
    complete: bool,
}

/// Deletes what is over: counters first, which are nobody's, then a batch of
/// each tenant by turns, so that none waits behind another's thousands.
pub(crate) async fn clean_up(start: &Start, config: OpsConfig, limits: Limits) -> Result<Value, String> {
    let as_owner = DatabaseConfig { secret_id: config.owner_secret_id, ..config.database };
    let mut run = Run { start, as_owner, limits, ends_at: start.clock.now() + limits.time, done: Done::default() };
    let outcome = run.all().await;
    let Run { done, .. } = run;
    let count = |name, count| (name, count);
    telemetry::counts(
        &start.base,
        start.clock.now(),
        "cleaned up",
        &[
            count("clean_up_tenants", done.tenants),
            count("clean_up_sessions", done.sessions),
            count("clean_up_refresh_tokens", done.refresh_tokens),
            count("clean_up_idempotency_keys", done.idempotency_keys),
            count("clean_up_counters", done.counters),
            count("clean_up_failed", done.failed),
            count("clean_up_incomplete", u64::from(!done.complete)),
        ],
    );
    outcome.map(|()| json!(done))
}

struct Run<'a> {
    start: &'a Start,
    as_owner: DatabaseConfig,
    limits: Limits,
    ends_at: OffsetDateTime,
    done: Done,
}

impl Run<'_> {
    async fn all(&mut self) -> Result<(), String> {
        let mut database = self.connect().await?;
        let failed = |what: &'static str| move |error| format!("{what}: {error:?}");
        let batch = self.limits.batch;
        let mut counters = batch;
        while counters == batch && self.has_time() {
            counters = database.clean_up_attempts(batch).await.map_err(failed("the counters cannot be cleaned up"))?;
            self.done.counters += counted(counters);
        }
        let tenants = database.tenants().await.map_err(failed("the tenants cannot be listed"))?;
        let mut waiting = by_turns(tenants, self.start.clock.new_id());
        while let Some(tenant) = waiting.pop_front() {
            if !self.has_time() {
                return Ok(());
            }
            match database.clean_up(tenant, batch).await {
                Ok(cleaned) => {
                    self.note(cleaned);
                    if cleaned.more {
                        waiting.push_back(tenant);
                    }
                }
                Err(cause) => {
                    self.done.failed += 1;
                    tracing::error!(tenant_id = %tenant, ?cause, "a tenant was not cleaned up");
                    database = self.connect().await?;
                }
            }
        }
        self.done.complete = self.done.failed == 0 && counters < batch;
        Ok(())
    }

    async fn connect(&self) -> Result<Maintenance, String> {
        let connected = Maintenance::connect(self.as_owner.clone(), self.start).await;
        connected.map_err(|error| format!("the owner cannot connect: {error:?}"))
    }

    fn has_time(&self) -> bool {
        self.start.clock.now() < self.ends_at
    }

    fn note(&mut self, cleaned: CleanedUp) {
        let done = &mut self.done;
        done.sessions += counted(cleaned.sessions);
        done.refresh_tokens += counted(cleaned.refresh_tokens);
        done.idempotency_keys += counted(cleaned.idempotency_keys);
        if !cleaned.more {
            done.tenants += 1;
            if done.tenants.is_multiple_of(TENANTS_A_LINE) {
                let Done { tenants, sessions, refresh_tokens, idempotency_keys, .. } = *done;
                tracing::info!(tenants, sessions, refresh_tokens, idempotency_keys, "cleaning up");
            }
        }
    }
}

fn counted(rows: i32) -> u64 {
    u64::try_from(rows).unwrap_or_default()
}

/// The tenants from a random one on: where the time ends before the tenants
/// do, it is not the same ones that wait each time.
pub(crate) fn by_turns(tenants: Vec<Uuid>, random: Uuid) -> VecDeque<Uuid> {
    let mut tenants = VecDeque::from(tenants);
    if let Some(first) = (random.as_u128() & u128::from(u32::MAX)).checked_rem(tenants.len() as u128) {
        tenants.rotate_left(usize::try_from(first).unwrap_or_default());
    }
    tenants
}

#[cfg(test)]
mod tests;
