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

/// `SYS_003`: nobody knows whether the provider has it.
pub(super) fn unavailable() -> Error {
    Error::new(Code::ProviderUnavailable).caused_by(NotHad).counted_as("provider_keys_missing")
}

/// Why, for the log; the fetch that failed has told more in a line of its own.
#[derive(Debug, thiserror::Error)]
#[error("the provider's keys are not known, and could not be fetched, or not yet")]
struct NotHad;

#[cfg(test)]
mod tests {
    use jsonwebtoken::Algorithm::{ES256, RS256};
    use serde_json::json;

    use super::*;
    use crate::testing::ProviderKey;

    /// What is said of a key, asked again or not: the key, a code, or that
    /// somebody should be asked.
    fn said(answer: Option<Result<Arc<DecodingKey>>>) -> &'static str {
        match answer {
            None => "ask",
            Some(Ok(_)) => "key",
            Some(Err(error)) => {
                let counted = error.metric().expect("every refusal counts");
                assert_eq!(counted == "provider_keys_missing", error.code() == Code::ProviderUnavailable);
                error.code().as_str()
            }
        }
    }

    #[test]
    fn what_is_said_is_decided_by_age_and_by_how_the_last_attempt_went() {
        let set = serde_json::from_value(json!({ "keys": [ProviderKey::p256("k").public_jwk()] })).unwrap();
        let keys = Arc::new(Keys::of(set));
        let now = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
        let before = |seconds: i64| Some(now - Duration::seconds(seconds));
        for (fetched_at, attempted_at, [known, other_algorithm, unknown]) in [
            (None, None, ["ask", "ask", "ask"]),
            (None, before(29), ["SYS_003", "SYS_003", "SYS_003"]),
            (None, before(30), ["ask", "ask", "ask"]),
            (before(0), before(0), ["key", "AUTH_001", "AUTH_001"]),
            (before(29), before(29), ["key", "AUTH_001", "AUTH_001"]),
            (before(30), before(30), ["key", "AUTH_001", "ask"]),
            (before(599), before(599), ["key", "AUTH_001", "ask"]),
            (before(599), before(10), ["key", "AUTH_001", "SYS_003"]),
            (before(599), None, ["key", "AUTH_001", "ask"]),
            (before(600), before(600), ["ask", "ask", "ask"]),
            (before(600), before(10), ["key", "AUTH_001", "SYS_003"]),
            (before(600), None, ["ask", "ask", "ask"]),
            (before(3599), before(29), ["key", "AUTH_001", "SYS_003"]),
            (before(3600), before(29), ["SYS_003", "SYS_003", "SYS_003"]),
            // Another environment's clock is ahead: a little, and too much.
            (before(-59), before(-59), ["key", "AUTH_001", "AUTH_001"]),
            (before(-60), before(-60), ["ask", "ask", "ask"]),
        ] {
            let keys = if fetched_at.is_some() { keys.clone() } else { Arc::default() };
            let held = Held { keys, fetched_at, attempted_at };
            let asked = [("k", ES256), ("k", RS256), ("other", ES256)];
            let answers = asked.map(|(kid, alg)| said(held.answer(kid, alg, now)));
            assert_eq!(answers, [known, other_algorithm, unknown], "{fetched_at:?} {attempted_at:?}");
        }
    }
}
