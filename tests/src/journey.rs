//! From function to function, as one client goes.

use std::sync::Arc;

use serde_json::{Value, json};
use shared::testing::{Event, TestApp, TestDatabase, TestKeys};

use crate::file;

struct Api {
    auth: TestApp<auth::Auth>,
    todos: TestApp<todos::Todos>,
}

impl Api {
    async fn start() -> Self {
        let (database, keys) = (Arc::new(TestDatabase::create().await), Arc::new(TestKeys::generate("test-key")));
        Self {
            auth: TestApp::start_with(auth::routes(), database.clone(), keys.clone(), &[]).await,
            todos: TestApp::start_with(todos::routes(), database, keys, &[]).await,
        }
    }

    async fn auth(&self, event: Event) -> Value {
        let answer = self.auth.send(event).await;
        assert!(answer.status.is_success(), "{:?}", answer.log);
        answer.json()
    }

    /// The status of `GET /todos`, and how many there are.
    async fn list(&self, token: &str) -> (u16, usize) {
        let answer = self.todos.send(Event::from_file("todos-list").bearer(token)).await;
        (answer.status.as_u16(), answer.json()["items"].as_array().map_or(0, Vec::len))
    }
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_client_signs_up_and_in_keeps_todos_and_signs_out_and_no_other_tenant_sees_a_thing() {
    let api = Api::start().await;
    let signed_up = api.auth(Event::from_file("auth-signup")).await;
    let event: Value = serde_json::from_str(&file("events/auth-signup.json")).unwrap();
    let sign_up: Value = serde_json::from_str(event["body"].as_str().unwrap()).unwrap();
    let (slug, email, password) = (&sign_up["organization"]["slug"], &sign_up["email"], text(&sign_up, "password"));
    let credentials = json!({ "tenant": slug, "email": email, "password": password });
    let signed_in = api.auth(Event::from_file("auth-login").json(&credentials)).await;
    assert_eq!(signed_in["user"]["id"], signed_up["user"]["id"]);

    let access = text(&signed_in, "access_token");
    let created = api.todos.send(Event::from_file("todos-create").bearer(&access)).await;
    assert_eq!(created.status, 201, "{:?}", created.log);
    let id = text(&created.json(), "id");
    assert_eq!(api.list(&access).await, (200, 1));

    let refreshed = json!({ "refresh_token": signed_in["refresh_token"] });
    let refreshed = api.auth(Event::from_file("auth-refresh").json(&refreshed)).await;
    let access_again = text(&refreshed, "access_token");
    assert_eq!(api.list(&access_again).await, (200, 1));

    let mut other = sign_up.clone();
    other["organization"]["slug"] = "other".into();
    let other = api.auth(Event::from_file("auth-signup").json(&other)).await;
    let foreign = text(&other, "access_token");
    let get =
        |id: &str, token: &str| Event::get(&format!("/api/v1/todos/{id}")).bearer(token).header("x-request-id", "one");
    let refused = api.todos.send(get(&id, &foreign)).await;
    let unknown = api.todos.send(get("01a1fd55-7a80-702f-ab96-03d618eafecc", &foreign)).await;
    assert_eq!((refused.status.as_u16(), &*refused.code()), (404, "RES_001"));
    assert_eq!((refused.bytes, refused.headers), (unknown.bytes, unknown.headers));
    assert_eq!(api.list(&foreign).await, (200, 0));

    let logout = api.auth.send(Event::from_file("auth-logout").bearer(&access_again)).await;
    assert_eq!(logout.status, 204, "{:?}", logout.log);
    for token in [&access, &access_again] {
        let answer = api.todos.send(get(&id, token)).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (401, "AUTH_006"));
    }
    let ended = json!({ "refresh_token": refreshed["refresh_token"] });
    assert_eq!(api.auth.send(Event::from_file("auth-refresh").json(&ended)).await.code(), "AUTH_007");
    assert_eq!(api.list(&text(&signed_up, "access_token")).await, (200, 1), "the first session lives");

    let broken = "SELECT count(*) FROM (
            SELECT e.*, lag(hash, 1, decode(repeat('00', 32), 'hex')) OVER chain AS before, row_number() OVER chain AS n
              FROM audit_events e WINDOW chain AS (PARTITION BY tenant_id ORDER BY seq)) AS e
         WHERE seq <> n OR prev_hash <> before
            OR hash <> app.audit_hash(version, prev_hash, tenant_id, seq, at, action, outcome, reason, actor_id, session_id,
                                      object_id, source_address, request_id, details)";
    let mut superuser = api.auth.superuser().await;
    assert_eq!(sqlx::query_scalar::<_, i64>(broken).fetch_one(&mut superuser).await.unwrap(), 0);
    let actions: Vec<String> =
        sqlx::query_scalar("SELECT action || ' ' || outcome FROM audit_events WHERE tenant_id = $1::uuid ORDER BY seq")
            .bind(text(&signed_up["tenant"], "id"))
            .fetch_all(&mut superuser)
            .await
            .unwrap();
    assert_eq!(
        actions,
        [
            "auth.signup success",
            "auth.login success",
            "todos.create success",
            "auth.refresh success",
            "auth.logout success",
            "todos.read denied",
            "todos.read denied",
            "auth.refresh denied",
        ]
    );
}
