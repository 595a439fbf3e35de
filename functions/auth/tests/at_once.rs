//! R2 of THREATS over execution environments: real processes, one Postgres.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::HashSet;

use serde_json::{Value, json};
use shared::testing::{EmulatedSecrets, Process, TestDatabase, TestKeys};

const BINARY: &str = env!("CARGO_BIN_EXE_auth");

fn event(name: &str) -> Value {
    let path = format!("{}/../../events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The body of an answer with this status.
fn body(answer: &Value, status: u16) -> Value {
    assert_eq!(answer["statusCode"], status, "{answer}");
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
}

fn refresh(token: &Value) -> Value {
    let mut event = event("auth-refresh");
    event["body"] = json!({ "refresh_token": token }).to_string().into();
    event
}

#[tokio::test]
async fn r2_one_refresh_token_sent_twenty_times_at_once_to_four_processes_yields_one_successor() {
    let database = TestDatabase::create().await;
    let secrets = EmulatedSecrets::usual(&TestKeys::generate("test-key"), &database).await;
    let mut environment = secrets.environment(database.address());
    environment.push(("AWS_LAMBDA_MAX_CONCURRENCY".to_owned(), "5".to_owned()));
    let processes: Vec<_> = (0..4).map(|_| Process::start(BINARY, &[], &environment)).collect();
    let first = body(&processes[0].invoke(&event("auth-signup")).1, 201);

    let answers = Process::invoke_all(&processes, &refresh(&first["refresh_token"]), 20).unwrap();
    let pairs: Vec<_> = answers.iter().map(|answer| body(answer, 200)).collect();
    let successors: HashSet<_> = pairs.iter().map(|pair| pair["refresh_token"].as_str().unwrap()).collect();
    assert_eq!(successors.len(), 1);
    assert!(!successors.contains(first["refresh_token"].as_str().unwrap()));
    for (process, pair) in processes.iter().cycle().zip(&pairs) {
        let mut me = event("auth-me");
        me["headers"]["authorization"] = format!("Bearer {}", pair["access_token"].as_str().unwrap()).into();
        body(&process.invoke(&me).1, 200);
    }
    let stored = "SELECT s.generation, s.ended_at IS NULL, (SELECT count(*) FROM refresh_tokens),
                         (SELECT count(*) FROM audit_events WHERE outcome <> 'success') FROM sessions s";
    let stored: (i32, bool, i64, i64) =
        sqlx::query_as(stored).fetch_one(&mut database.superuser().await).await.unwrap();
    assert_eq!(stored, (1, true, 2, 0));
    body(&processes[3].invoke(&refresh(&pairs[0]["refresh_token"])).1, 200);
}
