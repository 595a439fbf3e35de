//! Requests that come when they come, whether the ones before are answered or
//! not: each waits for the first process that is free, as a gateway has it.

use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use shared::testing::{Event, Process};

use crate::{Result, chance::Chance};

/// A token that comes at its time.
#[derive(Clone, Copy)]
pub(super) struct Arrival<'a> {
    due: Duration,
    token: &'a str,
    is_valid: bool,
}

impl<'a> Arrival<'a> {
    /// These tokens, so many a second, each at a time of chance within its turn.
    pub(super) fn paced(tokens: &'a [String], is_valid: bool, per_second: usize, chance: &mut Chance) -> Vec<Self> {
        let turn = Duration::from_secs(1) / u32::try_from(per_second).unwrap_or(u32::MAX);
        let micros = usize::try_from(turn.as_micros()).unwrap_or_default();
        let mut start = Duration::ZERO;
        let arrival = |token: &'a String| {
            let due = start + Duration::from_micros(chance.below(micros) as u64);
            start += turn;
            Self { due, token, is_valid }
        };
        tokens.iter().map(arrival).collect()
    }

    /// A valid token, now.
    pub(super) fn at_once(token: &'a str) -> Self {
        Self { due: Duration::ZERO, token, is_valid: true }
    }
}

/// Sends each token when it is due, and says how long after that each valid one
/// was answered.
///
/// # Errors
/// A valid token was not accepted, or another was not refused with `AUTH_001`.
pub(super) fn send(processes: &mut [Process], mut arrivals: Vec<Arrival<'_>>) -> Result<Vec<Duration>> {
    arrivals.sort_unstable_by_key(|arrival| arrival.due);
    let (next, begun) = (AtomicUsize::new(0), Instant::now());
    let one = |process: &mut Process| -> Result<Vec<Duration>> {
        let mut times = Vec::new();
        while let Some(arrival) = arrivals.get(next.fetch_add(1, Ordering::Relaxed)) {
            thread::sleep(arrival.due.saturating_sub(begun.elapsed()));
            let answer = list(process, arrival.token)?;
            if arrival.is_valid {
                times.push(begun.elapsed().saturating_sub(arrival.due));
            }
            check(&answer, arrival.is_valid)?;
        }
        Ok(times)
    };
    let times = thread::scope(|scope| {
        let senders: Vec<_> = processes.iter_mut().map(|process| scope.spawn(|| one(process))).collect();
        senders.into_iter().map(|sender| sender.join().map_err(|_| "a sender panicked")?).collect::<Result<Vec<_>>>()
    })?;
    Ok(times.concat())
}

fn list(process: &Process, token: &str) -> Result<Value> {
    match process.invoke(&Event::get("/api/v1/todos").bearer(token).into_json()) {
        (kind, answer) if kind == "response" => Ok(answer),
        (_, payload) => Err(format!("a function failed: {payload}").into()),
    }
}

fn check(answer: &Value, is_valid: bool) -> Result<()> {
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap_or_default())?;
    let is_refused = answer["statusCode"] == 401 && body["error"]["code"] == "AUTH_001";
    match is_valid {
        true if answer["statusCode"] != 200 => Err(format!("a valid token was refused: {answer}").into()),
        false if !is_refused => Err(format!("a token that nobody may accept got {answer}").into()),
        _ => Ok(()),
    }
}

/// How long the valid tokens of one kind of phase took.
pub(super) struct Times(Vec<Duration>);

impl Times {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn add(&mut self, times: Vec<Duration>) {
        self.0.extend(times);
    }

    pub(super) fn quantiles(mut self) -> Quantiles {
        self.0.sort_unstable();
        let at = |percent: usize| self.0.get(self.0.len() * percent / 100).copied().unwrap_or_default();
        Quantiles { p50: at(50), p95: at(95), p99: at(99), samples: self.0.len() }
    }
}

/// Where they lie.
pub(super) struct Quantiles {
    p50: Duration,
    p95: Duration,
    pub(super) p99: Duration,
    samples: usize,
}

impl fmt::Display for Quantiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p95, p99, samples } = self;
        write!(f, "p50 {p50:.1?}, p95 {p95:.1?}, p99 {p99:.1?} of {samples}")
    }
}
