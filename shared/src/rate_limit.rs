//! Rate limits: at most so many requests per source address and minute, over
//! all execution environments.
//!
//! A group declares its limit once ([`crate::app::Group::post_limit`]); the
//! gate of every POST route of it then counts before anything else is done, in
//! one round trip. Where the count cannot be had the answer is 503.

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    access::Served,
    app::App,
    clock::SharedClock,
    db::Db,
    error::{Code, Error, Result},
    origin::Origin,
};

/// The window, in seconds; it begins with an address's first request.
const WINDOW_SECONDS: i32 = 60;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// A limit on the requests of a source address. Cheap to clone.
#[derive(Clone)]
pub struct RateLimit {
    policy: &'static str,
    quota: u32,
    db: Db,
    clock: SharedClock,
}

/// Where an address stands with a limit, as its answer's headers tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    policy: &'static str,
    quota: u32,
    /// What is left, and for how many seconds; not known where counting failed.
    left: Option<(u32, u32)>,
}

impl RateLimit {
    /// `quota` requests a minute, under the name `policy` (lower-case letters).
    #[must_use]
    pub fn per_minute(policy: &'static str, quota: u32, app: &App) -> Self {
        Self { policy, quota, db: app.db.clone(), clock: app.clock.clone() }
    }

    /// Counts a request, and notes for its answer how it stands.
    ///
    /// # Errors
    /// `RATE_001` where it is one too many, `SYS_002`.
    pub(crate) async fn admit(&self, origin: &Origin, served: &Served) -> Result<()> {
        let (key, now) = (self.key(origin.source_address), self.clock.now());
        // Run twice after a lost connection it may count one too many.
        let counted = self.db.fetch_one(|| {
            sqlx::query!(
                r#"SELECT count AS "count!", resets_in_seconds AS "resets_in_seconds!" FROM app.count_request($1, $2, $3)"#,
                &key,
                now,
                WINDOW_SECONDS,
            )
        });
        let counted = counted.await.map(|row| (positive(row.count), positive(row.resets_in_seconds)));
        let left = counted.as_ref().ok().map(|(count, seconds)| (self.quota.saturating_sub(*count), *seconds));
        let _ = served.standing.set(Standing { policy: self.policy, quota: self.quota, left });
        let (count, seconds) = counted?;
        if count <= self.quota {
            return Ok(());
        }
        Err(Error::new(Code::RateLimited).retry_after_seconds(seconds.into()).counted_as("rate_limited"))
    }

    /// A SHA-256, so that no address is kept. Who has one IPv6 address has the
    /// 2^64 of its network; requests without an address share one key.
    fn key(&self, address: Option<IpAddr>) -> Vec<u8> {
        let network = match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => address.octets().to_vec(),
            Some(IpAddr::V6(address)) => address.octets()[..8].to_vec(),
            None => Vec::new(),
        };
        digest(&SHA256, &[self.policy.as_bytes(), b"/", &network].concat()).as_ref().to_vec()
    }
}

fn positive(number: i32) -> u32 {
    number.try_into().unwrap_or(1)
}

impl Standing {
    /// Writes `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10).
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        let Self { policy, quota, left } = self;
        let policy_value = format!("\"{policy}\";q={quota};w={WINDOW_SECONDS}");
        let limit_value = left.map(|(remaining, seconds)| format!("\"{policy}\";r={remaining};t={seconds}"));
        for (name, value) in [(RATE_LIMIT_POLICY, Some(policy_value)), (RATE_LIMIT, limit_value)] {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                headers.insert(name, value);
            }
        }
    }
}
