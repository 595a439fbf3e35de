//! `GET /api/v1/todos`

use axum::extract::{OriginalUri, State};
use serde::Deserialize;
use shared::{
    Caller, Db, Result,
    extract::{Query, Rfc3339},
    page::{Cursors, Limit, Page},
};

use crate::todo::Todo;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    completed: Option<bool>,
    due_before: Option<Rfc3339>,
    #[serde(default)]
    limit: Limit,
    cursor: Option<String>,
}

/// The caller's own todos, newest first. One round trip.
pub(crate) async fn list(
    caller: Caller,
    State(db): State<Db>,
    State(cursors): State<Cursors>,
    OriginalUri(uri): OriginalUri,
    Query(filter): Query<Filter>,
) -> Result<Page<Todo>> {
    let after = cursors.open(&caller, filter.cursor.as_deref())?;
    let rows = db
        .fetch_all(|| {
            sqlx::query_as!(
                Todo,
                r#"SELECT t.id, t.title, t.notes, t.completed, t.due_at, t.version, t.created_at, t.updated_at
                     FROM app.enter($1, $2) AS caller,
                  LATERAL (SELECT * FROM todos
                            WHERE tenant_id = caller.tenant_id AND owner_id = caller.user_id
                              AND ($3::boolean IS NULL OR completed = $3)
                              AND ($4::timestamptz IS NULL OR due_at < $4)
                              AND ($5::uuid IS NULL OR id < $5)
                            ORDER BY id DESC LIMIT $6) AS t"#,
                caller.tenant_id(),
                caller.session_id(),
                filter.completed,
                filter.due_before.map(|due| due.0),
                after,
                filter.limit.rows(),
            )
        })
        .await?;
    Ok(cursors.page(&caller, filter.limit, rows, uri, |todo| todo.id))
}
