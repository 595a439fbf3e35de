//! `DELETE /api/v1/auth/sessions/{id}`

use axum::extract::State;
use http::{HeaderMap, StatusCode};
use shared::{
    Caller, Code, Db, Result,
    extract::Path,
    session::cookie::{self, SetCookie},
};
use uuid::Uuid;

/// Ends one of the caller's own sessions, at once and on every function.
pub(crate) async fn delete(
    caller: Caller,
    State(db): State<Db>,
    headers: HeaderMap,
    Path(id): Path<Uuid>,
) -> Result<(SetCookie, StatusCode)> {
    let mut transaction = db.begin(&caller).await?;
    sqlx::query!(
        r#"WITH ended AS (
               UPDATE sessions SET ended_at = now()
                WHERE tenant_id = $1 AND user_id = $2 AND id = $3
                  AND app.session_lives(ended_at, over_at)
               RETURNING id
           )
           SELECT app.audit(id) AS seq FROM ended"#,
        caller.tenant_id(),
        caller.user_id(),
        id,
    )
    .fetch_optional(&mut transaction)
    .await?
    .ok_or(Code::NotFound)?;
    transaction.commit().await?;
    let cookie = if id == caller.session_id() { cookie::forget(&headers) } else { None };
    Ok((cookie, StatusCode::NO_CONTENT))
}
