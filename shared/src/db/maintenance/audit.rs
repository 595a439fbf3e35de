//! The audit trail of one tenant, for its checkpoints.

use uuid::Uuid;

use super::Maintenance;
use crate::{db::failure::Failure, error::Result};

/// How far a tenant's chain has come, as the database says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditHead {
    /// The last record.
    pub seq: i64,
    /// Its hash.
    pub hash: Vec<u8>,
}

/// A record; docs/AUDIT.md describes the fields. UUIDs are text.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "docs/AUDIT.md describes the fields")]
pub struct AuditRow {
    pub version: i16,
    pub tenant_id: String,
    pub seq: i64,
    /// Microseconds since 1970.
    pub at: i64,
    pub action: String,
    pub outcome: String,
    pub reason: Option<String>,
    pub actor_id: Option<String>,
    pub session_id: Option<String>,
    pub object_id: Option<String>,
    pub source_address: Option<String>,
    pub request_id: Option<String>,
    pub details: Option<String>,
    pub prev_hash: Vec<u8>,
    pub hash: Vec<u8>,
}

impl Maintenance {
    /// The head of a tenant's chain; none where nothing was recorded.
    ///
    /// # Errors
    /// `SYS_001` or `SYS_002`.
    pub async fn audit_head(&mut self, tenant: Uuid) -> Result<Option<AuditHead>> {
        self.begin().await?;
        let head = sqlx::query_as!(
            AuditHead,
            r#"SELECT h.seq, h.hash
                 FROM app.enter_tenant($1) AS entered,
                      LATERAL (SELECT seq, hash FROM audit_heads WHERE tenant_id = entered.tenant_id LIMIT 1) AS h"#,
            tenant,
        );
        let head = head.fetch_optional(&mut self.0).await.map_err(|error| Failure::of(&error))?;
        self.commit().await?;
        Ok(head)
    }

    /// Up to `limit` records of a tenant after `seq`, in their order.
    ///
    /// # Errors
    /// `SYS_001` or `SYS_002`.
    pub async fn audit_records(&mut self, tenant: Uuid, seq: i64, limit: i64) -> Result<Vec<AuditRow>> {
        self.begin().await?;
        // By the row's JSON, what the table has no column for yet is the first version's.
        let rows = sqlx::query_as!(
            AuditRow,
            r#"SELECT coalesce((to_jsonb(e) ->> 'version')::smallint, 1::smallint) AS "version!",
                      e.tenant_id::text AS "tenant_id!", e.seq,
                      (extract(epoch FROM e.at) * 1000000)::bigint AS "at!", e.action, e.outcome, e.reason,
                      e.actor_id::text, e.session_id::text, e.object_id::text, e.source_address, e.request_id,
                      to_jsonb(e) ->> 'details' AS details, e.prev_hash, e.hash
                 FROM app.enter_tenant($1) AS entered,
                      LATERAL (SELECT * FROM audit_events WHERE tenant_id = entered.tenant_id AND seq > $2
                                ORDER BY seq LIMIT $3) AS e
                ORDER BY e.seq"#,
            tenant,
            seq,
            limit,
        );
        let rows = rows.fetch_all(&mut self.0).await.map_err(|error| Failure::of(&error))?;
        self.commit().await?;
        Ok(rows)
    }
}
