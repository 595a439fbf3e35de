//! The months of the audit trail: made ahead, exported and dropped. See
//! docs/adr/0020-audit-retention.md.

use sqlx::Executor;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Failure, Maintenance};
use crate::{audit::Link, error::Result};

/// What [`Maintenance::make_audit_partitions`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MadePartitions {
    /// Months that were not there.
    pub made: i32,
    /// Records that the default partition had taken for want of their month.
    pub moved: i64,
    /// Records that are there still: of a month that is too large to be moved
    /// while others write, or of a time of which no month is made.
    pub left_over: i64,
    /// The time of the oldest of these.
    pub oldest_left: Option<OffsetDateTime>,
}

/// A month of the trail, in UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPartition {
    /// Its table.
    pub name: String,
    /// Its first moment.
    pub starts_at: OffsetDateTime,
    /// The next month's first.
    pub ends_at: OffsetDateTime,
}

/// A record up to which, with it, a chain is exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditAnchor {
    /// Its place in the chain.
    pub seq: i64,
    /// Its hash.
    pub hash: Vec<u8>,
}

impl Maintenance {
    /// Makes this month and so many after it, and those of records that wait
    /// in the default partition.
    ///
    /// # Errors
    /// `SYS_001` or `SYS_002`, as all of these; nothing was made.
    pub async fn make_audit_partitions(&mut self, months_ahead: i32) -> Result<MadePartitions> {
        self.begin().await?;
        let made = sqlx::query_as!(
            MadePartitions,
            r#"SELECT made AS "made!", moved AS "moved!", left_over AS "left_over!", oldest_left
                 FROM app.make_audit_partitions($1)"#,
            months_ahead,
        );
        let made = made.fetch_one(&mut self.0).await.map_err(|error| Failure::of(&error))?;
        self.commit().await?;
        Ok(made)
    }

    /// The months that there are, oldest first.
    ///
    /// # Errors
    /// `SYS_001` or `SYS_002`.
    pub async fn audit_partitions(&mut self) -> Result<Vec<AuditPartition>> {
        self.begin().await?;
        let partitions = sqlx::query_as!(
            AuditPartition,
            r#"SELECT name AS "name!", starts_at AS "starts_at!", ends_at AS "ends_at!" FROM app.audit_partitions()"#,
        );
        let partitions = partitions.fetch_all(&mut self.0).await.map_err(|error| Failure::of(&error))?;
        self.commit().await?;
        Ok(partitions)
    }

    /// The tenant's last anchor; none where nothing of its chain is exported.
    ///
    /// # Errors
    /// `SYS_001` or `SYS_002`.
    pub async fn audit_anchor(&mut self, tenant: Uuid) -> Result<Option<AuditAnchor>> {
        self.begin().await?;
        let anchor = sqlx::query_as!(
            AuditAnchor,
            r#"SELECT a.seq, a.hash
                 FROM app.enter_tenant($1) AS entered,
                      LATERAL (SELECT seq, hash FROM audit_anchors WHERE tenant_id = entered.tenant_id
                                ORDER BY seq DESC LIMIT 1) AS a"#,
            tenant,
        );
        let anchor = anchor.fetch_optional(&mut self.0).await.map_err(|error| Failure::of(&error))?;
        self.commit().await?;
        Ok(anchor)
    }

    /// Up to `limit` of the tenant's records of this month after `seq`, in
    /// their order.
    ///
    /// # Errors
    /// `SYS_001` or `SYS_002`.
    pub async fn audit_records_of(
        &mut self,
        month: &AuditPartition,
        tenant: Uuid,
        seq: i64,
        limit: i64,
    ) -> Result<Vec<Link>> {
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
                        WHERE tenant_id = entered.tenant_id AND seq > $2 AND at >= $3 AND at < $4
                        ORDER BY seq LIMIT $5) AS e
                ORDER BY e.seq"#,
            tenant,
            seq,
            month.starts_at,
            month.ends_at,
            limit,
        );
        let links = links.fetch_all(&mut self.0).await.map_err(|error| Failure::of(&error))?;
        self.commit().await?;
        Ok(links)
    }

    /// Notes that the tenant's chain is exported up to this record, and with
    /// it; once, however often it is told. `at` is the record's time in
    /// microseconds since 1970.
    ///
    /// # Errors
    /// `SYS_001` or `SYS_002`; nothing was noted.
    pub async fn anchor_audit(&mut self, tenant: Uuid, end: &AuditAnchor, at: i64) -> Result<()> {
        self.begin().await?;
        let enter = sqlx::query!("SELECT app.enter_tenant($1)", tenant);
        self.0.execute(enter).await.map_err(|error| Failure::of(&error))?;
        let anchor = sqlx::query!(
            "INSERT INTO audit_anchors (tenant_id, seq, hash, at)
                  VALUES ($1, $2, $3, 'epoch'::timestamptz + $4::bigint * interval '1 microsecond')
             ON CONFLICT DO NOTHING",
            tenant,
            end.seq,
            end.hash,
            at,
        );
        self.0.execute(anchor).await.map_err(|error| Failure::of(&error))?;
        self.commit().await
    }

    /// Drops a month whose every record is anchored, and says how many it had;
    /// none where it is gone already.
    ///
    /// # Errors
    /// `SYS_001` or `SYS_002`, also where some are not; nothing was dropped.
    pub async fn drop_audit_partition(&mut self, month: &AuditPartition) -> Result<Option<i64>> {
        self.begin().await?;
        let dropped = sqlx::query_scalar!("SELECT app.drop_audit_partition($1) AS dropped", month.name);
        let dropped = dropped.fetch_one(&mut self.0).await.map_err(|error| Failure::of(&error))?;
        self.commit().await?;
        Ok(dropped)
    }
}
