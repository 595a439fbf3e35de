//! What an admin does to a user, as the user finds it at `auth` and `todos`.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use shared::{
    Routes,
    app::Group,
    testing::{Answer, Event, TestApp, TestDatabase, TestKeys},
};
use sqlx::Executor;

const PASSWORD: &str = "seven-slow-herons-wade-home";
const GRACE: &str = "grace@acme.example";

/// The functions over one database, and Ada, who signed `acme` up.
struct Api {
    auth: TestApp<auth::Auth>,
    todos: TestApp<todos::Todos>,
    users: TestApp<users::Users>,
    ada: String,
}

/// A function that serves many requests at once.
async fn function<G: Group>(routes: Routes<G>, database: &Arc<TestDatabase>, keys: &Arc<TestKeys>) -> TestApp<G> {
    let settings = [("AWS_LAMBDA_MAX_CONCURRENCY", "10")];
    TestApp::start_with(routes, database.clone(), keys.clone(), &settings).await
}

/// What a sign-in gave.
struct Tokens {
    access: String,
    refresh: String,
    user: Value,
}

impl Tokens {
    fn of(answer: &Answer) -> Self {
        assert!(answer.status.is_success(), "{:?}", answer.log);
        let text = |name: &str| answer.json()[name].as_str().unwrap().to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token"), user: answer.json()["user"].clone() }
    }
}

impl Api {
    async fn start() -> Self {
        let (database, keys) = (Arc::new(TestDatabase::create().await), Arc::new(TestKeys::generate("test-key")));
        let auth = function(auth::routes(), &database, &keys).await;
        let todos = function(todos::routes(), &database, &keys).await;
        let users = function(users::routes(), &database, &keys).await;
        let body = json!({
            "organization": { "slug": "acme", "name": "Acme Clinic" }, "email": "ada@acme.example",
            "password": "nine-quiet-otters-row-north", "display_name": "Ada",
        });
        let signed_up = auth.send(Event::post("/api/v1/auth/signup", &body)).await;
        let ada = Tokens::of(&signed_up).access;
        Self { auth, todos, users, ada }
    }

    /// Ada creates Grace, and this is her path.
    async fn create_grace(&self) -> String {
        let body = json!({ "email": GRACE, "display_name": "Grace", "role": "analyst", "password": PASSWORD });
        let answer = self.users.send(Event::post("/api/v1/users", &body).bearer(&self.ada)).await;
        assert_eq!(answer.status, 201, "{:?}", answer.log);
        answer.header("location").to_owned()
    }

    async fn login(&self) -> Answer {
        let body = json!({ "tenant": "acme", "email": GRACE, "password": PASSWORD });
        self.auth.send(Event::post("/api/v1/auth/login", &body)).await
    }

    async fn refresh(&self, tokens: &Tokens) -> Answer {
        self.auth.send(Event::post("/api/v1/auth/refresh", &json!({ "refresh_token": tokens.refresh }))).await
    }

    /// What each function answers to an access token: an error's code, or "none".
    async fn codes(&self, token: &str, path: &str) -> [String; 3] {
        [
            self.auth.send(Event::get("/api/v1/auth/me").bearer(token)).await.code(),
            self.todos.send(Event::get("/api/v1/todos").bearer(token)).await.code(),
            self.users.send(Event::get(path).bearer(token)).await.code(),
        ]
    }

    /// Ada does something to a user.
    async fn does(&self, act: Act, path: &str) -> Answer {
        let event = match act {
            Act::Demote => Event::new(&Method::PATCH, path).json(&json!({ "role": "viewer" })),
            Act::Deactivate => Event::new(&Method::POST, &format!("{path}/deactivate")),
            Act::Activate => Event::new(&Method::POST, &format!("{path}/activate")),
            Act::Delete => Event::new(&Method::DELETE, path),
        };
        self.users.send(event.bearer(&self.ada).header("if-match", "*")).await
    }

    /// How many of Grace's sessions live.
    async fn sessions(&self) -> i64 {
        let query = "SELECT count(*) FROM sessions s JOIN users u ON u.id = s.user_id
                      WHERE u.role <> 'admin' AND app.session_lives(s.ended_at, s.over_at)";
        sqlx::query_scalar(query).fetch_one(&mut self.auth.superuser().await).await.unwrap()
    }
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Demote,
    Deactivate,
    Activate,
    Delete,
}

#[tokio::test]
async fn r5_a_refresh_after_deactivation_deletion_or_a_change_of_role_is_401_and_so_is_all_else() {
    for act in [Act::Demote, Act::Deactivate, Act::Delete] {
        let api = Api::start().await;
        let grace = api.create_grace().await;
        let tokens = [Tokens::of(&api.login().await), Tokens::of(&api.login().await)];
        assert_eq!(api.codes(&tokens[0].access, &grace).await, ["none", "none", "none"]);
        assert!(api.does(act, &grace).await.status.is_success(), "{act:?}");
        for tokens in &tokens {
            let refused = api.refresh(tokens).await;
            assert_eq!((refused.status.as_u16(), &*refused.code()), (401, "AUTH_007"), "{act:?}");
            assert_eq!(api.codes(&tokens.access, &grace).await, ["AUTH_006", "AUTH_006", "AUTH_006"], "{act:?}");
        }
        // Ada's own session goes on.
        assert_eq!(api.codes(&api.ada, "/api/v1/users").await, ["none", "none", "none"], "{act:?}");
    }
}

#[tokio::test]
async fn a_user_signs_in_with_the_password_that_the_admin_gave_it_for_as_long_as_it_is_active() {
    let api = Api::start().await;
    let grace = api.create_grace().await;
    let first = Tokens::of(&api.login().await);
    let read = api.users.send(Event::get(&grace).bearer(&first.access)).await.json();
    assert_eq!((&read, read["last_login_at"].is_string()), (&first.user, true), "one form of a user everywhere");
    assert_eq!(api.does(Act::Deactivate, &grace).await.status, 200);
    assert_eq!(api.login().await.code(), "AUTH_005");
    assert_eq!(api.does(Act::Activate, &grace).await.status, 200);
    assert_eq!(api.refresh(&first).await.code(), "AUTH_007", "what has ended stays so");
    assert_eq!(api.does(Act::Demote, &grace).await.status, 200);
    let second = Tokens::of(&api.login().await);
    assert_eq!(second.user["role"], "viewer");
    let me = api.auth.send(Event::get("/api/v1/auth/me").bearer(&second.access)).await.json();
    assert_eq!(me["permissions"], json!(["todos:read", "todos:write"]));
}

#[tokio::test]
async fn a_deleted_user_signs_in_no_more_and_whoever_gets_its_address_is_somebody_else() {
    let api = Api::start().await;
    let grace = api.create_grace().await;
    let tokens = Tokens::of(&api.login().await);
    let created = api.todos.send(Event::from_file("todos-create").bearer(&tokens.access)).await;
    assert_eq!(created.status, 201, "{:?}", created.log);
    assert_eq!(api.does(Act::Delete, &grace).await.status, 204);
    let refused = api.login().await;
    assert_eq!((refused.status.as_u16(), &*refused.code()), (401, "AUTH_005"));
    for email in [grace.rsplit('/').next().unwrap(), "Deleted user"] {
        let body = json!({ "tenant": "acme", "email": email, "password": PASSWORD });
        let answer = api.auth.send(Event::post("/api/v1/auth/login", &body)).await;
        assert!(!answer.status.is_success(), "{email}");
    }
    let again = api.create_grace().await;
    assert_ne!(again, grace);
    let tokens = Tokens::of(&api.login().await);
    let list = api.todos.send(Event::get("/api/v1/todos").bearer(&tokens.access)).await.json();
    assert_eq!(list["items"], json!([]));
    let read = api.todos.send(Event::get(created.header("location")).bearer(&tokens.access)).await;
    assert_eq!(read.code(), "RES_001");
    assert_eq!(api.users.send(Event::get(&grace).bearer(&tokens.access)).await.code(), "PERM_001");
}

#[tokio::test]
async fn no_session_outlives_a_change_that_races_with_sign_ins_and_refreshes() {
    for act in [Act::Demote, Act::Deactivate, Act::Delete] {
        let api = Api::start().await;
        let grace = api.create_grace().await;
        let tokens = Tokens::of(&api.login().await);
        let (logins, refreshed, changed) = tokio::join!(
            async { tokio::join!(api.login(), api.login(), api.login()) },
            async { tokio::join!(api.refresh(&tokens), api.refresh(&tokens)) },
            api.does(act, &grace),
        );
        assert!(changed.status.is_success(), "{act:?}: {:?}", changed.log);
        let mut live = 0;
        for answer in [&logins.0, &logins.1, &logins.2, &refreshed.0, &refreshed.1] {
            assert!(answer.status.is_success() || answer.status == 401, "{act:?}: {:?}", answer.log);
            if answer.status.is_success() {
                let tokens = Tokens::of(answer);
                let [code, ..] = api.codes(&tokens.access, &grace).await;
                let alive = code == "none";
                assert!(!alive || tokens.user["role"] == "viewer", "{act:?}: a session of before lives");
                live += i64::from(alive);
            }
        }
        assert_eq!((api.sessions().await, live * i64::from(!matches!(act, Act::Demote))), (live, 0), "{act:?}");
    }
}

#[tokio::test]
async fn the_clean_up_takes_the_sessions_of_a_deleted_user_and_leaves_its_id() {
    let api = Api::start().await;
    let grace = api.create_grace().await;
    api.login().await;
    assert_eq!(api.does(Act::Delete, &grace).await.status, 204);
    let mut superuser = api.auth.superuser().await;
    superuser
        .execute("UPDATE sessions SET last_used_at = '2020-01-01', ended_at = '2020-01-02' WHERE ended_at IS NOT NULL")
        .await
        .unwrap();
    let tenant: sqlx::types::Uuid =
        sqlx::query_scalar("SELECT id FROM tenants WHERE slug = 'acme'").fetch_one(&mut superuser).await.unwrap();
    superuser.execute("SET ROLE tenantry_maintenance").await.unwrap();
    let cleaned: (i32, i32) = sqlx::query_as("SELECT sessions, refresh_tokens FROM app.clean_up($1, 500)")
        .bind(tenant)
        .fetch_one(&mut superuser)
        .await
        .unwrap();
    assert_eq!(cleaned, (1, 1));
    superuser.execute("RESET ROLE").await.unwrap();
    let left = "SELECT count(*) FILTER (WHERE status = 'deleted') FROM users";
    assert_eq!(sqlx::query_scalar::<_, i64>(left).fetch_one(&mut superuser).await.unwrap(), 1);
}

/// What a user writes holds the head of the trail and refers to the user; what
/// an admin does holds the user and comes to the head of the trail.
#[tokio::test]
async fn what_a_user_writes_and_what_is_done_to_it_at_once_do_not_wait_for_each_other_for_good() {
    let api = Api::start().await;
    for round in 0..15 {
        let grace = api.create_grace().await;
        let tokens = Tokens::of(&api.login().await);
        let write = |number: usize| {
            let event = Event::from_file("todos-create").bearer(&tokens.access);
            api.todos.send(event.header("idempotency-key", &format!("{round}-{number}")))
        };
        let rename = |name: &str| {
            let event = Event::new(&Method::PATCH, &grace).json(&json!({ "email": format!("{name}@acme.example") }));
            api.users.send(event.bearer(&api.ada).header("if-match", "*"))
        };
        let (writes, renamed, deleted) = tokio::join!(
            async { tokio::join!(write(1), write(2), write(3), write(4), write(5)) },
            async { tokio::join!(rename("one"), rename("two")) },
            async {
                tokio::time::sleep(std::time::Duration::from_millis(round * 2)).await;
                api.does(Act::Delete, &grace).await
            },
        );
        assert_eq!(deleted.status, 204, "{:?}", deleted.log);
        for answer in [&writes.0, &writes.1, &writes.2, &writes.3, &writes.4] {
            assert!(matches!(&*answer.code(), "none" | "AUTH_006"), "{:?}", answer.log);
        }
        for answer in [&renamed.0, &renamed.1] {
            assert!(matches!(&*answer.code(), "none" | "RES_001"), "{:?}", answer.log);
        }
    }
    let left: i64 =
        sqlx::query_scalar("SELECT count(*) FROM todos").fetch_one(&mut api.auth.superuser().await).await.unwrap();
    assert_eq!(left, 0);
}
