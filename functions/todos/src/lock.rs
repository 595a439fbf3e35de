//! The version of a todo that is about to change.

use shared::{Caller, Code, Result, db::Transaction};
use uuid::Uuid;

/// Locks one of the caller's own todos and returns its version.
pub(crate) async fn version_for_update(transaction: &mut Transaction, caller: &Caller, id: Uuid) -> Result<i64> {
    let version = sqlx::query_scalar!(
        "SELECT version FROM todos WHERE tenant_id = $1 AND owner_id = $2 AND id = $3 FOR UPDATE",
        caller.tenant_id(),
        caller.user_id(),
        id,
    )
    .fetch_optional(&mut *transaction)
    .await?;
    Ok(version.ok_or(Code::NotFound)?)
}
