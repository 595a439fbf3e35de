//! What an execution environment knows of a provider's keys, and what can be
//! said by it at a time.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey};
use time::{Duration, OffsetDateTime};

use super::filter::Keys;
use crate::error::{Code, Error, Result};

/// How long fetched keys are believed (K3: a key that was taken away is
/// refused after that at the latest).
pub(super) const FRESH: Duration = Duration::minutes(10);
/// How long they are believed while the provider cannot be had (K4).
pub(super) const STALE: Duration = Duration::hours(1);
/// How long after one attempt to fetch the next one is made, by anybody (K1).
pub(super) const COOLDOWN: Duration = Duration::seconds(30);
/// How far ahead another environment's clock may be.
const SKEW: Duration = Duration::minutes(1);

/// A provider's keys as of a time. Times are those of the environment that
/// fetched.
#[derive(Clone, Default)]
pub(super) struct Held {
    pub(super) keys: Arc<Keys>,
    /// When they were fetched, if ever.
    pub(super) fetched_at: Option<OffsetDateTime>,
    /// When the last attempt was made; none where one is under way, or where
    /// nothing was heard of any.
    pub(super) attempted_at: Option<OffsetDateTime>,
}

/// Whether `now` is less than `life` after `since`, as `app.is_within` has it.
pub(super) fn is_within(since: Option<OffsetDateTime>, life: Duration, now: OffsetDateTime) -> bool {
    since.is_some_and(|since| now - since < life && since - now < SKEW)
}

impl Held {
    /// What can be said without asking anybody; none where somebody should be.
    pub(super) fn answer(&self, kid: &str, alg: Algorithm, now: OffsetDateTime) -> Option<Result<Arc<DecodingKey>>> {
        let known = self.is_fresh(now) && self.keys.has(kid);
        (known || is_within(self.attempted_at, COOLDOWN, now)).then(|| self.last_word(kid, alg, now))
    }

    /// What is to be said where asking has brought no more. An outage is 503,
    /// never 401: a key may well be among those that could not be fetched.
    pub(super) fn last_word(&self, kid: &str, alg: Algorithm, now: OffsetDateTime) -> Result<Arc<DecodingKey>> {
        let believed = self.is_fresh(now) || self.is_stale(now);
        if believed && self.keys.has(kid) {
            return self.keys.get(kid, alg).ok_or_else(refused);
        }
        Err(if self.has_failed() { unavailable() } else { refused() })
    }

    /// The key, where the last attempt failed and it is served on.
    pub(super) fn served_on(&self, kid: &str, alg: Algorithm, now: OffsetDateTime) -> Option<Arc<DecodingKey>> {
        self.is_stale(now).then(|| self.keys.get(kid, alg)).flatten()
    }

    /// Whether the keys are past their time, and served on all the same.
    pub(super) fn is_stale(&self, now: OffsetDateTime) -> bool {
        self.has_failed() && !self.is_fresh(now) && is_within(self.fetched_at, STALE, now)
    }

    fn is_fresh(&self, now: OffsetDateTime) -> bool {
        is_within(self.fetched_at, FRESH, now)
    }

    /// A success leaves both times equal.
    fn has_failed(&self) -> bool {
        self.attempted_at.is_some() && self.attempted_at != self.fetched_at
    }
}

/// `AUTH_001`: the provider has no such key, or not for this algorithm.
pub(super) fn refused() -> Error {
    Error::new(Code::InvalidToken).counted_as("unknown_provider_key")
}

fn unavailable() -> Error {
    Error::new(Code::ProviderUnavailable).caused_by(NotHad).counted_as("provider_keys_missing")
}

/// Why, for the log; the fetch that failed has told more in a line of its own.
#[derive(Debug, thiserror::Error)]
#[error("the provider's keys are not known, and could not be fetched")]
struct NotHad;
