//! What is locked before a provider changes.

use shared::{Caller, Code, Result, db::Transaction};
use uuid::Uuid;

/// A provider as it stands before a change.
pub(crate) struct Standing {
    pub(crate) version: i64,
    pub(crate) issuer: String,
    pub(crate) has_client_secret: bool,
}

/// Locks one of the tenant's providers.
pub(crate) async fn provider_for_update(transaction: &mut Transaction, caller: &Caller, id: Uuid) -> Result<Standing> {
    let standing = sqlx::query_as!(
        Standing,
        r#"SELECT version, issuer, client_secret_ciphertext IS NOT NULL AS "has_client_secret!"
             FROM identity_providers WHERE tenant_id = $1 AND id = $2 FOR UPDATE"#,
        caller.tenant_id(),
        id,
    )
    .fetch_optional(&mut *transaction)
    .await?;
    Ok(standing.ok_or(Code::NotFound)?)
}

/// Locks the tenant, so that who counts its providers counts all of them.
/// `NO KEY`, for the reason that [`crate::current::update`] gives.
pub(crate) async fn tenant_for_update(transaction: &mut Transaction, caller: &Caller) -> Result<()> {
    sqlx::query!("SELECT id FROM tenants WHERE id = $1 FOR NO KEY UPDATE", caller.tenant_id())
        .fetch_one(&mut *transaction)
        .await?;
    Ok(())
}
