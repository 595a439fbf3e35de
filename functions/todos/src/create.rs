//! `POST /api/v1/todos`

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header::LOCATION};
use serde::Deserialize;
use shared::{
    Caller, Db, Result,
    clock::SharedClock,
    extract::Rfc3339,
    idempotency::{Begun, Idempotent},
};

use crate::todo::{Notes, Title, Todo};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTodo {
    title: Title,
    notes: Option<Notes>,
    #[serde(default)]
    completed: bool,
    due_at: Option<Rfc3339>,
}

/// Creates a todo of the caller's own. Three round trips.
pub(crate) async fn create(
    caller: Caller,
    State(db): State<Db>,
    State(clock): State<SharedClock>,
    request: Idempotent<NewTodo>,
) -> Result<Response> {
    let mut transaction = match request.begin(&db, &caller).await? {
        Begun::New(transaction) => transaction,
        Begun::Replay(answer) => return Ok(answer),
    };
    let new = &request.body;
    let todo = sqlx::query_as!(
        Todo,
        r#"WITH todo AS (
               INSERT INTO todos (tenant_id, id, owner_id, title, notes, completed, due_at, created_at, updated_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
               RETURNING *
           ), audited AS (SELECT app.audit(id) FROM todo)
           SELECT id, title, notes, completed, due_at, version, created_at, updated_at FROM todo, audited"#,
        caller.tenant_id(),
        clock.new_id(),
        caller.user_id(),
        &*new.title,
        new.notes.as_deref(),
        new.completed,
        new.due_at.map(|due| due.0),
        clock.now(),
    )
    .fetch_one(&mut *transaction)
    .await?;
    let location = format!("/api/v1/todos/{}", todo.id);
    let answer = (StatusCode::CREATED, [(LOCATION, location)], todo).into_response();
    request.commit(transaction, &caller, answer).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::testing::{Event, TestApp};

    #[tokio::test]
    async fn a_new_todo_is_answered_whole_and_audited_once() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        let body = json!({ "title": "Call the clinic", "notes": "before noon", "due_at": "2026-12-01T10:00:00+01:00" });
        let answer = app.send(Event::post("/api/v1/todos", &body).bearer(&ada.token)).await;
        assert_eq!(answer.status, 201, "{:?}", answer.log);
        let todo = answer.json();
        assert_eq!(answer.header("etag"), "\"1\"");
        assert_eq!(answer.header("location"), format!("/api/v1/todos/{}", todo["id"].as_str().unwrap_or_default()));
        insta::assert_json_snapshot!(todo, { ".id" => "[id]", ".created_at" => "[time]", ".updated_at" => "[time]" }, @r#"
        {
          "completed": false,
          "created_at": "[time]",
          "due_at": "2026-12-01T09:00:00Z",
          "id": "[id]",
          "notes": "before noon",
          "title": "Call the clinic",
          "updated_at": "[time]",
          "version": 1
        }
        "#);
        let id = todo["id"].as_str().and_then(|id| id.parse().ok());
        assert_eq!(app.trail(ada.tenant).await, [("todos.create".into(), "success".into(), None, id)]);
    }
}
