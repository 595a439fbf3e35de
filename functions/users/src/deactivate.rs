//! `POST /api/v1/users/{id}/deactivate`

use axum::extract::State;
use shared::{Caller, Db, Result, clock::SharedClock, etag::IfMatch, extract::Path, user::User};
use uuid::Uuid;

use crate::standing::Standing;

/// Shuts a user out: its sessions end, and it begins none. It needs no
/// `Idempotency-Key`: sent twice, the second is told by `If-Match`.
pub(crate) async fn deactivate(
    caller: Caller,
    State(db): State<Db>,
    State(clock): State<SharedClock>,
    Path(id): Path<Uuid>,
    expected: IfMatch,
) -> Result<User> {
    let mut transaction = db.begin(&caller).await?;
    Standing::lock(&mut transaction, id, &expected).await?.may_cease_to_be_admin()?;
    let user = sqlx::query_as!(
        User,
        r#"WITH changed AS (
               UPDATE users SET status = 'inactive', version = version + 1, updated_at = $3
                WHERE tenant_id = $1 AND id = $2
               RETURNING *
           ), ended AS (SELECT app.end_sessions(id) AS sessions FROM changed
           ), audited AS (SELECT app.audit(id) FROM changed, ended)
           SELECT id, email, display_name, role, status, version, created_at, updated_at, last_login_at
             FROM changed, audited"#,
        caller.tenant_id(),
        id,
        clock.now(),
    )
    .fetch_one(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(user)
}
