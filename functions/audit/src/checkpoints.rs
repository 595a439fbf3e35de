//! `GET /api/v1/audit/checkpoints`

use audit_verify::{Checkpoint, SignedCheckpoint};
use axum::extract::{OriginalUri, State};
use serde::Serialize;
use serde_json::value::RawValue;
use shared::{
    Caller, Code, Db, Error, Result,
    extract::Query,
    page::{Cursors, Page, Paging},
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::seq::{id, seq};

struct Row {
    tenant_id: Uuid,
    seq: i64,
    hash: Vec<u8>,
    signed_at: OffsetDateTime,
    kid: String,
    signature: Vec<u8>,
}

/// A checkpoint, byte for byte as it is kept.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Shown {
    #[serde(skip)]
    seq: i64,
    json: Box<RawValue>,
}

/// The tenant's checkpoints, newest first, as they are kept outside of the
/// database: each item is a file for the verifier. They are read from the rows
/// that `ops` noted, so that this function needs no way to where they are
/// kept: who changes a row does not have the key that signs. One round trip.
pub(crate) async fn checkpoints(
    caller: Caller,
    State(db): State<Db>,
    State(cursors): State<Cursors>,
    OriginalUri(uri): OriginalUri,
    Query(Paging { limit, cursor }): Query<Paging>,
) -> Result<Page<Shown>> {
    let before = cursors.open(&caller, cursor.as_deref())?.map_or(i64::MAX, seq);
    let query = || {
        sqlx::query_as!(
            Row,
            "SELECT c.tenant_id, c.seq, c.hash, c.signed_at, c.kid, c.signature
               FROM app.enter($1, $2) AS caller,
            LATERAL (SELECT * FROM audit_checkpoints
                      WHERE tenant_id = caller.tenant_id AND seq < $3 ORDER BY seq DESC LIMIT $4) AS c",
            caller.tenant_id(),
            caller.session_id(),
            before,
            limit.rows(),
        )
    };
    let rows = db.fetch_all(query).await?;
    let shown = rows.into_iter().map(|row| row.shown().ok_or_else(|| Error::new(Code::Internal)));
    Ok(cursors.page(&caller, limit, shown.collect::<Result<_>>()?, uri, |shown| id(shown.seq)))
}

impl Row {
    /// None where the row was tampered with, so that it is no checkpoint.
    fn shown(self) -> Option<Shown> {
        let seq = self.seq;
        let signed = SignedCheckpoint {
            checkpoint: Checkpoint {
                tenant_id: self.tenant_id.to_string(),
                seq,
                hash: self.hash.try_into().ok()?,
                time_micros: i64::try_from(self.signed_at.unix_timestamp_nanos() / 1_000).ok()?,
                kid: self.kid,
            },
            signature: self.signature,
        };
        Some(Shown { seq, json: RawValue::from_string(signed.to_json()?).ok()? })
    }
}

#[cfg(test)]
mod tests;
