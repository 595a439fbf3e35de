//! The function as Lambda starts it: real processes, Postgres, Secrets Manager.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::net::TcpListener;

use serde_json::{Value, json};
use shared::testing::{EmulatedSecrets, Process, RUNTIME_PASSWORD, TestDatabase};

const BINARY: &str = env!("CARGO_BIN_EXE_health");

fn event(name: &str) -> Value {
    let path = format!("{}/../../events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The status and body that the process answers to an event of `events/`.
fn answer(process: &Process, name: &str) -> (Value, Value) {
    let (kind, mut answer) = process.invoke(&event(name));
    assert_eq!(kind, "response");
    let body = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    (answer["statusCode"].take(), body)
}

#[tokio::test]
async fn every_event_of_the_group_is_served() {
    let login = json!({ "username": "tenantry_runtime", "password": RUNTIME_PASSWORD }).to_string();
    let (secrets, database) = (EmulatedSecrets::create(&[("database", &login)]).await, TestDatabase::create().await);
    let process = Process::start(BINARY, &[], &secrets.environment(database.address()));
    for name in ["overview", "live", "ready", "database", "secrets", "cache"] {
        assert_eq!(answer(&process, &format!("health-{name}")).0, 200, "{name}");
    }
    let (status, body) = answer(&process, "unknown-path");
    assert_eq!((status, &body["error"]["code"]), (json!(404), &json!("REQ_005")));
}

#[tokio::test]
async fn it_starts_and_lives_without_a_secret_and_says_that_it_is_not_ready() {
    let (secrets, database) = (EmulatedSecrets::create(&[]).await, TestDatabase::create().await);
    let mut environment = secrets.environment(database.address());
    let process = Process::start(BINARY, &[], &environment);
    assert_eq!(answer(&process, "health-live").0, 200);
    for name in ["ready", "secrets", "database", "overview"] {
        assert_eq!(answer(&process, &format!("health-{name}")).0, 503, "{name}");
    }
    // A Secrets Manager that says nothing at all.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    environment.push(("AWS_ENDPOINT_URL".to_owned(), format!("http://{}", silent.local_addr().unwrap())));
    let process = Process::start(BINARY, &[], &environment);
    let start = std::time::Instant::now();
    let (status, body) = answer(&process, "health-secrets");
    assert_eq!((status, &body["status"]), (json!(503), &json!("unhealthy")));
    assert!(start.elapsed().as_secs_f64() < 2.5, "{:?}", start.elapsed());
    assert!(!process.kill().contains(RUNTIME_PASSWORD));
}

#[test]
fn an_empty_environment_is_refused_with_every_name() {
    let ended = Process::start(BINARY, &[], &[]).ended();
    assert!(!ended.success && ended.elapsed.as_secs_f64() < 5.0, "{ended:?}");
    let line = ended.line();
    for name in ["DATABASE_HOST", "DATABASE_NAME", "DATABASE_SECRET_ID"] {
        assert!(line["faults"].as_str().unwrap().contains(name), "{line}");
    }
}
