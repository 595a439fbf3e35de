//! `DELETE /api/v1/users/{id}`

use axum::extract::State;
use http::StatusCode;
use shared::{Caller, Db, Result, clock::SharedClock, etag::IfMatch, extract::Path};
use uuid::Uuid;

use crate::standing::Standing;

/// Deletes a user: its id stays, for the trail to name; the person goes.
/// `app.delete_user` is the list of what does.
pub(crate) async fn delete(
    caller: Caller,
    State(db): State<Db>,
    State(clock): State<SharedClock>,
    Path(id): Path<Uuid>,
    expected: IfMatch,
) -> Result<StatusCode> {
    let mut transaction = db.begin(&caller).await?;
    Standing::lock(&mut transaction, id, &expected).await?.may_cease_to_be_admin()?;
    sqlx::query!("SELECT app.audit(deleted.id) AS seq FROM app.delete_user($1, $2) AS deleted(id)", id, clock.now(),)
        .fetch_one(&mut transaction)
        .await?;
    transaction.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests;
