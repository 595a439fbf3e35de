//! `PATCH /api/v1/todos/{id}`

use axum::extract::State;
use serde::Deserialize;
use shared::{
    Caller, Code, Db, Result,
    clock::SharedClock,
    etag::IfMatch,
    extract::{Change, Json, Path, Rfc3339, if_given},
};
use uuid::Uuid;

use crate::{
    lock::version_for_update,
    todo::{Notes, Title, Todo},
};

/// What is absent stays; null clears.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Changes {
    #[serde(default, deserialize_with = "if_given")]
    title: Option<Title>,
    #[serde(default)]
    notes: Change<Notes>,
    #[serde(default, deserialize_with = "if_given")]
    completed: Option<bool>,
    #[serde(default)]
    due_at: Change<Rfc3339>,
}

/// Changes one of the caller's own todos.
pub(crate) async fn update(
    caller: Caller,
    State(db): State<Db>,
    State(clock): State<SharedClock>,
    Path(id): Path<Uuid>,
    expected: IfMatch,
    Json(changes): Json<Changes>,
) -> Result<Todo> {
    let mut transaction = db.begin(&caller).await?;
    expected.check(version_for_update(&mut transaction, &caller, id).await?)?;
    let todo = sqlx::query_as!(
        Todo,
        r#"WITH todo AS (
               UPDATE todos
                  SET title = coalesce($4, title),
                      notes = CASE WHEN $5 THEN $6 ELSE notes END,
                      completed = coalesce($7, completed),
                      due_at = CASE WHEN $8 THEN $9 ELSE due_at END,
                      version = version + 1,
                      updated_at = $10
                WHERE tenant_id = $1 AND owner_id = $2 AND id = $3
               RETURNING *
           ), audited AS (SELECT app.audit(id) FROM todo)
           SELECT id, title, notes, completed, due_at, version, created_at, updated_at FROM todo, audited"#,
        caller.tenant_id(),
        caller.user_id(),
        id,
        changes.title.as_deref(),
        changes.notes.is_given(),
        changes.notes.value().map(|notes| &**notes),
        changes.completed,
        changes.due_at.is_given(),
        changes.due_at.value().map(|due| due.0),
        clock.now(),
    )
    .fetch_optional(&mut *transaction)
    .await?
    .ok_or(Code::NotFound)?;
    transaction.commit().await?;
    Ok(todo)
}
