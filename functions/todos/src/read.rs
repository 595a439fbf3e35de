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

use crate::todo::{SealedNotes, StoredTodo};

/// One of the caller's own todos. One round trip, where the
/// tenant's key is at hand.
pub(crate) async fn read(
    caller: Caller,
    State(db): State<Db>,
    State(sealed): State<SealedNotes>,
    Path(id): Path<Uuid>,
    known: IfNoneMatch,
) -> Result<Response> {
    let todo = db
        .fetch_optional(|| {
            sqlx::query_as!(
                StoredTodo,
                r#"SELECT t.id, t.title, t.notes_ciphertext, t.completed, t.due_at, t.version, t.created_at, t.updated_at
                     FROM app.enter($1, $2) AS caller,
                  LATERAL (SELECT * FROM todos
                            WHERE tenant_id = caller.tenant_id AND owner_id = caller.user_id AND id = $3
                            LIMIT 1) AS t"#,
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
    Ok(sealed.open(&caller, todo).await?.into_response())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::{
        auth::Role,
        testing::{Event, TestApp},
    };

    #[tokio::test]
    async fn a_todo_is_read_as_it_was_created() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        let body = json!({ "title": "Call the clinic", "notes": "", "due_at": "2026-12-01T09:00:00.123456789Z" });
        let created = app.send(Event::post("/api/v1/todos", &body).bearer(&ada.token)).await;
        let answer = app.send(Event::get(created.header("location")).bearer(&ada.token)).await;
        assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, "\"1\""));
        assert_eq!(answer.json(), created.json());
        assert_eq!(answer.json()["due_at"], "2026-12-01T09:00:00.123456Z");
    }

    #[tokio::test]
    async fn a_known_version_is_not_sent_again() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        let created = app.send(Event::post("/api/v1/todos", &json!({ "title": "once" })).bearer(&ada.token)).await;
        let read = Event::get(created.header("location")).bearer(&ada.token);
        for (known, status) in
            [("\"1\"", 304), ("W/\"1\"", 304), ("\"7\", \"1\"", 304), ("*", 304), ("\"2\"", 200), ("1", 200)]
        {
            let answer = app.send(read.clone().header("if-none-match", known)).await;
            assert_eq!(answer.status, status, "{known}");
            assert_eq!(answer.header("etag"), "\"1\"", "{known}");
            assert_eq!(answer.bytes.is_empty(), status == 304, "{known}");
        }
    }

    #[tokio::test]
    async fn a_foreign_todo_an_unknown_and_an_impossible_id_are_one_404_byte_for_byte() {
        let app = TestApp::start(crate::routes()).await;
        let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
        let colleague = app.member(ada.tenant, Role::Admin).await;
        let created = app.send(Event::post("/api/v1/todos", &json!({ "title": "hers" })).bearer(&ada.token)).await;
        let target = created.header("location");
        let read = |target: &str, token: &str| Event::get(target).bearer(token).header("x-request-id", "the-same");
        let unknown = app.send(read("/api/v1/todos/0193a1b2-0000-7000-8000-000000000001", &eve.token)).await;
        assert_eq!((unknown.status.as_u16(), unknown.code().as_str()), (404, "RES_001"));
        for (target, token) in [
            (target, &eve.token),
            (target, &colleague.token),
            ("/api/v1/todos/no-id", &eve.token),
            ("/api/v1/todos/%00", &eve.token),
            ("/api/v1/todos/%FF", &eve.token),
            ("/api/v1/todos/..%2F..%2Ftodos", &eve.token),
        ] {
            let answer = app.send(read(target, token)).await;
            assert_eq!(answer.status, unknown.status, "{target}");
            assert_eq!(answer.bytes, unknown.bytes, "{target}");
            assert_eq!(answer.headers, unknown.headers, "{target}");
        }
    }

    #[tokio::test]
    async fn a_reach_for_what_is_not_there_is_recorded_in_the_callers_own_trail() {
        let app = TestApp::start(crate::routes()).await;
        let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
        let created = app.send(Event::post("/api/v1/todos", &json!({ "title": "hers" })).bearer(&ada.token)).await;
        app.send(Event::get(created.header("location")).bearer(&eve.token)).await;
        let id = created.json()["id"].as_str().and_then(|id| id.parse().ok());
        let record = ("todos.read".into(), "failure".into(), Some("RES_001".into()), id);
        assert_eq!(app.trail(eve.tenant).await, [record]);
        assert_eq!(app.trail(ada.tenant).await.len(), 1, "her own creation");
    }
}
