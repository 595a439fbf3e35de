//! The copy of a provider's keys that all execution environments share, and
//! the right to fetch, which one of them has at a time.

use time::{Duration, OffsetDateTime};

use super::held::is_within;
use crate::{db::Db, error::Result};

/// How long a fetch may be under way, before whoever began it is given up: a
/// little more than it may take.
const UNDER_WAY: Duration = Duration::seconds(6);

/// What `app.claim_provider_fetch` says.
pub(super) struct Claim {
    /// Whether the caller is the one who fetches.
    pub(super) claimed: bool,
    /// The keys as text, where the caller does not have them.
    pub(super) jwks: Option<String>,
    pub(super) fetched_at: Option<OffsetDateTime>,
    attempted_at: OffsetDateTime,
    fetching: bool,
}

impl Claim {
    /// Asks on behalf of one who wants better keys than those of `known_at`.
    ///
    /// # Errors
    /// `SYS_002`.
    pub(super) async fn make(
        db: &Db,
        provider: &[u8],
        now: OffsetDateTime,
        known_at: Option<OffsetDateTime>,
    ) -> Result<Self> {
        // Run twice after a lost connection it may find its own claim, and wait for itself in vain:
        // a fetch too few, never one too many.
        db.fetch_one(|| {
            sqlx::query_as!(
                Self,
                r#"SELECT claimed AS "claimed!", jwks, fetched_at, attempted_at AS "attempted_at!", fetching AS "fetching!"
                     FROM app.claim_provider_fetch($1, $2, $3)"#,
                provider,
                now,
                known_at,
            )
        })
        .await
    }

    /// When the last attempt was made; none where it is under way.
    pub(super) fn attempted_at(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let under_way = self.fetching && is_within(Some(self.attempted_at), UNDER_WAY, now);
        (!under_way).then_some(self.attempted_at)
    }
}

/// Tells the others what came of a fetch that was claimed at `claimed_at`.
///
/// # Errors
/// `SYS_002`.
pub(super) async fn settle(db: &Db, provider: &[u8], claimed_at: OffsetDateTime, keys: Option<&str>) -> Result<()> {
    let settle =
        || sqlx::query!(r#"SELECT app.settle_provider_fetch($1, $2, $3) AS "settled!""#, provider, claimed_at, keys,);
    db.fetch_one(settle).await.map(drop)
}
