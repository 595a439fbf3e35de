//! Time as an argument: nothing else in the workspace reads a wall clock.

use std::sync::Arc;
use time::OffsetDateTime;
use uuid::{NoContext, Timestamp, Uuid};

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// The current time in UTC, to the microsecond (what Postgres keeps).
    fn now(&self) -> OffsetDateTime;

    /// A new `UUIDv7` (RFC 9562) of the current time.
    fn new_id(&self) -> Uuid {
        let now = self.now();
        let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
        Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.nanosecond()))
    }
}

/// The clock a function runs by.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now(&self) -> OffsetDateTime {
        to_microseconds(OffsetDateTime::now_utc())
    }
}

/// Cuts a time to whole microseconds.
pub(crate) fn to_microseconds(time: OffsetDateTime) -> OffsetDateTime {
    time.replace_nanosecond(time.nanosecond() / 1000 * 1000).unwrap_or(time)
}
