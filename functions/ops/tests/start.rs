//! The function as an operator invokes it: real processes, Postgres, Secrets
//! Manager.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use serde_json::{Value, json};
use shared::testing::{EmptyDatabase, EmulatedSecrets, Ended, Process, RUNTIME_PASSWORD};

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
