//! `PATCH /api/v1/todos/{id}`

use axum::extract::State;
use serde::Deserialize;
use shared::{
    Caller, Code, Db, Result,
    audit::{Details, TodoField, given},
    clock::SharedClock,
    etag::IfMatch,
    extract::{Change, Json, Path, Rfc3339, if_given},
};
use uuid::Uuid;

use crate::{
    lock::version_for_update,
    todo::{Notes, SealedNotes, StoredTodo, Title, Todo},
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

impl Changes {
    fn details(&self) -> Details {
        let fields = given(&[
            (TodoField::Title, self.title.is_some()),
            (TodoField::Notes, self.notes.is_given()),
            (TodoField::Completed, self.completed.is_some()),
            (TodoField::DueAt, self.due_at.is_given()),
        ]);
        Details::TodoChanged { fields }
    }
}

/// Changes one of the caller's own todos.
pub(crate) async fn update(
    caller: Caller,
    State(db): State<Db>,
    State(clock): State<SharedClock>,
    State(sealed): State<SealedNotes>,
    Path(id): Path<Uuid>,
    expected: IfMatch,
    Json(changes): Json<Changes>,
) -> Result<Todo> {
    sealed.ready(&caller).await?;
    let notes = sealed.seal(&caller, id, changes.notes.value()).await?;
    let mut transaction = db.begin(&caller).await?;
    expected.check(version_for_update(&mut transaction, &caller, id).await?)?;
    let todo = sqlx::query_as!(
        StoredTodo,
        r#"WITH todo AS (
               UPDATE todos
                  SET title = coalesce($4, title),
                      notes_ciphertext = CASE WHEN $5 THEN $6 ELSE notes_ciphertext END,
                      completed = coalesce($7, completed),
                      due_at = CASE WHEN $8 THEN $9 ELSE due_at END,
                      version = version + 1,
                      updated_at = $10
                WHERE tenant_id = $1 AND owner_id = $2 AND id = $3
               RETURNING *
           ), audited AS (SELECT app.audit(id, $11) FROM todo)
           SELECT id, title, notes_ciphertext, completed, due_at, version, created_at, updated_at FROM todo, audited"#,
        caller.tenant_id(),
        caller.user_id(),
        id,
        changes.title.as_deref(),
        changes.notes.is_given(),
        notes,
        changes.completed,
        changes.due_at.is_given(),
        changes.due_at.value().map(|due| due.0),
        clock.now(),
        changes.details().text_for(caller.action()),
    )
    .fetch_optional(&mut transaction)
    .await?
    .ok_or(Code::NotFound)?;
    // Before the commit: a change that cannot be answered has not happened.
    let todo = sealed.open(&caller, todo).await?;
    transaction.commit().await?;
    Ok(todo)
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::{Value, json};
    use shared::{
        auth::Role,
        testing::{Event, Member, TestApp},
    };

    async fn with_todo() -> (TestApp<crate::Todos>, Member, Value, String) {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        let body = json!({ "title": "Call", "notes": "before noon", "due_at": "2026-12-01T09:00:00Z" });
        let created = app.send(Event::post("/api/v1/todos", &body).bearer(&ada.token)).await;
        let target = created.header("location").to_owned();
        (app, ada, created.json(), target)
    }

    fn patch(target: &str, token: &str, version: &str, changes: &Value) -> Event {
        Event::new(&Method::PATCH, target).bearer(token).header("if-match", version).json(changes)
    }

    #[tokio::test]
    async fn a_change_touches_what_it_names_and_nothing_else() {
        let (app, ada, created, target) = with_todo().await;
        let answer = app.send(patch(&target, &ada.token, "\"1\"", &json!({ "completed": true }))).await;
        let changed = answer.json();
        assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, "\"2\""));
        assert_eq!((&changed["completed"], &changed["version"]), (&json!(true), &json!(2)));
        for same in ["id", "title", "notes", "due_at", "created_at"] {
            assert_eq!(changed[same], created[same], "{same}");
        }
        assert!(changed["updated_at"].as_str() > created["updated_at"].as_str());
        let cleared = app.send(patch(&target, &ada.token, "\"2\"", &json!({ "notes": null, "due_at": null }))).await;
        assert_eq!((&cleared.json()["notes"], &cleared.json()["due_at"]), (&Value::Null, &Value::Null));
        let renamed = app.send(patch(&target, &ada.token, "\"3\"", &json!({ "title": "Write" }))).await;
        assert_eq!((&renamed.json()["title"], &renamed.json()["version"]), (&json!("Write"), &json!(4)));
        let trail = app.trail(ada.tenant).await;
        let id = created["id"].as_str().and_then(|id| id.parse().ok());
        assert_eq!(trail.len(), 4, "a record for each change");
        assert!(trail[1..].iter().all(|record| *record == ("todos.update".into(), "success".into(), None, id)));
        assert_eq!(
            app.details(ada.tenant, "todos.update").await,
            [r#"{"fields":["completed"]}"#, r#"{"fields":["notes","due_at"]}"#, r#"{"fields":["title"]}"#]
        );
    }

    #[tokio::test]
    async fn a_change_needs_the_version_that_stands() {
        let (app, ada, created, target) = with_todo().await;
        let none = Event::new(&Method::PATCH, &target).bearer(&ada.token).json(&json!({ "title": "x" }));
        let answer = app.send(none).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (428, "REQ_006"));
        for stale in ["\"0\"", "\"2\"", "W/\"1\"", "1"] {
            let answer = app.send(patch(&target, &ada.token, stale, &json!({ "title": "x" }))).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (412, "REQ_007"), "{stale}");
        }
        assert_eq!(app.send(Event::get(&target).bearer(&ada.token)).await.json(), created);
        assert_eq!(app.send(patch(&target, &ada.token, "*", &json!({}))).await.json()["version"], 2);
    }

    #[tokio::test]
    async fn of_two_changes_to_one_version_one_wins() {
        let (app, ada, _, target) = with_todo().await;
        let other = app.another(crate::routes()).await;
        let change = patch(&target, &ada.token, "\"1\"", &json!({ "title": "mine" }));
        let (one, two) = tokio::join!(app.send(change.clone()), other.send(change));
        let mut statuses = [one.status.as_u16(), two.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412]);
    }

    #[tokio::test]
    async fn a_change_that_does_not_fit_is_422_at_its_field() {
        let (app, ada, created, target) = with_todo().await;
        for (changes, field) in [
            (json!({ "title": null }), "title"),
            (json!({ "title": "" }), "title"),
            (json!({ "title": "a\0b" }), "title"),
            (json!({ "completed": null }), "completed"),
            (json!({ "completed": "true" }), "completed"),
            (json!({ "notes": 7 }), "notes"),
            (json!({ "due_at": "soon" }), "due_at"),
            (json!({ "version": 9 }), "version"),
            (json!({ "owner_id": created["id"] }), "owner_id"),
        ] {
            let answer = app.send(patch(&target, &ada.token, "\"1\"", &changes)).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (422, "VAL_001"), "{changes}");
            assert_eq!(answer.json()["error"]["fields"][0]["field"], field, "{changes}");
        }
        assert_eq!(app.send(Event::get(&target).bearer(&ada.token)).await.json(), created);
    }

    #[tokio::test]
    async fn a_foreign_todo_is_not_changed() {
        let (app, ada, created, target) = with_todo().await;
        let (eve, colleague) = (app.tenant("evil").await, app.member(ada.tenant, Role::Admin).await);
        let unknown = format!("/api/v1/todos/{}", ada.session);
        for token in [&eve.token, &colleague.token] {
            let send =
                |target: &str| patch(target, token, "*", &json!({ "title": "x" })).header("x-request-id", "same");
            let (foreign, unknown) = (app.send(send(&target)).await, app.send(send(&unknown)).await);
            assert_eq!((foreign.status.as_u16(), foreign.code().as_str()), (404, "RES_001"));
            assert_eq!((foreign.bytes, foreign.headers), (unknown.bytes, unknown.headers));
        }
        assert_eq!(app.send(Event::get(&target).bearer(&ada.token)).await.json(), created);
    }
}
