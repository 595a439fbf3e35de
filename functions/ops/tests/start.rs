//! The function as an operator invokes it: real processes, Postgres, Secrets
//! Manager.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use shared::testing::{EmptyDatabase, EmulatedSecrets, Ended, Process, RUNTIME_PASSWORD, TestDatabase, TestKeys};

const BINARY: &str = env!("CARGO_BIN_EXE_ops");

fn login(username: &str, password: &str) -> String {
    json!({ "username": username, "password": password }).to_string()
}

/// An empty database, and the environment to migrate it.
async fn empty(owner_password: &str) -> (EmptyDatabase, Vec<(String, String)>) {
    let database = EmptyDatabase::create().await;
    let runtime = login("tenantry_runtime", RUNTIME_PASSWORD);
    let owner = login(database.owner(), owner_password);
    let secrets = EmulatedSecrets::create(&[("database", &runtime), ("database-owner", &owner)]).await;
    let environment = secrets.environment(database.address());
    (database, environment)
}

/// It failed, soon, and said so in one line, which this returns.
fn failed(ended: &Ended) -> String {
    assert!(!ended.success && ended.elapsed.as_secs_f64() < 5.0, "{ended:?}");
    let line = ended.line();
    assert_eq!((&line["level"], &line["message"]), (&json!("ERROR"), &json!("ops failed")));
    line["cause"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_event_migrates_and_the_same_on_the_command_line_finds_it_done() {
    let (database, environment) = empty(EmptyDatabase::OWNER_PASSWORD).await;
    let process = Process::start(BINARY, &[], &environment);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/ops-migrate.json");
    let event: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let (kind, answer) = process.invoke(&event);
    assert_eq!(kind, "response", "{answer}");
    assert!(answer["migrations_run"].as_u64().unwrap() > 0);
    let (kind, error) = process.invoke(&json!({ "action": "drop" }));
    assert_eq!(kind, "error", "{error}");
    assert_eq!(process.invoke(&event), ("response".to_owned(), json!({ "migrations_run": 0 })), "it lives on");
    let log = process.kill();
    let ended = Process::start(BINARY, &[r#"{"action":"migrate"}"#], &environment).ended();
    assert!(ended.success && ended.output.contains(r#"{"migrations_run":0}"#), "{ended:?}");
    for output in [log, ended.output] {
        assert!(!output.contains(RUNTIME_PASSWORD) && !output.contains(EmptyDatabase::OWNER_PASSWORD), "{output}");
    }
    assert!(database.connect("tenantry_runtime", RUNTIME_PASSWORD).await.is_ok());
}

#[tokio::test]
async fn the_keys_of_tokens_are_rotated_by_events_and_none_of_them_is_logged() {
    let database = EmptyDatabase::create().await;
    let keys = TestKeys::generate("first");
    let set = |jwk: Value| json!({ "keys": [jwk] }).to_string();
    let secrets = EmulatedSecrets::create(&[
        ("database-owner", &login(database.owner(), EmptyDatabase::OWNER_PASSWORD)),
        ("token-public-keys", &set(keys.public_jwk())),
        ("token-private-keys", &set(keys.private_jwk())),
    ])
    .await;
    let process = Process::start(BINARY, &[], &secrets.environment(database.address()));
    let step = |event: Value| {
        let (kind, answer) = process.invoke(&event);
        assert_eq!(kind, "response", "{answer}");
        answer["step"].as_str().unwrap().to_owned()
    };
    let go_on = json!({ "action": "rotate_keys", "only_continue": true });
    assert_eq!(step(go_on.clone()), "none");
    assert_eq!(step(json!({ "action": "rotate_keys" })), "published");
    assert_eq!(step(go_on), "waiting");
    assert_eq!(step(json!({ "action": "rotate_keys", "force": true })), "replaced");
    let private: Value = serde_json::from_str(secrets.text("token-private-keys").await.expose_secret()).unwrap();
    let log = process.kill();
    for key in [keys.private_jwk(), private["keys"][0].clone()] {
        assert!(!log.contains(key["d"].as_str().unwrap()), "{log}");
    }
    assert!(log.contains(private["keys"][0]["kid"].as_str().unwrap()));
}

#[tokio::test]
async fn what_is_wrong_is_said_in_one_line_without_a_password() {
    let (_database, environment) = empty("s3cret-but-wrong").await;
    let cause = failed(&Process::start(BINARY, &[r#"{"action":"migrate"}"#], &environment).ended());
    assert!(cause.contains("password authentication failed") && !cause.contains("s3cret"), "{cause}");
    let cause = failed(&Process::start(BINARY, &[r#"{"action":"drop"}"#], &environment).ended());
    assert!(cause.contains("the event is no action"), "{cause}");
    let cause = failed(&Process::start(BINARY, &[r#"{"action":"migrate"}"#], &[]).ended());
    for name in ["DATABASE_HOST", "DATABASE_NAME", "DATABASE_SECRET_ID", "DATABASE_OWNER_SECRET_ID"] {
        assert!(cause.contains(name), "{cause}");
    }
}

/// Three tenants with ten sessions each that are over for long, and a token each.
const FILL: &str = "
    INSERT INTO tenants (id, slug, name)
    SELECT lpad(n::text, 32, '0')::uuid, 't-' || n, 'A tenant' FROM generate_series(1, 3) AS n;
    INSERT INTO users (tenant_id, id, email, display_name, role)
    SELECT id, id, 'a@example.com', 'A User', 'admin' FROM tenants WHERE slug LIKE 't-_';
    INSERT INTO sessions (tenant_id, id, user_id, created_at, last_used_at, expires_at)
    SELECT tenant_id, md5(n::text)::uuid, id, '2020-01-01', '2020-01-01', '2020-01-31' FROM users, generate_series(1, 10) AS n;
    INSERT INTO refresh_tokens (tenant_id, session_id, generation, token_hash, created_at, expires_at)
    SELECT tenant_id, id, 0, sha256(id::text::bytea), created_at, expires_at FROM sessions";
/// The second one's sessions take a minute to delete.
const SLOW: &str = "
    CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN OLD; END $$;
    CREATE TRIGGER slow BEFORE DELETE ON sessions FOR EACH ROW
              WHEN (OLD.tenant_id = '00000000-0000-0000-0000-000000000002') EXECUTE FUNCTION slow()";

#[tokio::test]
async fn a_clean_up_that_is_killed_leaves_no_lock_and_no_half_of_a_batch_and_the_next_one_finishes() {
    let database = TestDatabase::create().await.with_maintainer().await;
    let owner = login(database.maintainer(), RUNTIME_PASSWORD);
    let secrets = EmulatedSecrets::create(&[("database-owner", &owner)]).await;
    let environment = secrets.environment(database.address());
    let mut superuser = database.superuser().await;
    sqlx::raw_sql(FILL).execute(&mut superuser).await.unwrap();
    sqlx::raw_sql(SLOW).execute(&mut superuser).await.unwrap();

    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/ops-clean-up.json");
    let event = std::fs::read_to_string(path).unwrap();
    let process = Process::start(BINARY, &[&event], &environment);
    let in_the_middle =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    let start = Instant::now();
    while sqlx::query_scalar::<_, i64>(in_the_middle).fetch_one(&mut superuser).await.unwrap() == 0 {
        assert!(start.elapsed() < Duration::from_secs(10), "it never came to the second tenant");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(process.kill());
    let left = "SELECT count(*), (SELECT count(*) FROM refresh_tokens WHERE tenant_id = s.tenant_id)
                  FROM sessions s WHERE tenant_id = '00000000-0000-0000-0000-000000000002' GROUP BY tenant_id";
    let left: (i64, i64) = sqlx::query_as(left).fetch_one(&mut superuser).await.unwrap();
    assert_eq!(left, (10, 10));

    let start = Instant::now();
    sqlx::raw_sql("SET lock_timeout = '10s'; DROP TRIGGER slow ON sessions").execute(&mut superuser).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "its locks stayed for {:?}", start.elapsed());
    let ended = Process::start(BINARY, &[&event], &environment).ended();
    assert!(ended.success && ended.output.contains(r#""complete":true"#), "{ended:?}");
    assert!(!ended.output.contains(RUNTIME_PASSWORD), "{ended:?}");
    let left = "SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM refresh_tokens)";
    assert_eq!(sqlx::query_as::<_, (i64, i64)>(left).fetch_one(&mut superuser).await.unwrap(), (0, 0));
}

#[tokio::test]
async fn a_deletion_that_is_killed_leaves_no_half_of_a_batch_and_the_next_one_goes_on() {
    let database = TestDatabase::create().await.with_maintainer().await;
    let owner = login(database.maintainer(), RUNTIME_PASSWORD);
    let secrets = EmulatedSecrets::create(&[("database-owner", &owner)]).await;
    let environment = secrets.environment(database.address());
    let mut superuser = database.superuser().await;
    for sql in [
        FILL,
        SLOW,
        "UPDATE tenants SET status = 'suspended', suspended_at = now() - interval '2 minutes' WHERE slug = 't-2'",
    ] {
        sqlx::raw_sql(sql).execute(&mut superuser).await.unwrap();
    }
    let event = r#"{"action":"delete_tenant","slug":"t-2","confirm":"t-2"}"#;
    let process = Process::start(BINARY, &[event], &environment);
    let in_the_middle =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    let start = Instant::now();
    while sqlx::query_scalar::<_, i64>(in_the_middle).fetch_one(&mut superuser).await.unwrap() == 0 {
        assert!(start.elapsed() < Duration::from_secs(10), "it never came to the sessions");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(process.kill());
    let left = "SELECT (SELECT count(*) FROM sessions s WHERE s.tenant_id = t.id),
                       (SELECT count(*) FROM refresh_tokens r WHERE r.tenant_id = t.id), t.status FROM tenants t
                 WHERE slug LIKE 't-_' ORDER BY slug";
    let found: Vec<(i64, i64, String)> = sqlx::query_as(left).fetch_all(&mut superuser).await.unwrap();
    let of = |sessions, tokens, status: &str| (sessions, tokens, status.to_owned());
    assert_eq!(found, [of(10, 10, "active"), of(10, 0, "deleted"), of(10, 10, "active")]);
    sqlx::raw_sql("SET lock_timeout = '10s'; DROP TRIGGER slow ON sessions").execute(&mut superuser).await.unwrap();
    let ended = Process::start(BINARY, &[event], &environment).ended();
    assert!(ended.success && ended.output.contains(r#""rows":{"sessions":10,"users":1}"#), "{ended:?}");
    let found: Vec<(i64, i64, String)> = sqlx::query_as(left).fetch_all(&mut superuser).await.unwrap();
    assert_eq!(found, [of(10, 10, "active"), of(0, 0, "deleted"), of(10, 10, "active")]);
}
