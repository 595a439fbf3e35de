//! The function as Lambda starts it: real processes, Postgres, Secrets Manager.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use serde_json::{Value, json};
use shared::{
    clock::{Clock, SystemClock},
    testing::{EmulatedSecrets, Process, RUNTIME_PASSWORD, TestDatabase, TestKeys},
};

const BINARY: &str = env!("CARGO_BIN_EXE_users");
const KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA";
const PEPPER: &str = r#"{"current":1,"keys":{"1":"YGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn8"}}"#;

/// All that the function needs; `pepper` is one of its secrets, if there is one.
async fn setting(pepper: Option<&str>) -> (TestDatabase, TestKeys, EmulatedSecrets) {
    let (database, keys) = (TestDatabase::create().await, TestKeys::generate("test-key"));
    let login = json!({ "username": database.role(), "password": RUNTIME_PASSWORD }).to_string();
    let set = json!({ "keys": [keys.public_jwk()] }).to_string();
    let mut secrets = vec![("database", &*login), ("token-public-keys", &*set), ("cursor-key", KEY)];
    secrets.extend(pepper.map(|pepper| ("password-pepper", pepper)));
    let secrets = EmulatedSecrets::create(&secrets).await;
    (database, keys, secrets)
}

fn event(name: &str) -> Value {
    let path = format!("{}/../../events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test]
async fn it_serves_real_events_and_tells_no_secret_at_any_level() {
    let (database, keys, secrets) = setting(Some(PEPPER)).await;
    let mut superuser = database.superuser().await;
    let [tenant, user, session] = [1, 2, 3].map(|n| format!("0193a1b2-0000-7000-8000-00000000000{n}"));
    let sql = format!(
        "INSERT INTO tenants (id, slug, name) VALUES ('{tenant}', 'acme', 'Acme');
         INSERT INTO users (tenant_id, id, email, display_name, role) VALUES ('{tenant}', '{user}', 'a@b.c', 'A', 'admin');
         INSERT INTO sessions (tenant_id, id, user_id, created_at, last_used_at, expires_at)
         VALUES ('{tenant}', '{session}', '{user}', now(), now(), now() + interval '1 day')"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut superuser).await.unwrap();
    let now = SystemClock.now().unix_timestamp();
    let environment = secrets.environment(database.address());
    let of = |name: &str| environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap();
    let token = keys.sign(&json!({
        "iss": of("TOKEN_ISSUER"), "aud": of("TOKEN_AUDIENCE"), "sub": user, "sid": session, "tenant_id": tenant,
        "role": "admin", "jti": session, "iat": now, "exp": now + 900,
    }));
    let environment: Vec<_> = environment.into_iter().chain([("LOG_LEVEL".into(), "trace".into())]).collect();
    let process = Process::start(BINARY, &[], &environment);
    let mut create = event("users-create");
    create["headers"]["authorization"] = format!("Bearer {token}").into();
    let (kind, answer) = process.invoke(&create);
    assert_eq!((&*kind, &answer["statusCode"]), ("response", &json!(201)), "{answer}");
    let log = process.kill();
    let body: Value = serde_json::from_str(create["body"].as_str().unwrap()).unwrap();
    let (password, email) = (body["password"].as_str().unwrap(), body["email"].as_str().unwrap());
    for secret in [&*token, password, email, RUNTIME_PASSWORD, KEY, &PEPPER[26..69], "argon2id"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[tokio::test]
async fn s1_a_pepper_that_is_missing_or_malformed_ends_the_start_and_is_named() {
    for pepper in [None, Some("no-json"), Some(r#"{"current":2,"keys":{"1":"short"}}"#)] {
        let (database, _keys, secrets) = setting(pepper).await;
        let ended = Process::start(BINARY, &[], &secrets.environment(database.address())).ended();
        assert!(!ended.success && ended.elapsed.as_secs_f64() < 5.0, "{ended:?}");
        let line = ended.line();
        assert_eq!((&line["level"], &line["message"]), (&json!("ERROR"), &json!("the function cannot start")));
        let faults = line["faults"].as_str().unwrap();
        assert!(
            faults.contains("password-pepper") && !faults.contains("short") && !faults.contains("no-json"),
            "{faults}"
        );
    }
}
