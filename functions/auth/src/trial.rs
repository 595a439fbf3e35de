//! What the group's tests begin with.

use serde_json::{Value, json};
use shared::testing::{Answer, Event, TestApp, TestDatabase, TestKeys};
use sqlx::AssertSqlSafe;

use crate::Auth;

pub(crate) const PASSWORD: &str = "nine-quiet-otters-row-north";

/// The function, as it serves many requests at once.
pub(crate) async fn concurrent() -> TestApp<Auth> {
    let keys = TestKeys::generate("test-key").into();
    let settings = [("AWS_LAMBDA_MAX_CONCURRENCY", "20")];
    TestApp::start_with(crate::routes(), TestDatabase::create().await, keys, &settings).await
}

pub(crate) fn signup(slug: &str) -> Value {
    json!({
        "organization": { "slug": slug, "name": "Acme Clinic" },
        "email": "ada@acme.example",
        "password": PASSWORD,
        "display_name": "Ada",
    })
}

pub(crate) fn login(slug: &str, email: &str, password: &str) -> Event {
    Event::post("/api/v1/auth/login", &json!({ "tenant": slug, "email": email, "password": password }))
}

pub(crate) fn refresh(token: &str) -> Event {
    Event::post("/api/v1/auth/refresh", &json!({ "refresh_token": token }))
}

/// The tokens of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Pair {
    pub(crate) fn of(answer: &Answer) -> Self {
        assert!(answer.status.is_success(), "{} {:?}", answer.status, answer.log);
        let text = |name: &str| answer.json()[name].as_str().unwrap().to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token") }
    }
}

/// Signs `acme` up, with Ada as its admin.
pub(crate) async fn acme(app: &TestApp<Auth>) -> Pair {
    Pair::of(&app.send(Event::post("/api/v1/auth/signup", &signup("acme"))).await)
}

/// Signs Ada of `acme` in once more.
pub(crate) async fn another_session(app: &TestApp<Auth>) -> Pair {
    Pair::of(&app.send(login("acme", "ada@acme.example", PASSWORD)).await)
}

/// What an access token gets from `GET /auth/me`: an error's code, or "none".
pub(crate) async fn me(app: &TestApp<Auth>, token: &str) -> String {
    app.send(Event::get("/api/v1/auth/me").bearer(token)).await.code()
}

/// Changes rows behind the function's back.
pub(crate) async fn sql(app: &TestApp<Auth>, statement: &'static str) {
    sqlx::raw_sql(statement).execute(&mut app.superuser().await).await.unwrap();
}

/// Forgets every attempt at every account.
pub(crate) async fn forget_attempts(app: &TestApp<Auth>) {
    sql(app, "DELETE FROM app.sign_in_attempts").await;
}

/// The reasons of what was refused or failed under `action`, oldest first.
pub(crate) async fn refusals(app: &TestApp<Auth>, action: &str) -> Vec<String> {
    let query = "SELECT reason FROM audit_events WHERE action = $1 AND outcome <> 'success' ORDER BY tenant_id, seq";
    sqlx::query_scalar(query).bind(action).fetch_all(&mut app.superuser().await).await.unwrap()
}

/// Every row of every table, as text.
pub(crate) async fn dump(app: &TestApp<Auth>) -> String {
    let mut superuser = app.superuser().await;
    let tables = "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                   WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut superuser).await.unwrap();
    let mut dump = String::new();
    for table in tables {
        let rows = format!("SELECT coalesce(string_agg(t::text, E'\\n'), '') FROM {table} t");
        let rows: String = sqlx::query_scalar(AssertSqlSafe(rows)).fetch_one(&mut superuser).await.unwrap();
        dump.push_str(&rows);
    }
    dump
}

/// How many tenants, users, sessions, refresh tokens and audit records there are, but `nobody`'s.
pub(crate) async fn counts(app: &TestApp<Auth>) -> [i64; 5] {
    let mut superuser = app.superuser().await;
    let mut counts = [0; 5];
    for (count, query) in counts.iter_mut().zip([
        "SELECT count(*) FROM tenants WHERE slug <> '-nobody-'",
        "SELECT count(*) FROM users",
        "SELECT count(*) FROM sessions",
        "SELECT count(*) FROM refresh_tokens",
        "SELECT count(*) FROM audit_events WHERE tenant_id <> '00000000-0000-0000-0000-000000000000'",
    ]) {
        *count = sqlx::query_scalar(query).fetch_one(&mut superuser).await.unwrap();
    }
    counts
}
