//! `DELETE /api/v1/todos/{id}`

use axum::extract::State;
use http::StatusCode;
use shared::{Caller, Db, Result, etag::IfMatch, extract::Path};
use uuid::Uuid;

use crate::lock::version_for_update;

/// Deletes one of the caller's own todos.
pub(crate) async fn delete(
    caller: Caller,
    State(db): State<Db>,
    Path(id): Path<Uuid>,
    expected: IfMatch,
) -> Result<StatusCode> {
    let mut transaction = db.begin(&caller).await?;
    expected.check(version_for_update(&mut transaction, &caller, id).await?)?;
    sqlx::query!(
        r#"WITH todo AS (
               DELETE FROM todos WHERE tenant_id = $1 AND owner_id = $2 AND id = $3 RETURNING id
           )
           SELECT app.audit(id) AS seq FROM todo"#,
        caller.tenant_id(),
        caller.user_id(),
        id,
    )
    .fetch_one(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::json;
    use shared::{
        auth::Role,
        testing::{Event, TestApp},
    };

    #[tokio::test]
    async fn a_deleted_todo_is_gone_and_its_deletion_recorded_once() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        let created = app.send(Event::post("/api/v1/todos", &json!({ "title": "done" })).bearer(&ada.token)).await;
        let target = created.header("location");
        let delete = Event::new(&Method::DELETE, target).bearer(&ada.token).header("if-match", "\"1\"");
        let answer = app.send(delete.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.bytes.len()), (204, 0));
        assert_eq!(app.send(Event::get(target).bearer(&ada.token)).await.status, 404);
        let id = created.json()["id"].as_str().and_then(|id| id.parse().ok());
        assert_eq!(app.trail(ada.tenant).await[1], ("todos.delete".into(), "success".into(), None, id));
        assert_eq!(app.send(delete).await.code(), "RES_001", "a second time");
        let actions: Vec<_> =
            app.trail(ada.tenant).await.into_iter().map(|(action, outcome, ..)| (action, outcome)).collect();
        let named = |action: &str, outcome: &str| (action.to_owned(), outcome.to_owned());
        assert_eq!(
            actions,
            [
                named("todos.create", "success"),
                named("todos.delete", "success"),
                named("todos.read", "failure"),
                named("todos.delete", "failure"),
            ]
        );
    }

    #[tokio::test]
    async fn a_todo_is_deleted_in_the_version_that_the_caller_knows_only() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        let created = app.send(Event::post("/api/v1/todos", &json!({ "title": "stays" })).bearer(&ada.token)).await;
        let target = created.header("location");
        let delete = Event::new(&Method::DELETE, target).bearer(&ada.token);
        assert_eq!(app.send(delete.clone()).await.code(), "REQ_006");
        for stale in ["\"2\"", "W/\"1\"", "1", "", "\"\""] {
            assert_eq!(app.send(delete.clone().header("if-match", stale)).await.code(), "REQ_007", "{stale:?}");
        }
        assert_eq!(app.send(Event::get(target).bearer(&ada.token)).await.status, 200);
        assert_eq!(app.send(delete.header("if-match", "*")).await.status, 204);
    }

    #[tokio::test]
    async fn a_foreign_todo_is_not_deleted() {
        let app = TestApp::start(crate::routes()).await;
        let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
        let colleague = app.member(ada.tenant, Role::Admin).await;
        let created = app.send(Event::post("/api/v1/todos", &json!({ "title": "hers" })).bearer(&ada.token)).await;
        let target = created.header("location");
        for token in [&eve.token, &colleague.token] {
            let delete = Event::new(&Method::DELETE, target).bearer(token).header("if-match", "*");
            assert_eq!(app.send(delete).await.code(), "RES_001");
        }
        assert_eq!(app.send(Event::get(target).bearer(&ada.token)).await.status, 200);
    }
}
