//! The stored data keys of one tenant.
//!
//! They are read by the tenant alone, not by a session: a [`TenantId`] is
//! verified already, and the statement that reads or writes the sealed row is
//! the one that asks whether the session lives.

use crate::{auth::TenantId, db::Db, error::Result, kms::WrappedKey};

/// How many versions are read: rotated once a year, they last for a century.
const MOST_VERSIONS: i64 = 100;

/// One version of a tenant's data key.
#[derive(Debug, Clone)]
pub(super) struct StoredKey {
    pub(super) version: i32,
    pub(super) wrapped: WrappedKey,
}

/// The tenant's data keys, newest first, in one round trip.
pub(super) async fn read(db: &Db, tenant: TenantId) -> Result<Vec<StoredKey>> {
    let rows = db.fetch_all(|| {
        sqlx::query!(
            r#"SELECT k.version AS "version!", k.wrapped AS "wrapped!", k.kms_key_id AS "kms_key_id!"
                 FROM app.enter_tenant($1) AS entered,
              LATERAL (SELECT version, wrapped, kms_key_id FROM tenant_keys
                        WHERE tenant_id = entered.tenant_id ORDER BY version DESC LIMIT $2) AS k"#,
            tenant.as_uuid(),
            MOST_VERSIONS,
        )
    });
    let stored = |version, bytes, kms_key_id| StoredKey { version, wrapped: WrappedKey { bytes, kms_key_id } };
    Ok(rows.await?.into_iter().map(|row| stored(row.version, row.wrapped, row.kms_key_id)).collect())
}

/// Adds `key` and says whether it did: another environment may have been first.
pub(super) async fn add(db: &Db, tenant: TenantId, key: &StoredKey) -> Result<bool> {
    // Run twice it adds once, as `Db` asks of what it may send again.
    let added = db.fetch_optional(|| {
        sqlx::query!(
            "INSERT INTO tenant_keys (tenant_id, version, wrapped, kms_key_id)
             SELECT entered.tenant_id, $2, $3, $4 FROM app.enter_tenant($1) AS entered
             ON CONFLICT DO NOTHING RETURNING version",
            tenant.as_uuid(),
            key.version,
            &key.wrapped.bytes,
            &key.wrapped.kms_key_id,
        )
    });
    Ok(added.await?.is_some())
}
