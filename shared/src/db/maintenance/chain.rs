//! A tenant's audit chain, as the signing of checkpoints reads it.

use audit_verify::{Checkpoint, SignedCheckpoint};
use sqlx::Executor as _;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Failure, Maintenance};
use crate::{
    audit::Link,
    error::{Code, Error, Result},
};

/// The ends of what is known of a chain, in one snapshot.
#[derive(Debug)]
pub struct ChainEnds {
    /// The chain's head; none where nothing was recorded.
    pub head: Option<(i64, Vec<u8>)>,
    /// The last checkpoint that was noted here.
    pub signed: Option<(i64, Vec<u8>)>,
}

impl Maintenance {
    /// The ends of a tenant's chain.
    ///
    /// # Errors
    /// As all of these.
    pub async fn chain_ends(&mut self, tenant: Uuid) -> Result<ChainEnds> {
        self.begin().await?;
        let ends = sqlx::query!(
            r#"SELECT h.seq AS "head_seq?", h.hash AS "head_hash?", c.seq AS "signed_seq?", c.hash AS "signed_hash?"
                 FROM app.enter_tenant($1) AS entered
                 LEFT JOIN LATERAL (SELECT seq, hash FROM audit_heads WHERE tenant_id = entered.tenant_id LIMIT 1) AS h ON true
                 LEFT JOIN LATERAL (SELECT seq, hash FROM audit_checkpoints WHERE tenant_id = entered.tenant_id
                                     ORDER BY seq DESC LIMIT 1) AS c ON true"#,
            tenant,
        );
        let ends = ends.fetch_one(&mut self.0).await.map_err(|error| Failure::of(&error))?;
        self.commit().await?;
        Ok(ChainEnds { head: ends.head_seq.zip(ends.head_hash), signed: ends.signed_seq.zip(ends.signed_hash) })
    }

    /// The records from `from` to `to`, in their order, `limit` of them at most.
    ///
    /// # Errors
    /// As all of these.
    pub async fn links(&mut self, tenant: Uuid, from: i64, to: i64, limit: i64) -> Result<Vec<Link>> {
        self.begin().await?;
        let links = sqlx::query_as!(
            Link,
            r#"SELECT e.version, e.tenant_id, e.seq,
                      CASE WHEN isfinite(e.at) THEN (extract(epoch FROM e.at) * 1000000)::bigint END AS at_micros,
                      e.action, e.outcome, e.reason, e.actor_id, e.session_id, e.object_id, e.source_address,
                      e.request_id, e.details, e.prev_hash, e.hash
                 FROM app.enter_tenant($1) AS entered,
              LATERAL (SELECT version, tenant_id, seq, at, action, outcome, reason, actor_id, session_id, object_id,
                              source_address, request_id, details, prev_hash, hash
                         FROM audit_events
                        WHERE tenant_id = entered.tenant_id AND seq >= $2 AND seq <= $3 ORDER BY seq LIMIT $4) AS e"#,
            tenant,
            from,
            to,
            limit,
        );
        let links = links.fetch_all(&mut self.0).await.map_err(|error| Failure::of(&error))?;
        self.commit().await?;
        Ok(links)
    }

    /// Notes a checkpoint that stands where it is kept. One that was noted
    /// before stays.
    ///
    /// # Errors
    /// It was not noted, or nobody knows.
    pub async fn note_checkpoint(&mut self, tenant: Uuid, signed: &SignedCheckpoint) -> Result<()> {
        let Checkpoint { seq, hash, time_micros, kid, .. } = &signed.checkpoint;
        let signed_at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(*time_micros) * 1_000)
            .map_err(|error| Error::new(Code::Internal).caused_by(error))?;
        self.begin().await?;
        let noted = sqlx::query!(
            "INSERT INTO audit_checkpoints (tenant_id, seq, hash, signed_at, kid, signature)
             SELECT entered.tenant_id, $2, $3, $4, $5, $6 FROM app.enter_tenant($1) AS entered
                 ON CONFLICT (tenant_id, seq) DO NOTHING",
            tenant,
            seq,
            &hash[..],
            signed_at,
            kid,
            &signed.signature,
        );
        self.0.execute(noted).await.map_err(|error| Failure::of(&error))?;
        self.commit().await
    }
}
