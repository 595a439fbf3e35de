//! Keys that are kept, and read again: when they are old, and when somebody
//! needs one that is not among them.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration as StdDuration,
};

use secrecy::SecretString;
use time::{Duration, OffsetDateTime};

use super::KeyFault;
use crate::{
    config::{BaseConfig, Faults},
    secrets::{BoxFuture, SecretSource},
    start::Start,
    telemetry,
};

/// How often a source is asked at most, whatever is sent to us.
const PAUSE: Duration = Duration::seconds(30);
/// How long one read may take.
const READ_TIMEOUT: StdDuration = StdDuration::from_secs(3);

/// Where keys are read.
pub(crate) trait Source<T>: Send + Sync + 'static {
    /// Reads them.
    fn read(&self) -> BoxFuture<'_, Result<T, Faults>>;
}

/// Keys in a secret.
pub(crate) struct InSecret<T> {
    pub(crate) id: String,
    pub(crate) secrets: Arc<dyn SecretSource>,
    pub(crate) read: fn(&SecretString) -> Result<T, KeyFault>,
}

impl<T: Send + 'static> Source<T> for InSecret<T> {
    fn read(&self) -> BoxFuture<'_, Result<T, Faults>> {
        Box::pin(async { self.secrets.read(&[&self.id]).await?.read(&self.id, self.read) })
    }
}

/// Keys of a source, as they were when it last could be read. An outage of it
/// takes nothing away: the keys at hand serve on until it is over.
pub(crate) struct Kept<T> {
    source: Box<dyn Source<T>>,
    max_age: Duration,
    /// The metric that counts reads that failed.
    failures: &'static str,
    base: Arc<BaseConfig>,
    state: Mutex<State<T>>,
    /// Held while the source is being read, so that it is by one at a time.
    reading: tokio::sync::Mutex<()>,
}

struct State<T> {
    keys: T,
    read_at: OffsetDateTime,
    tried_at: Option<OffsetDateTime>,
    /// Whether the last try did not come to its end, or to a bad one.
    failed: bool,
}

impl<T: Clone + 'static> Kept<T> {
    /// Keeps `keys`, which were just read from `source`.
    pub(crate) fn new(
        keys: T,
        source: impl Source<T>,
        max_age: Duration,
        failures: &'static str,
        start: &Start,
    ) -> Self {
        let state = State { keys, read_at: start.clock.now(), tried_at: None, failed: false };
        Self {
            source: Box::new(source),
            max_age,
            failures,
            base: start.base.clone(),
            state: Mutex::new(state),
            reading: tokio::sync::Mutex::default(),
        }
    }

    /// The keys at hand, unless they are old.
    pub(crate) fn young(&self, now: OffsetDateTime) -> Option<T> {
        let state = self.state();
        (now - state.read_at < self.max_age).then(|| state.keys.clone())
    }

    /// The keys, read again before if they are old.
    pub(crate) async fn get(&self, now: OffsetDateTime) -> T {
        match self.young(now) {
            Some(keys) => keys,
            None => self.read_again(now).await,
        }
    }

    /// The keys as they are now, or as they were at the last try if that was
    /// less than [`PAUSE`] ago. Whoever comes while they are being read waits.
    pub(crate) async fn read_again(&self, now: OffsetDateTime) -> T {
        let _reading = self.reading.lock().await;
        if !self.may_try(now) {
            return self.state().keys.clone();
        }
        let read = tokio::time::timeout(READ_TIMEOUT, self.source.read()).await;
        let cause = match read {
            Ok(Ok(keys)) => {
                let mut state = self.state();
                *state = State { keys: keys.clone(), read_at: now, tried_at: Some(now), failed: false };
                return keys;
            }
            Ok(Err(faults)) => faults.to_string(),
            Err(_) => format!("not read within {} s", READ_TIMEOUT.as_secs()),
        };
        telemetry::warn_counted(&self.base, now, self.failures, "keys not read again, the old ones serve on", &cause);
        self.state().keys.clone()
    }

    /// Whether the keys at hand may not be those of today, since the last try
    /// to read them failed.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.state().failed
    }

    fn may_try(&self, now: OffsetDateTime) -> bool {
        let mut state = self.state();
        let may = state.tried_at.is_none_or(|at| now - at >= PAUSE);
        if may {
            // Until it is known to be otherwise: the request may be cut short.
            (state.tried_at, state.failed) = (Some(now), true);
        }
        may
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::{
        clock::{Clock, SystemClock},
        config,
        testing::TestSecrets,
    };

    /// Counts its reads, each of which takes as long as it says.
    struct Slow(Arc<AtomicUsize>, StdDuration);

    impl Source<usize> for Slow {
        fn read(&self) -> BoxFuture<'_, Result<usize, Faults>> {
            Box::pin(async {
                let read = self.0.fetch_add(1, Ordering::Relaxed) + 1;
                tokio::time::sleep(self.1).await;
                Ok(read)
            })
        }
    }

    fn kept(takes_ms: u64) -> (Kept<usize>, Arc<AtomicUsize>, OffsetDateTime) {
        let start = Start::on_lambda(config::from_lookup(&|_| None).unwrap());
        let start = start.with(Arc::new(SystemClock), Arc::new(TestSecrets::default()));
        let reads = Arc::<AtomicUsize>::default();
        let source = Slow(reads.clone(), StdDuration::from_millis(takes_ms));
        (Kept::new(0, source, Duration::minutes(10), "not_read", &start), reads, SystemClock.now())
    }

    #[tokio::test]
    async fn whoever_comes_while_the_keys_are_being_read_gets_what_comes_of_it() {
        let (kept, reads, now) = kept(50);
        let later = now + Duration::minutes(11);
        let all = futures_util::future::join_all((0..20).map(|number| {
            let at = later + Duration::milliseconds(number);
            let kept = &kept;
            async move { if number % 2 == 0 { kept.get(at).await } else { kept.read_again(at).await } }
        }));
        assert_eq!(all.await, [1; 20]);
        assert_eq!((reads.load(Ordering::Relaxed), kept.is_in_doubt()), (1, false));
        assert_eq!(kept.young(later + Duration::minutes(10)), None);
    }

    #[tokio::test]
    async fn a_source_that_hangs_is_given_up_in_three_seconds_and_left_alone_for_thirty() {
        let (kept, reads, now) = kept(60_000);
        let later = now + Duration::minutes(11);
        let begin = std::time::Instant::now();
        assert_eq!(kept.get(later).await, 0);
        let took = begin.elapsed().as_secs_f64();
        assert!((2.9..3.5).contains(&took), "{took}");
        for second in 0..30 {
            assert_eq!(kept.get(later + Duration::seconds(second)).await, 0);
        }
        assert!(begin.elapsed().as_secs_f64() < 3.6 && kept.is_in_doubt());
        assert_eq!(reads.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_request_that_is_cut_short_leaves_the_keys_in_doubt_and_nobody_waiting() {
        let (kept, _, now) = kept(60_000);
        let later = now + Duration::minutes(11);
        let cut_short = tokio::time::timeout(StdDuration::from_millis(20), kept.read_again(later)).await;
        assert!(cut_short.is_err() && kept.is_in_doubt());
        let next = tokio::time::timeout(StdDuration::from_millis(20), kept.read_again(later)).await;
        assert_eq!(next, Ok(0));
    }
}
