//! `GET /api/v1/audit/events`

use axum::extract::{OriginalUri, State};
use serde::Deserialize;
use shared::{
    Caller, Db, Result,
    audit::Action,
    extract::{Query, Rfc3339},
    page::{Cursors, Limit, Page},
};
use uuid::Uuid;

use crate::record::Record;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    actor: Option<Uuid>,
    action: Option<Action>,
    outcome: Option<Outcome>,
    object: Option<Uuid>,
    /// From this moment on.
    from: Option<Rfc3339>,
    /// Before this one.
    to: Option<Rfc3339>,
    #[serde(default)]
    limit: Limit,
    cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
enum Outcome {
    Success,
    Failure,
    Denied,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Denied => "denied",
        }
    }
}

impl TryFrom<String> for Outcome {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let found = [Self::Success, Self::Failure, Self::Denied].into_iter().find(|outcome| outcome.as_str() == name);
        found.ok_or("must be success, failure or denied")
    }
}

/// The index that a search goes by, which is the one of what it names that is
/// rarest in a trail. Each holds a tenant's records in their order, so a page
/// costs what a page holds, however long the trail is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lead {
    Object,
    Actor,
    Refused,
    Action,
    Seq,
}

impl Filter {
    fn lead(&self) -> Lead {
        match self {
            Self { object: Some(_), .. } => Lead::Object,
            Self { actor: Some(_), .. } => Lead::Actor,
            Self { outcome: Some(Outcome::Failure | Outcome::Denied), .. } => Lead::Refused,
            Self { action: Some(_), .. } => Lead::Action,
            _ => Lead::Seq,
        }
    }
}

/// The tenant's records, newest first. One round trip.
pub(crate) async fn events(
    caller: Caller,
    State(db): State<Db>,
    State(cursors): State<Cursors>,
    OriginalUri(uri): OriginalUri,
    Query(filter): Query<Filter>,
) -> Result<Page<Record>> {
    let before = cursors.open(&caller, filter.cursor.as_deref())?.map_or(i64::MAX, seq);

    // The search, with the condition that its index is chosen by. Written out for
    // each: a statement that may or may not name an actor has one plan for both.
    //
    // Times never run backwards along a chain, so `from` and `to` are found in
    // the index by time first, and are two ends of it from then on.
    macro_rules! search {
        ($lead:literal) => {
            sqlx::query_as!(
                Record,
                r#"SELECT e.version, e.tenant_id, e.seq,
                          to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "at!",
                          e.action, e.outcome, e.reason, e.actor_id, e.session_id, e.object_id, e.source_address,
                          e.request_id, e.details, e.prev_hash, e.hash
                     FROM app.enter($1, $2) AS caller,
                  LATERAL (SELECT CASE WHEN $7::timestamptz IS NULL THEN 1 ELSE (
                                      SELECT f.seq FROM audit_events f WHERE f.tenant_id = caller.tenant_id AND f.at >= $7
                                       ORDER BY f.at, f.seq LIMIT 1) END AS first,
                                  CASE WHEN $8::timestamptz IS NULL THEN $9::bigint ELSE (
                                      SELECT f.seq FROM audit_events f WHERE f.tenant_id = caller.tenant_id AND f.at < $8
                                       ORDER BY f.at DESC, f.seq DESC LIMIT 1) END AS last
                            LIMIT 1) AS span,
                  LATERAL (SELECT * FROM audit_events e
                            WHERE e.tenant_id = caller.tenant_id
                              AND e.seq >= span.first AND e.seq <= span.last AND e.seq < $9
                              AND ($3::uuid IS NULL OR e.actor_id = $3)
                              AND ($4::text IS NULL OR e.action = $4)
                              AND ($5::text IS NULL OR e.outcome = $5)
                              AND ($6::uuid IS NULL OR e.object_id = $6)
                              "# + $lead + r#"
                            ORDER BY e.seq DESC LIMIT $10) AS e"#,
                caller.tenant_id(),
                caller.session_id(),
                filter.actor,
                filter.action.map(Action::as_str),
                filter.outcome.map(Outcome::as_str),
                filter.object,
                filter.from.map(|from| from.0),
                filter.to.map(|to| to.0),
                before,
                filter.limit.rows(),
            )
        };
    }

    let rows = match filter.lead() {
        Lead::Object => db.fetch_all(|| search!("AND e.object_id = $6")).await,
        Lead::Actor => db.fetch_all(|| search!("AND e.actor_id = $3")).await,
        Lead::Refused => db.fetch_all(|| search!("AND e.outcome <> 'success' AND e.outcome = $5")).await,
        Lead::Action => db.fetch_all(|| search!("AND e.action = $4")).await,
        Lead::Seq => db.fetch_all(|| search!("")).await,
    };
    Ok(cursors.page(&caller, filter.limit, rows?, uri, |record| id(record.seq)))
}

/// A seq as the id that a cursor points behind.
fn id(seq: i64) -> Uuid {
    Uuid::from_u64_pair(0, seq.unsigned_abs())
}

/// The seq of such an id.
fn seq(id: Uuid) -> i64 {
    i64::try_from(id.as_u64_pair().1).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
