//! `POST /api/v1/users/{id}/activate`

use axum::extract::State;
use shared::{Caller, Db, Result, clock::SharedClock, etag::IfMatch, extract::Path, user::User};
use uuid::Uuid;

use crate::standing::Standing;

/// Lets a user in again. The sessions that were ended stay so.
pub(crate) async fn activate(
    caller: Caller,
    State(db): State<Db>,
    State(clock): State<SharedClock>,
    Path(id): Path<Uuid>,
    expected: IfMatch,
) -> Result<User> {
    let mut transaction = db.begin(&caller).await?;
    Standing::lock(&mut transaction, id, &expected).await?;
    let user = sqlx::query_as!(
        User,
        r#"WITH changed AS (
               UPDATE users SET status = 'active', version = version + 1, updated_at = $3
                WHERE tenant_id = $1 AND id = $2
               RETURNING *
           ), audited AS (SELECT app.audit(id) FROM changed)
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
