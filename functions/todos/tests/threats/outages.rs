//! Outages: P1, P2 and S2 of THREATS. What we depend on fails, and every
//! answer is whole: 503 while it lasts, and as before once it is over.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::Method;
use serde_json::{Value, json};
use shared::testing::{Answer, Event, Member, TestApp, TestDatabase, TestKeys};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, raw_sql};

const TODOS: &str = "/api/v1/todos";

async fn read(app: &TestApp<todos::Todos>, member: &Member) -> Answer {
    app.send(Event::get(TODOS).bearer(&member.token)).await
}

async fn write(app: &TestApp<todos::Todos>, member: &Member) -> Answer {
    app.send(Event::post(TODOS, &json!({ "title": "x" })).bearer(&member.token)).await
}

async fn execute(connection: &mut PgConnection, sql: String) {
    connection.execute(raw_sql(AssertSqlSafe(sql))).await.unwrap();
}

/// Ends the function's connections and returns how many it had.
async fn cut(superuser: &mut PgConnection) -> usize {
    let ended = sqlx::query_scalar::<_, bool>(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
          WHERE datname = current_database() AND application_name = 'local'",
    );
    ended.fetch_all(superuser).await.unwrap().len()
}

fn assert_unavailable(answer: &Answer, what: &str) {
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "SYS_002"), "{what}: {:?}", answer.log);
    let body = answer.json().to_string();
    for word in ["tenantry_runtime", "password", "127.0.0.1", "test_", "SELECT", "connection"] {
        assert!(!body.contains(word), "{what}: {body}");
    }
    assert!(answer.request_line()["cause"].is_string(), "{what}: the log says why");
}

#[tokio::test]
async fn a_connection_that_is_gone_is_replaced_within_the_request() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let mut superuser = app.superuser().await;
    let todo = write(&app, &ada).await.header("location").to_owned();
    for round in 0..3 {
        assert_eq!(cut(&mut superuser).await, 1);
        assert_eq!(read(&app, &ada).await.status, 200, "round {round}");
        assert_eq!(cut(&mut superuser).await, 1);
        assert_eq!(write(&app, &ada).await.status, 201, "round {round}");
        assert_eq!(cut(&mut superuser).await, 1);
        let patch = Event::new(&Method::PATCH, &todo).bearer(&ada.token).header("if-match", "*").json(&json!({}));
        assert_eq!(app.send(patch).await.status, 200, "round {round}");
        assert_eq!(cut(&mut superuser).await, 1);
        assert_eq!(app.send(Event::get(&format!("{TODOS}/x")).bearer(&ada.token)).await.status, 404, "its record");
    }
    let failures = app.trail(ada.tenant).await.into_iter().filter(|record| record.1 == "failure").count();
    assert_eq!((failures, app.trail(ada.tenant).await.len()), (3, 10), "each once");
}

#[tokio::test]
async fn a_connection_that_the_server_ended_for_idleness_is_replaced_too() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let database = app.database.address().2;
    execute(
        &mut app.superuser().await,
        format!("ALTER ROLE tenantry_runtime IN DATABASE {database} SET idle_session_timeout = '50ms'"),
    )
    .await;
    for _ in 0..2 {
        assert_eq!(read(&app, &ada).await.status, 200);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(write(&app, &ada).await.status, 201);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn a_migration_under_a_warm_function_costs_no_read_and_one_write_at_most() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    for (kind, other) in [("varchar(200)", "varchar(300)"), ("text", "varchar(400)")] {
        assert_eq!(write(&app, &ada).await.status, 201);
        assert_eq!(read(&app, &ada).await.status, 200);
        execute(&mut app.superuser().await, format!("ALTER TABLE todos ALTER COLUMN title TYPE {kind}")).await;
        assert_eq!(read(&app, &ada).await.status, 200);
        assert_eq!(write(&app, &ada).await.status, 201);
        execute(&mut app.superuser().await, format!("ALTER TABLE todos ALTER COLUMN title TYPE {other}")).await;
        assert!([201, 503].contains(&write(&app, &ada).await.status.as_u16()));
        assert_eq!(write(&app, &ada).await.status, 201);
    }
}

#[tokio::test]
async fn a_lock_that_another_holds_is_503_within_the_deadline_and_over_when_it_is() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    read(&app, &ada).await;
    let mut wall = app.superuser().await;
    wall.execute("BEGIN; LOCK TABLE todos").await.unwrap();
    for (name, answer) in [("read", read(&app, &ada).await), ("write", write(&app, &ada).await)] {
        assert_unavailable(&answer, name);
        assert!(answer.request_line()["duration_ms"].as_f64().unwrap() < 10_000.0);
    }
    wall.execute("ROLLBACK").await.unwrap();
    assert_eq!(write(&app, &ada).await.status, 201);
    assert_eq!(read(&app, &ada).await.json()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_deadline_is_503_and_leaves_no_lock() {
    let app = TestApp::start(todos::routes()).await;
    let settings = [("REQUEST_TIMEOUT_MS", "300")];
    let hasty = TestApp::start_with(todos::routes(), app.database.clone(), app.keys.clone(), &settings).await;
    let ada = app.tenant("acme").await;
    let todo = write(&app, &ada).await.header("location").to_owned();
    let mut wall = app.superuser().await;
    wall.execute("BEGIN; SELECT seq FROM audit_heads FOR UPDATE").await.unwrap();
    let patch = Event::new(&Method::PATCH, &todo).bearer(&ada.token).header("if-match", "\"1\"").json(&json!({}));
    let start = Instant::now();
    let answer = hasty.send(patch.clone()).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "SYS_006"));
    assert!(start.elapsed() < Duration::from_secs(1));
    let line = answer.request_line();
    assert_eq!((&line["route"], &line["tenant_id"]), (&json!("/api/v1/todos/{id}"), &json!(ada.tenant)));
    wall.execute("ROLLBACK").await.unwrap();
    assert_eq!(app.send(patch).await.header("etag"), "\"2\"", "the first had no effect and holds nothing");
    assert_eq!(read(&hasty, &ada).await.status, 200);
}

#[tokio::test]
async fn a_database_that_takes_no_connection_is_503_and_normal_at_once_after() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let database = app.database.address().2;
    let mut superuser = app.superuser().await;
    // From another database: this one may have no connection while it is closed.
    let mut outside = outside().await;
    for (closed, open) in [
        ("WITH ALLOW_CONNECTIONS false", "WITH ALLOW_CONNECTIONS true"),
        ("WITH CONNECTION LIMIT 0", "WITH CONNECTION LIMIT -1"),
        ("RENAME TO gone_{}", "RENAME TO {}"),
    ] {
        let (closing, opening) = (closed.replace("{}", &database), open.replace("{}", &database));
        let renamed = closed.starts_with("RENAME");
        assert_eq!(read(&app, &ada).await.status, 200);
        if renamed {
            superuser = outside_of(superuser).await;
        }
        execute(&mut outside, end_all(&database)).await;
        execute(&mut outside, format!("ALTER DATABASE {database} {closing}")).await;
        let start = Instant::now();
        assert_unavailable(&read(&app, &ada).await, closed);
        assert_unavailable(&write(&app, &ada).await, closed);
        assert!(start.elapsed() < Duration::from_secs(5), "{closed}");
        let name = if renamed { format!("gone_{database}") } else { database.clone() };
        execute(&mut outside, format!("ALTER DATABASE {name} {opening}")).await;
        assert_eq!(write(&app, &ada).await.status, 201, "{open}");
        assert_eq!(read(&app, &ada).await.status, 200, "{open}");
    }
    drop(superuser);
}

fn end_all(database: &str) -> String {
    format!("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{database}'")
}

async fn outside_of(connection: PgConnection) -> PgConnection {
    connection.close().await.unwrap();
    outside().await
}

/// The superuser in the server's own database.
async fn outside() -> PgConnection {
    #[expect(clippy::disallowed_methods, reason = "the tests' own setting")]
    let url = std::env::var("TEST_DATABASE_URL").unwrap();
    PgConnection::connect(&url).await.unwrap()
}

#[tokio::test]
async fn a_rotated_password_costs_no_request() {
    let database = TestDatabase::create().await.with_own_role().await;
    let role = database.role().to_owned();
    let app = TestApp::start_with(todos::routes(), database, Arc::new(TestKeys::generate("test-key")), &[]).await;
    let ada = app.tenant("acme").await;
    let mut superuser = app.superuser().await;
    let login = |password: &str| json!({ "username": role, "password": password }).to_string();
    for password in ["second", "third"] {
        assert_eq!(read(&app, &ada).await.status, 200);
        execute(&mut superuser, format!("ALTER ROLE {role} PASSWORD '{password}'")).await;
        assert_eq!(read(&app, &ada).await.status, 200, "on the open connection");
        app.secrets.set("database", login(password));
        assert_eq!(cut(&mut superuser).await, 1);
        assert_eq!(write(&app, &ada).await.status, 201, "{password}");
    }
    // Rotated in the database and not yet in the secret: an outage, not a 401.
    execute(&mut superuser, format!("ALTER ROLE {role} PASSWORD 'fourth'")).await;
    cut(&mut superuser).await;
    let answer = read(&app, &ada).await;
    assert_unavailable(&answer, "between the two");
    assert!(!format!("{:?}", answer.log).contains("third"));
    app.secrets.set("database", "no JSON");
    assert_unavailable(&read(&app, &ada).await, "a broken secret");
    app.secrets.set("database", login("fourth"));
    assert_eq!(read(&app, &ada).await.status, 200);
}

#[tokio::test]
async fn an_outage_is_never_a_401_nor_told_apart_from_one_of_another_tenant() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let database = app.database.address().2;
    let mut outside = outside().await;
    execute(&mut outside, format!("ALTER DATABASE {database} CONNECTION LIMIT 0")).await;
    let stranger = TestKeys::generate("test-key").sign(&app.claims(&ada));
    let answer = app.send(Event::get(TODOS).bearer(&stranger)).await;
    assert_eq!(answer.code(), "AUTH_001", "what needs no database is answered");
    app.clock.advance(time::Duration::hours(1));
    let expired = app.send(Event::get(TODOS).bearer(&ada.token)).await;
    assert_eq!(expired.code(), "AUTH_002");
    let unrecorded = expired.log.iter().find(|line| line["message"] == "refusal not recorded").unwrap();
    assert_eq!(unrecorded["span"]["request_id"], expired.header("x-request-id"));
    assert_ne!(unrecorded["cause"], Value::Null);
}
