//! `GET /api/v1/audit/events`

use axum::extract::{OriginalUri, State};
use serde::Deserialize;
use shared::{
    Caller, Db, Result,
    audit::{Action, Record},
    extract::{Query, Rfc3339},
    page::{Cursors, Limit, Page},
};
use uuid::Uuid;

use crate::seq::{id, seq};

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

/// The tenant's records, newest first. One round trip.
pub(crate) async fn events(
    caller: Caller,
    State(db): State<Db>,
    State(cursors): State<Cursors>,
    OriginalUri(uri): OriginalUri,
    Query(filter): Query<Filter>,
) -> Result<Page<Record>> {
    let before = cursors.open(&caller, filter.cursor.as_deref())?.map_or(i64::MAX, seq);
    let query = || {
        sqlx::query_as!(
            Record,
            r#"SELECT e.version AS "version!", e.tenant_id AS "tenant_id!", e.seq AS "seq!",
                      to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "at!",
                      e.action AS "action!", e.outcome AS "outcome!", e.reason, e.actor_id, e.session_id, e.object_id,
                      e.source_address, e.request_id, e.details, e.prev_hash AS "prev_hash!", e.hash AS "hash!"
                 FROM app.enter($1, $2) AS caller,
              LATERAL (SELECT * FROM app.audit_search(caller.tenant_id, $3, $4, $5, $6, $7, $8, $9, $10)
                        LIMIT $10) AS e"#,
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
    let rows = db.fetch_all(query).await?;
    Ok(cursors.page(&caller, filter.limit, rows, uri, |record| id(record.seq)))
}

#[cfg(test)]
mod tests;
