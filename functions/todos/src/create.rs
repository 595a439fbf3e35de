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

use crate::todo::{Notes, SealedNotes, StoredTodo, Title};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTodo {
    title: Title,
    notes: Option<Notes>,
    #[serde(default)]
    completed: bool,
    due_at: Option<Rfc3339>,
}

/// Creates a todo of the caller's own. Three round trips, and the tenant's key
/// before them where it is not at hand.
pub(crate) async fn create(
    caller: Caller,
    State(db): State<Db>,
    State(clock): State<SharedClock>,
    State(sealed): State<SealedNotes>,
    request: Idempotent<NewTodo>,
) -> Result<Response> {
    let (id, new) = (clock.new_id(), &request.body);
    let notes = sealed.seal(&caller, id, new.notes.as_ref()).await?;
    let mut transaction = match request.begin(&db, &caller).await? {
        Begun::New(transaction) => transaction,
        Begun::Replay(answer) => return Ok(answer),
    };
    let todo = sqlx::query_as!(
        StoredTodo,
        r#"WITH todo AS (
               INSERT INTO todos
                   (tenant_id, id, owner_id, title, notes_ciphertext, completed, due_at, created_at, updated_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
               RETURNING *
           ), audited AS (SELECT app.audit(id) FROM todo)
           SELECT id, title, notes_ciphertext, completed, due_at, version, created_at, updated_at FROM todo, audited"#,
        caller.tenant_id(),
        id,
        caller.user_id(),
        &*new.title,
        notes,
        new.completed,
        new.due_at.map(|due| due.0),
        clock.now(),
    )
    .fetch_one(&mut transaction)
    .await?;
    let location = format!("/api/v1/todos/{}", todo.id);
    let todo = todo.with_notes(new.notes.as_deref().map(str::to_owned));
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

    #[tokio::test]
    async fn a_field_that_does_not_fit_is_named() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        for (body, field, message) in [
            (json!({}), "title", "is required"),
            (json!({ "title": null }), "title", "has a value of the wrong type or form"),
            (json!({ "title": "" }), "title", "must have 1 to 200 characters"),
            (json!({ "title": " \t\n" }), "title", "must have 1 to 200 characters"),
            (json!({ "title": "ä".repeat(201) }), "title", "must have 1 to 200 characters"),
            (json!({ "title": "a\0b" }), "title", "must not contain NUL"),
            (json!({ "title": 7 }), "title", "has a value of the wrong type or form"),
            (json!({ "title": "x", "notes": "n".repeat(10_001) }), "notes", "must have 0 to 10000 characters"),
            (json!({ "title": "x", "notes": "\0" }), "notes", "must not contain NUL"),
            (json!({ "title": "x", "notes": ["n"] }), "notes", "has a value of the wrong type or form"),
            (json!({ "title": "x", "completed": null }), "completed", "has a value of the wrong type or form"),
            (json!({ "title": "x", "completed": "yes" }), "completed", "has a value of the wrong type or form"),
            (json!({ "title": "x", "due_at": "2026-12-01" }), "due_at", "must be an RFC 3339 time"),
            (json!({ "title": "x", "due_at": 1_795_255_200 }), "due_at", "has a value of the wrong type or form"),
            (json!({ "title": "x", "id": "7" }), "id", "is not a field of this request"),
            (json!({ "title": "x", "tenant_id": ada.tenant }), "tenant_id", "is not a field of this request"),
            (json!({ "title": "x", "owner_id": ada.user }), "owner_id", "is not a field of this request"),
        ] {
            let answer = app.send(Event::post("/api/v1/todos", &body).bearer(&ada.token)).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (422, "VAL_001"), "{field} {message}");
            assert_eq!(answer.json()["error"]["fields"], json!([{ "field": field, "message": message }]));
        }
        let twice = Event::post("/api/v1/todos", &json!({})).body("application/json", r#"{"title":"a","title":"b"}"#);
        let answer = app.send(twice.bearer(&ada.token)).await;
        assert_eq!(answer.json()["error"]["fields"][0]["message"], "must be given once");
        let trail = app.trail(ada.tenant).await;
        let refused = ("todos.create".into(), "failure".into(), Some("VAL_001".into()), None);
        assert_eq!((trail.len(), trail.iter().all(|record| *record == refused)), (18, true), "one record each");
    }

    #[tokio::test]
    async fn the_longest_values_fit_to_the_character() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        let body = json!({ "title": "\u{1F642}".repeat(200), "notes": "\u{1F642}".repeat(10_000), "completed": true });
        let answer = app.send(Event::post("/api/v1/todos", &body).bearer(&ada.token)).await;
        assert_eq!(answer.status, 201, "{:?}", answer.log);
        for field in ["title", "notes", "completed"] {
            assert_eq!(answer.json()[field], body[field]);
        }
    }

    #[tokio::test]
    async fn a_body_that_is_no_object_is_refused() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        for body in [json!(["positional", null, true, null]), json!("x"), json!(7), json!(null)] {
            let answer = app.send(Event::post("/api/v1/todos", &body).bearer(&ada.token)).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (422, "VAL_001"), "{body}");
            assert_eq!(answer.json()["error"]["detail"], "The body must be a JSON object.");
            assert!(answer.json()["error"].get("fields").is_none());
        }
    }

    #[tokio::test]
    async fn a_time_that_cannot_be_written_in_utc_is_refused() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        for (due, status) in [
            ("9999-12-31T23:59:59-00:01", 422),
            ("0000-01-01T00:00:00+00:01", 422),
            ("9999-12-31T23:59:59.999999Z", 201),
            ("0000-01-01T00:00:00Z", 201),
            ("2016-12-31T23:59:60Z", 201),
        ] {
            let body = json!({ "title": "far away", "due_at": due });
            let answer = app.send(Event::post("/api/v1/todos", &body).bearer(&ada.token)).await;
            assert_eq!(answer.status, status, "{due}: {:?}", answer.log);
            let list = app.send(Event::get("/api/v1/todos").bearer(&ada.token)).await;
            assert_eq!(list.status, 200, "after {due}");
        }
    }
}
