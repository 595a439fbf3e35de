//! What is locked before a provider changes.

use shared::{Caller, Code, Result, db::Transaction};
use uuid::Uuid;

/// Locks one of the tenant's providers and returns its version.
pub(crate) async fn version_for_update(transaction: &mut Transaction, caller: &Caller, id: Uuid) -> Result<i64> {
    let version = sqlx::query_scalar!(
        "SELECT version FROM identity_providers WHERE tenant_id = $1 AND id = $2 FOR UPDATE",
        caller.tenant_id(),
        id,
    )
    .fetch_optional(&mut *transaction)
    .await?;
    Ok(version.ok_or(Code::NotFound)?)
}

/// Locks the tenant, so that who counts its providers counts all of them.
/// `NO KEY`, for the reason that [`crate::current::update`] gives.
pub(crate) async fn tenant_for_update(transaction: &mut Transaction, caller: &Caller) -> Result<()> {
    sqlx::query!("SELECT id FROM tenants WHERE id = $1 FOR NO KEY UPDATE", caller.tenant_id())
        .fetch_one(&mut *transaction)
        .await?;
    Ok(())
}
