//! `GET /api/v1/audit/verify`

use audit_verify::{BadSeq, Chain, NOTHING};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::{
    Caller, Db, Error, Result,
    audit::{Link, record::hex},
    clock::SharedClock,
    extract::{Json, Query},
};
use time::Duration;

use crate::seq::Seq;

/// How many records are held at a time.
const BATCH: usize = 1_000;

/// For how long one request goes on: below every deadline, with a connection
/// and a batch to spare.
const MOST: Duration = Duration::seconds(5);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default)]
    from_seq: Seq,
    to_seq: Option<Seq>,
}

/// What was found of a chain, or of a part of it.
#[derive(Debug, Serialize)]
pub(crate) struct Verified {
    /// Whether all that was checked is what was recorded.
    valid: bool,
    /// How many records were found good.
    checked: i64,
    /// The chain's end as it stood when the check began.
    head: Head,
    /// The last record of what was exported and dropped, where the check began
    /// after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    anchor: Option<Head>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_bad_seq: Option<i64>,
    /// Where to go on, where time was up before the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_seq: Option<i64>,
}

#[derive(Debug, Clone, Serialize)]
struct Head {
    seq: i64,
    #[serde(serialize_with = "hex")]
    hash: Vec<u8>,
}

/// Recomputes the tenant's chain, or a part of it, batch by batch. What is
/// appended meanwhile is not looked at: a record never changes, so that the
/// batches agree though each is a statement of its own.
pub(crate) async fn verify(
    caller: Caller,
    State(db): State<Db>,
    State(clock): State<SharedClock>,
    Query(Parameters { from_seq: Seq(from), to_seq }): Query<Parameters>,
) -> Result<Json<Verified>> {
    if to_seq.is_some_and(|Seq(to)| to < from) {
        return Err(Error::field("to_seq", "must not be before from_seq"));
    }
    let until = clock.now() + MOST;
    let mut end = end(&db, &caller, from).await?;
    loop {
        let anchored = end.anchor.as_ref().map(|anchor| anchor.seq);
        let found = examined(&db, &caller, (from, to_seq), end, || clock.now() >= until).await?;
        if found.valid {
            return Ok(Json(found));
        }
        // Where a month was exported and dropped meanwhile, nothing is missing.
        end = self::end(&db, &caller, from).await?;
        if end.anchor.as_ref().map(|anchor| anchor.seq) == anchored {
            return Ok(Json(found));
        }
    }
}

/// The check from one record to another, or to the end, until time is up.
async fn examined(
    db: &Db,
    caller: &Caller,
    (from, to_seq): (i64, Option<Seq>),
    End { head, last, anchor, before }: End,
    is_late: impl Fn() -> bool,
) -> Result<Verified> {
    if from > head.seq.max(last).max(1) {
        return Err(Error::field("from_seq", "must be in the trail, which is shorter"));
    }
    let to = to_seq.map_or(head.seq, |Seq(to)| to.min(head.seq));
    // What was exported is not here any more: the chain hangs on its anchor.
    let anchor = anchor.filter(|anchor| from <= anchor.seq + 1);
    let (from, before) = match &anchor {
        Some(anchor) => (anchor.seq + 1, Some(anchor.hash.clone())),
        None => (from, before),
    };
    if to_seq.is_some_and(|Seq(to)| to < from) {
        return Err(Error::field("to_seq", "must not be in the part that was exported"));
    }
    let found = |checked, bad: Option<BadSeq>, next_seq| {
        let first_bad_seq = bad.map(|BadSeq(seq)| seq);
        let (head, anchor) = (head.clone(), anchor.clone());
        Ok(Verified { valid: bad.is_none(), checked, head, anchor, first_bad_seq, next_seq })
    };
    let Some(hash) = before.and_then(|hash| hash.try_into().ok()) else {
        return found(0, Some(BadSeq(from - 1)), None);
    };
    let mut chain = Chain::before(from, hash);
    loop {
        let links = links(db, caller, &chain, to).await?;
        let may_be_more = links.len() == BATCH;
        let known = links.first().is_some_and(|link| chain.next_seq() > 1 && link.seq == chain.next_seq() - 1);
        for link in links.iter().skip(usize::from(known)) {
            if let Err(bad) = link.follow(&mut chain) {
                return found(chain.next_seq() - from, Some(bad), None);
            }
        }
        if !may_be_more {
            break;
        }
        if chain.next_seq() <= to && is_late() {
            return found(chain.next_seq() - from, None, Some(chain.next_seq()));
        }
    }
    let checked = chain.next_seq() - from;
    let bad = match () {
        // A tail was cut off: the head is ahead of what there is.
        () if chain.next_seq() <= to => Some(BadSeq(chain.next_seq())),
        // What comes after was asked for by nobody.
        () if to < head.seq => None,
        // The last record was made anew, hash and all.
        () if chain.hash()[..] != head.hash => Some(BadSeq(head.seq.max(1))),
        // Something was put in behind the end.
        () if last > head.seq => Some(BadSeq(head.seq + 1)),
        () => None,
    };
    found(checked, bad, None)
}

/// The ends of a chain, in one snapshot.
struct End {
    head: Head,
    /// The last record that there is.
    last: i64,
    /// The last anchor before the first record that there is.
    anchor: Option<Head>,
    /// The hash before the first record that is asked for; none where the
    /// record that has it is missing.
    before: Option<Vec<u8>>,
}

async fn end(db: &Db, caller: &Caller, from: i64) -> Result<End> {
    let row = db
        .fetch_one(|| {
            sqlx::query!(
                r#"SELECT h.seq AS "seq?", h.hash AS "hash?", h.last AS "last?", h.before AS "before?",
                          a.seq AS "anchor_seq?", a.hash AS "anchor_hash?"
                     FROM app.enter($1, $2) AS caller,
                  LATERAL (SELECT (SELECT seq FROM audit_heads WHERE tenant_id = caller.tenant_id) AS seq,
                                  (SELECT hash FROM audit_heads WHERE tenant_id = caller.tenant_id) AS hash,
                                  (SELECT max(seq) FROM audit_events WHERE tenant_id = caller.tenant_id) AS last,
                                  (SELECT min(seq) FROM audit_events WHERE tenant_id = caller.tenant_id) AS first,
                                  (SELECT hash FROM audit_events WHERE tenant_id = caller.tenant_id AND seq = $3::bigint - 1
                                    LIMIT 1) AS before
                            LIMIT 1) AS h
                     LEFT JOIN LATERAL (
                            SELECT seq, hash FROM audit_anchors
                             WHERE tenant_id = caller.tenant_id AND (h.first IS NULL OR seq < h.first)
                             ORDER BY seq DESC LIMIT 1) AS a ON true"#,
                caller.tenant_id(),
                caller.session_id(),
                from,
            )
        })
        .await?;
    let nothing = || NOTHING.to_vec();
    Ok(End {
        head: Head { seq: row.seq.unwrap_or(0), hash: row.hash.unwrap_or_else(nothing) },
        last: row.last.unwrap_or(0),
        anchor: row.anchor_seq.zip(row.anchor_hash).map(|(seq, hash)| Head { seq, hash }),
        before: if from == 1 { Some(nothing()) } else { row.before },
    })
}

/// The next records, after the last one that was checked: that one again, since
/// a second one of its number would stand behind it.
async fn links(db: &Db, caller: &Caller, chain: &Chain, to: i64) -> Result<Vec<Link>> {
    let from = if chain.next_seq() == 1 { i64::MIN } else { chain.next_seq() - 1 };
    db.fetch_all(|| {
        sqlx::query_as!(
            Link,
            r#"SELECT e.version, e.tenant_id, e.seq,
                      CASE WHEN isfinite(e.at) THEN (extract(epoch FROM e.at) * 1000000)::bigint END AS at_micros,
                      e.action, e.outcome, e.reason, e.actor_id, e.session_id, e.object_id, e.source_address,
                      e.request_id, e.details, e.prev_hash, e.hash
                 FROM app.enter($1, $2) AS caller,
              LATERAL (SELECT * FROM audit_events
                        WHERE tenant_id = caller.tenant_id AND seq >= $3 AND seq <= $4 ORDER BY seq LIMIT $5) AS e"#,
            caller.tenant_id(),
            caller.session_id(),
            from,
            to,
            i64::try_from(BATCH).unwrap_or(i64::MAX),
        )
    })
    .await
}

#[cfg(test)]
mod tests;
