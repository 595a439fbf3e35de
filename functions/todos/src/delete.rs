//! `DELETE /api/v1/todos/{id}`

use axum::extract::State;
use http::StatusCode;
use shared::{Caller, Db, Result, etag::IfMatch, extract::Path};
use uuid::Uuid;

use crate::lock::version_for_update;

/// Deletes one of the caller's own todos.
pub(crate) async fn delete(
    caller: Caller,
    State(db): State<Db>,
    Path(id): Path<Uuid>,
    expected: IfMatch,
) -> Result<StatusCode> {
    let mut transaction = db.begin(&caller).await?;
    expected.check(version_for_update(&mut transaction, &caller, id).await?)?;
    sqlx::query!(
        r#"WITH todo AS (
               DELETE FROM todos WHERE tenant_id = $1 AND owner_id = $2 AND id = $3 RETURNING id
           )
           SELECT app.audit(id) AS seq FROM todo"#,
        caller.tenant_id(),
        caller.user_id(),
        id,
    )
    .fetch_one(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
