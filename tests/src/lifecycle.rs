//! A tenant's life under the functions: what operators did counts from the
//! next request on, in every one of them.

use std::sync::Arc;

use auth::Auth;
use serde_json::{Value, json};
use shared::{
    clock::SystemClock,
    config::from_lookup,
    start::Start,
    testing::{Answer, Event, RUNTIME_PASSWORD, TestApp, TestDatabase, TestKeys, TestSecrets},
};
use sqlx::Executor;
use tenants::Tenants;
use todos::Todos;

/// Every function that has callers, and `ops`, over one database.
struct Api {
    auth: TestApp<Auth>,
    tenants: TestApp<Tenants>,
    todos: TestApp<Todos>,
    database: Arc<TestDatabase>,
}

impl Api {
    async fn start() -> Self {
        let database = Arc::new(TestDatabase::create().await.with_maintainer().await);
        let keys = Arc::new(TestKeys::generate("test-key"));
        Self {
            auth: TestApp::start_with(auth::routes(), database.clone(), keys.clone(), &[]).await,
            tenants: TestApp::start_with(tenants::routes(), database.clone(), keys.clone(), &[]).await,
            todos: TestApp::start_with(todos::routes(), database.clone(), keys, &[]).await,
            database,
        }
    }

    async fn ops(&self, event: Value) -> Value {
        let (host, port, name) = self.database.address();
        let secrets = TestSecrets::default();
        let login = json!({ "username": self.database.maintainer(), "password": RUNTIME_PASSWORD });
        secrets.set("owner", login.to_string());
        // The peppers of `auth`.
        let pepper = json!({ "current": 1, "keys": { "1": "YGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn8" } });
        secrets.set("pepper", pepper.to_string());
        let settings = [
            ("DATABASE_HOST", host),
            ("DATABASE_PORT", port.to_string()),
            ("DATABASE_NAME", name),
            ("DATABASE_TLS", "disable".to_owned()),
            ("DATABASE_SECRET_ID", "runtime".to_owned()),
            ("DATABASE_OWNER_SECRET_ID", "owner".to_owned()),
            ("PASSWORD_PEPPER_SECRET_ID", "pepper".to_owned()),
        ];
        let lookup = |name: &str| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        let start = Start::on_lambda(from_lookup(&lookup).unwrap());
        let start = start.with(Arc::new(SystemClock), Arc::new(secrets));
        ops::run(serde_json::from_value(event).unwrap(), &start, from_lookup(&lookup).unwrap()).await.unwrap()
    }

    /// Creates `acme` by its event, and signs its admin in.
    async fn created(&self) -> (Value, Value) {
        let event: Value = serde_json::from_str(&crate::file("events/ops-create-tenant.json")).unwrap();
        let created = self.ops(event).await;
        let password = created["initial_password"].as_str().unwrap().to_owned();
        let answer = self.sign_in("acme", &password).await;
        assert_eq!(answer.status, 200, "{:?}", answer.log);
        (created, answer.json())
    }

    async fn sign_in(&self, slug: &str, password: &str) -> Answer {
        let credentials = json!({ "tenant": slug, "email": "ada@acme.example", "password": password });
        self.auth.send(Event::post("/api/v1/auth/login", &credentials)).await
    }

    async fn refresh(&self, tokens: &Value) -> Answer {
        let body = json!({ "refresh_token": tokens["refresh_token"] });
        self.auth.send(Event::post("/api/v1/auth/refresh", &body)).await
    }

    /// What every function answers to this access token, read and write.
    async fn codes(&self, tokens: &Value) -> Vec<String> {
        let token = tokens["access_token"].as_str().unwrap();
        let todo = json!({ "title": "hers", "notes": "sealed" });
        let introspect = Event::post("/api/v1/auth/introspect", &json!({})).form(&[("token", token)]);
        let events = [
            self.auth.send(Event::get("/api/v1/auth/me").bearer(token)).await,
            self.auth.send(introspect.bearer(token)).await,
            self.tenants.send(Event::get("/api/v1/tenants/current").bearer(token)).await,
            self.todos.send(Event::get("/api/v1/todos").bearer(token)).await,
            self.todos.send(Event::post("/api/v1/todos", &todo).bearer(token)).await,
        ];
        events.iter().map(Answer::code).collect()
    }

    async fn sql(&self, sql: &'static str) {
        self.auth.superuser().await.execute(sql).await.unwrap();
    }
}

fn action(name: &str) -> Value {
    json!({ "action": name, "slug": "acme" })
}

#[tokio::test]
async fn a_created_tenants_admin_signs_in_with_the_first_password_and_changes_it() {
    let api = Api::start().await;
    let (created, tokens) = api.created().await;
    assert_eq!(tokens["user"]["role"], "admin");
    assert_eq!(api.codes(&tokens).await, ["none"; 5]);
    let first = created["initial_password"].as_str().unwrap();
    let change = json!({ "current_password": first, "new_password": "nine-quiet-otters-row-north" });
    let event = Event::post("/api/v1/auth/password", &change).bearer(tokens["access_token"].as_str().unwrap());
    assert_eq!(api.auth.send(event).await.status, 204);
    assert_eq!(api.sign_in("acme", first).await.code(), "AUTH_005");
    assert_eq!(api.sign_in("acme", "nine-quiet-otters-row-north").await.status, 200);
}

#[tokio::test]
async fn r5_a_suspension_counts_from_the_next_request_of_every_function_until_the_tenant_is_resumed() {
    let api = Api::start().await;
    let (created, tokens) = api.created().await;
    let password = created["initial_password"].as_str().unwrap();
    assert_eq!(api.codes(&tokens).await, ["none"; 5]);
    api.ops(action("suspend_tenant")).await;
    assert_eq!(api.codes(&tokens).await, ["TEN_004"; 5]);
    assert_eq!(api.refresh(&tokens).await.code(), "AUTH_007");
    assert_eq!(api.sign_in("acme", password).await.code(), "TEN_004");
    assert_eq!(api.sign_in("acme", "nine-quiet-otters-row-south").await.code(), "AUTH_005");
    api.ops(action("resume_tenant")).await;
    assert_eq!(api.codes(&tokens).await, ["none"; 5]);
    assert_eq!(api.refresh(&tokens).await.status, 200);
    assert_eq!(api.sign_in("acme", password).await.status, 200);
}

#[tokio::test]
async fn a_deleted_tenant_is_answered_as_one_that_never_was_from_the_first_step_on() {
    let api = Api::start().await;
    let (created, tokens) = api.created().await;
    let password = created["initial_password"].as_str().unwrap();
    assert_eq!(api.codes(&tokens).await, ["none"; 5]);
    api.ops(action("suspend_tenant")).await;
    // Its rows are all there yet: what a run leaves that ends after the first step.
    api.sql("UPDATE tenants SET status = 'deleted', suspended_at = NULL WHERE slug = 'acme'").await;
    let refused = || async {
        let answers = (api.codes(&tokens).await, api.refresh(&tokens).await, api.sign_in("acme", password).await);
        let unknown = api.sign_in("never-was", password).await;
        assert_eq!((answers.2.status, answers.2.code()), (unknown.status, unknown.code()));
        assert_eq!((&*answers.1.code(), &*answers.2.code()), ("AUTH_007", "AUTH_005"));
        assert_eq!(answers.0, ["AUTH_006"; 5]);
    };
    refused().await;
    let deleted = api.ops(json!({ "action": "delete_tenant", "slug": "acme", "confirm": "acme" })).await;
    assert_eq!((&deleted["rows"]["todos"], &deleted["complete"]), (&json!(1), &json!(true)));
    refused().await;
    // Nobody gets its name, and its people go nowhere by it.
    let signup = api.auth.send(Event::from_file("auth-signup").edit(|event| {
        let body = event["body"].as_str().unwrap().to_owned();
        let mut body: Value = serde_json::from_str(&body).unwrap();
        body["organization"]["slug"] = json!("acme");
        event["body"] = body.to_string().into();
    }));
    assert_eq!(signup.await.code(), "RES_002");
}
