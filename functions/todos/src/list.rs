//! `GET /api/v1/todos`

use axum::extract::{OriginalUri, State};
use serde::Deserialize;
use shared::{
    Caller, Db, Result,
    extract::{Query, Rfc3339},
    page::{Cursors, Limit, Page},
};

use crate::todo::{SealedNotes, StoredTodo, Todo};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    completed: Option<bool>,
    due_before: Option<Rfc3339>,
    #[serde(default)]
    limit: Limit,
    cursor: Option<String>,
}

/// The caller's own todos, newest first. One round trip, where the tenant's
/// key is at hand.
pub(crate) async fn list(
    caller: Caller,
    State(db): State<Db>,
    State(cursors): State<Cursors>,
    State(sealed): State<SealedNotes>,
    OriginalUri(uri): OriginalUri,
    Query(filter): Query<Filter>,
) -> Result<Page<Todo>> {
    let after = cursors.open(&caller, filter.cursor.as_deref())?;
    let rows = db
        .fetch_all(|| {
            sqlx::query_as!(
                StoredTodo,
                r#"SELECT t.id, t.title, t.notes_ciphertext, t.completed, t.due_at, t.version, t.created_at, t.updated_at
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
    let mut todos = Vec::with_capacity(rows.len());
    for row in rows {
        todos.push(sealed.open(&caller, row).await?);
    }
    Ok(cursors.page(&caller, filter.limit, todos, uri, |todo| todo.id))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::{
        auth::Role,
        testing::{Answer, Event, Member, TestApp},
    };

    use crate::Todos;

    async fn make(app: &TestApp<Todos>, member: &Member, body: &Value) -> Value {
        let answer = app.send(Event::post("/api/v1/todos", body).bearer(&member.token)).await;
        assert_eq!(answer.status, 201, "{:?}", answer.log);
        answer.json()["id"].clone()
    }

    async fn get(app: &TestApp<Todos>, member: &Member, target: &str) -> Answer {
        app.send(Event::get(target).bearer(&member.token)).await
    }

    fn ids(page: &Value) -> Vec<Value> {
        page["items"].as_array().unwrap().iter().map(|todo| todo["id"].clone()).collect()
    }

    #[tokio::test]
    async fn a_list_has_the_callers_own_todos_newest_first() {
        let app = TestApp::start(crate::routes()).await;
        let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
        let colleague = app.member(ada.tenant, Role::Admin).await;
        let mut mine = Vec::new();
        for number in 0..3 {
            mine.insert(0, make(&app, &ada, &json!({ "title": format!("number {number}") })).await);
            make(&app, &eve, &json!({ "title": "of another tenant" })).await;
            make(&app, &colleague, &json!({ "title": "of another user" })).await;
        }
        let answer = get(&app, &ada, "/api/v1/todos").await;
        assert_eq!(answer.status, 200);
        assert_eq!(ids(&answer.json()), mine);
        assert_eq!(answer.json()["next_cursor"], Value::Null);
        assert_eq!(answer.header("link"), "");
        assert!(answer.json()["items"][0].get("tenant_id").is_none());
    }

    #[tokio::test]
    async fn a_new_user_has_an_empty_list() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        let answer = get(&app, &ada, "/api/v1/todos").await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({ "items": [], "next_cursor": null })));
    }

    #[tokio::test]
    async fn pages_follow_each_other_by_cursor_and_by_link_without_gap_or_overlap() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        let mut all = Vec::new();
        for number in 0..7 {
            all.insert(0, make(&app, &ada, &json!({ "title": format!("{number}"), "completed": number != 3 })).await);
        }
        all.remove(3);
        let mut target = "/api/v1/todos?completed=true&limit=2".to_owned();
        let mut seen = Vec::new();
        for page in 1..=3 {
            let answer = get(&app, &ada, &target).await;
            let body = answer.json();
            seen.extend(ids(&body));
            let Some(cursor) = body["next_cursor"].as_str() else {
                assert_eq!((page, answer.header("link")), (3, ""));
                break;
            };
            target = format!("/api/v1/todos?completed=true&limit=2&cursor={cursor}");
            assert_eq!(answer.header("link"), format!("<{target}>; rel=\"next\""));
        }
        assert_eq!(seen, all);
    }

    #[tokio::test]
    async fn a_list_whose_end_is_the_pages_end_has_no_next_page() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        for _ in 0..2 {
            make(&app, &ada, &json!({ "title": "one of two" })).await;
        }
        let body = get(&app, &ada, "/api/v1/todos?limit=2").await.json();
        assert_eq!((ids(&body).len(), &body["next_cursor"]), (2, &Value::Null));
    }

    #[tokio::test]
    async fn filters_choose_by_completed_and_by_due_time() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        let due = "2026-12-01T09:00:00Z";
        let done = make(&app, &ada, &json!({ "title": "done", "completed": true })).await;
        let dated = make(&app, &ada, &json!({ "title": "dated", "due_at": due })).await;
        for (query, expected) in [
            ("completed=true", vec![&done]),
            ("completed=false", vec![&dated]),
            ("due_before=2026-12-01T09:00:00.000001Z", vec![&dated]),
            ("due_before=2026-12-01T10:00:00.000001%2B01:00", vec![&dated]),
            ("due_before=2026-12-01T09:00:00Z", vec![]),
            ("completed=true&due_before=2027-01-01T00:00:00Z", vec![]),
        ] {
            let answer = get(&app, &ada, &format!("/api/v1/todos?{query}")).await;
            assert_eq!(ids(&answer.json()).iter().collect::<Vec<_>>(), expected, "{query}");
        }
    }

    #[tokio::test]
    async fn a_query_that_does_not_fit_is_422_at_its_parameter() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        for (query, field) in [
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=x", "limit"),
            ("limit=-1", "limit"),
            ("limit=", "limit"),
            ("limit=1&limit=2", "limit"),
            ("completed=maybe", "completed"),
            ("due_before=tomorrow", "due_before"),
            ("due_before=2026-12-01T09:00:00%00Z", "due_before"),
            ("cursor=", "cursor"),
            ("cursor=forged", "cursor"),
            ("tenant_id=0193a1b2-0000-7000-8000-000000000001", "tenant_id"),
            ("Limit=5", "Limit"),
        ] {
            let answer = get(&app, &ada, &format!("/api/v1/todos?{query}")).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (422, "VAL_001"), "{query}");
            assert_eq!(answer.json()["error"]["fields"][0]["field"], field, "{query}");
        }
        assert_eq!(app.trail(ada.tenant).await, [], "a refused read changes nothing");
        for good in ["limit=1", "limit=100"] {
            assert_eq!(get(&app, &ada, &format!("/api/v1/todos?{good}")).await.status, 200, "{good}");
        }
    }

    #[tokio::test]
    async fn a_cursor_is_its_callers_own() {
        let app = TestApp::start(crate::routes()).await;
        let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
        let colleague = app.member(ada.tenant, Role::Admin).await;
        for member in [&ada, &eve, &colleague] {
            for _ in 0..2 {
                make(&app, member, &json!({ "title": "one of two" })).await;
            }
        }
        let first = get(&app, &ada, "/api/v1/todos?limit=1").await.json();
        let cursor = first["next_cursor"].as_str().unwrap();
        let target = format!("/api/v1/todos?cursor={cursor}");
        assert_eq!(get(&app, &ada, &target).await.status, 200);
        for other in [&eve, &colleague] {
            let answer = get(&app, other, &target).await;
            assert_eq!(answer.json()["error"]["fields"][0]["field"], "cursor");
        }
        for position in [0, cursor.len() / 2, cursor.len() - 2] {
            let mut forged = cursor.to_owned().into_bytes();
            forged[position] = if forged[position] == b'A' { b'B' } else { b'A' };
            let target = format!("/api/v1/todos?cursor={}", String::from_utf8(forged).unwrap());
            assert_eq!(get(&app, &ada, &target).await.code(), "VAL_001", "position {position}");
        }
    }
}
