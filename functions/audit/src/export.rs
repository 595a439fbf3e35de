//! `GET /api/v1/audit/export`

use axum::{
    extract::{OriginalUri, State},
    response::{IntoResponse, Response},
};
use http::{
    HeaderValue,
    header::{CONTENT_TYPE, LINK},
};
use serde::Deserialize;
use shared::{
    Caller, Code, Db, Error, Result,
    audit::{Details, Record},
    extract::Query,
};

use crate::seq::Seq;

/// How many records a page has at most.
const MOST_RECORDS: usize = 5_000;

/// How large a page may become. Lambda takes 6 MB of an answer, as JSON in
/// which each of a page's quotes is two bytes.
const MOST_BYTES: usize = 5_000_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default)]
    from_seq: Seq,
}

/// The tenant's records as NDJSON, oldest first, page by page; that they were
/// taken out is recorded itself. Three round trips.
pub(crate) async fn export(
    caller: Caller,
    State(db): State<Db>,
    OriginalUri(uri): OriginalUri,
    Query(Parameters { from_seq: Seq(from_seq) }): Query<Parameters>,
) -> Result<Response> {
    let mut transaction = db.begin(&caller).await?;
    let records = sqlx::query_as!(
        Record,
        r#"SELECT version, tenant_id, seq, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "at!",
                  action, outcome, reason, actor_id, session_id, object_id, source_address, request_id, details,
                  prev_hash, hash
             FROM audit_events WHERE tenant_id = $1 AND seq >= $2 ORDER BY seq LIMIT $3"#,
        caller.tenant_id(),
        from_seq,
        i64::try_from(MOST_RECORDS + 1).unwrap_or(i64::MAX),
    )
    .fetch_all(&mut transaction)
    .await?;
    let page = Page::of(&records)?;
    let details = Details::TrailExported {
        from_seq: from_seq.unsigned_abs(),
        records: page.records.try_into().unwrap_or(u32::MAX),
    };
    transaction.commit_recorded(caller.action(), caller.tenant_id(), &details).await?;
    let mut response = ([(CONTENT_TYPE, "application/x-ndjson")], page.lines).into_response();
    if let Some(next) = page.next_seq {
        let link = format!("<{}?from_seq={next}>; rel=\"next\"", uri.path());
        response.headers_mut().insert(LINK, HeaderValue::try_from(link).map_err(|_| Code::Internal)?);
    }
    Ok(response)
}

/// What goes into one answer.
struct Page {
    lines: Vec<u8>,
    records: usize,
    /// The first record of the next one.
    next_seq: Option<i64>,
}

impl Page {
    fn of(records: &[Record]) -> Result<Self> {
        let (mut lines, mut size) = (Vec::new(), 0);
        for (number, record) in records.iter().enumerate() {
            let line = serde_json::to_vec(record).map_err(|error| Error::new(Code::Internal).caused_by(error))?;
            size += line.len() + line.iter().filter(|byte| matches!(byte, b'"' | b'\\')).count() + 2;
            if size > MOST_BYTES || number == MOST_RECORDS {
                return Ok(Self { lines, records: number, next_seq: Some(record.seq) });
            }
            lines.extend(line);
            lines.push(b'\n');
        }
        Ok(Self { lines, records: records.len(), next_seq: None })
    }
}

#[cfg(test)]
mod tests;
