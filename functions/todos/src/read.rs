//! `GET /api/v1/todos/{id}`

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header::ETAG};
use shared::{
    Caller, Code, Db, Result,
    etag::{IfNoneMatch, etag},
    extract::Path,
};
use uuid::Uuid;

use crate::todo::Todo;

/// One of the caller's own todos. One round trip.
pub(crate) async fn read(
    caller: Caller,
    State(db): State<Db>,
    Path(id): Path<Uuid>,
    known: IfNoneMatch,
) -> Result<Response> {
    let todo = db
        .fetch_optional(|| {
            sqlx::query_as!(
                Todo,
                r#"SELECT t.id, t.title, t.notes, t.completed, t.due_at, t.version, t.created_at, t.updated_at
                     FROM app.enter($1, $2) AS caller,
                  LATERAL (SELECT * FROM todos
                            WHERE tenant_id = caller.tenant_id AND owner_id = caller.user_id AND id = $3) AS t"#,
                caller.tenant_id(),
                caller.session_id(),
                id,
            )
        })
        .await?
        .ok_or(Code::NotFound)?;
    if known.holds(todo.version) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, etag(todo.version))]).into_response());
    }
    Ok(todo.into_response())
}
