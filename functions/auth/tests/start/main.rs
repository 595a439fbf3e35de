//! The function as Lambda starts it: real processes, Postgres, Secrets Manager.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod signing;

use std::net::TcpListener;

use serde_json::{Value, json};
use shared::testing::{ClosedPort, EmulatedSecrets, Ended, Process, RUNTIME_PASSWORD, TestDatabase, TestKeys};

const BINARY: &str = env!("CARGO_BIN_EXE_auth");
const KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA";

const PEPPER: &str = r#"{"current":1,"keys":{"1":"YGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn8"}}"#;

struct Setting {
    database: TestDatabase,
    secrets: EmulatedSecrets,
}

impl Setting {
    /// All that the function needs, but for these secrets: others in place of
    /// them, or none.
    async fn with(changed: &[(&str, Option<&str>)]) -> Self {
        let keys = TestKeys::generate("test-key");
        let set = |jwk: Value| json!({ "keys": [jwk] }).to_string();
        let secrets = [
            ("database", json!({ "username": "tenantry_runtime", "password": RUNTIME_PASSWORD }).to_string()),
            ("token-public-keys", set(keys.public_jwk())),
            ("token-private-keys", set(keys.private_jwk())),
            ("refresh-key", KEY.to_owned()),
            ("password-pepper", PEPPER.to_owned()),
            ("cursor-key", KEY.to_owned()),
        ];
        let value = |name: &str| changed.iter().find(|(changed, _)| *changed == name).map(|(_, value)| *value);
        let secrets: Vec<_> =
            secrets.iter().filter_map(|(name, good)| Some((*name, value(name).unwrap_or(Some(good))?))).collect();
        Self { secrets: EmulatedSecrets::create(&secrets).await, database: TestDatabase::create().await }
    }

    /// The environment, with these variables set otherwise.
    fn environment(&self, changed: &[(&str, &str)]) -> Vec<(String, String)> {
        let usual = self.secrets.environment(self.database.address());
        usual.into_iter().chain(changed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))).collect()
    }
}

/// It did not start, soon, and said so in one line, which this returns.
fn refused(ended: &Ended) -> String {
    assert!(!ended.success && ended.elapsed.as_secs_f64() < 5.0, "{ended:?}");
    let line = ended.line();
    assert_eq!((&line["level"], &line["message"]), (&json!("ERROR"), &json!("the function cannot start")));
    line["faults"].as_str().unwrap().to_owned()
}

fn event(name: &str) -> Value {
    let path = format!("{}/../../events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test]
async fn with_all_that_it_needs_it_serves_real_events_and_tells_no_secret_at_any_level() {
    let setting = Setting::with(&[]).await;
    let process = Process::start(BINARY, &[], &setting.environment(&[("LOG_LEVEL", "trace")]));
    let (kind, answer) = process.invoke(&event("auth-signup"));
    assert_eq!((&*kind, &answer["statusCode"]), ("response", &json!(201)), "{answer}");
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    let (access, refresh) = (body["access_token"].as_str().unwrap(), body["refresh_token"].as_str().unwrap());
    let mut me = event("auth-me");
    me["headers"]["authorization"] = format!("Bearer {access}").into();
    let (_, answer) = process.invoke(&me);
    assert_eq!(answer["statusCode"], 200, "{answer}");
    let log = process.kill();
    let signed_up: Value = serde_json::from_str(event("auth-signup")["body"].as_str().unwrap()).unwrap();
    let (password, email) = (signed_up["password"].as_str().unwrap(), signed_up["email"].as_str().unwrap());
    for secret in [access, refresh, password, email, RUNTIME_PASSWORD, KEY, &PEPPER[26..69]] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
    let requests = log.lines().filter(|line| line.contains(r#""message":"request""#));
    let cold: Vec<Value> =
        requests.map(|line| serde_json::from_str::<Value>(line).unwrap()["cold_start"].take()).collect();
    assert_eq!(cold, [1, 0]);
}

#[tokio::test]
async fn r4_what_has_ended_stays_ended_when_the_process_is_killed() {
    let setting = Setting::with(&[]).await;
    let process = Process::start(BINARY, &[], &setting.environment(&[]));
    let (_, answer) = process.invoke(&event("auth-signup"));
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    let mut logout = event("auth-logout");
    logout["headers"]["authorization"] = format!("Bearer {}", body["access_token"].as_str().unwrap()).into();
    assert_eq!(process.invoke(&logout).1["statusCode"], 204);
    let _ = process.kill();
    let process = Process::start(BINARY, &[], &setting.environment(&[]));
    assert!(process.invoke(&logout).1["body"].as_str().unwrap().contains("AUTH_006"));
    let mut refresh = event("auth-refresh");
    refresh["body"] = json!({ "refresh_token": body["refresh_token"] }).to_string().into();
    assert!(process.invoke(&refresh).1["body"].as_str().unwrap().contains("AUTH_007"));
}

#[tokio::test]
async fn an_empty_environment_is_refused_with_every_name() {
    let faults = refused(&Process::start(BINARY, &[], &[("LOG_LEVEL".to_owned(), "loud".to_owned())]).ended());
    for name in [
        "LOG_LEVEL",
        "DATABASE_HOST",
        "DATABASE_NAME",
        "DATABASE_SECRET_ID",
        "TOKEN_ISSUER",
        "TOKEN_AUDIENCE",
        "TOKEN_PUBLIC_KEYS_SECRET_ID",
        "TOKEN_PRIVATE_KEYS_SECRET_ID",
        "REFRESH_KEY_SECRET_ID",
        "PASSWORD_PEPPER_SECRET_ID",
        "CURSOR_KEY_SECRET_ID",
    ] {
        assert!(faults.contains(name), "{name}: {faults}");
    }
    assert!(!faults.contains("loud"));
}

#[tokio::test]
async fn missing_secrets_are_refused_with_every_id() {
    let names = ["database", "token-public-keys", "token-private-keys", "refresh-key", "password-pepper", "cursor-key"];
    for missing in names.map(|name| vec![name]).into_iter().chain([names.to_vec()]) {
        let none: Vec<_> = missing.iter().map(|name| (*name, None)).collect();
        let setting = Setting::with(&none).await;
        let faults = refused(&Process::start(BINARY, &[], &setting.environment(&[])).ended());
        assert!(faults.starts_with(&format!("{} fault", missing.len())), "{faults}");
        for name in missing {
            assert!(faults.contains(&format!("the secret {} is missing", setting.secrets.id(name))), "{faults}");
        }
    }
}

#[tokio::test]
async fn malformed_secrets_are_refused_with_every_id_and_no_value() {
    let other = TestKeys::generate("other");
    let mut torn = TestKeys::generate("torn").private_jwk();
    torn["x"] = other.public_jwk()["x"].clone();
    let torn = json!({ "keys": [torn] }).to_string();
    let weak = json!({ "keys": [{ "kty": "oct", "kid": "s3cret", "k": "s3cret" }] }).to_string();
    for [database, public, private, refresh, pepper, cursor] in [
        ["s3cret", "s3cret", "s3cret", "s3cret", "s3cret", "s3cret"],
        [r#"{"username":"s3cret"}"#, &weak, &torn, "czNjcmV0", r#"{"current":2,"keys":{"1":"s3cret"}}"#, "s3cret=="],
        [
            r#"{"username":7,"password":"s3cret"}"#,
            r#"{"keys":[]}"#,
            r#"{"keys":["s3cret"]}"#,
            &KEY[1..],
            &PEPPER.replace(":1", ":2"),
            &KEY.repeat(2),
        ],
        ["[]", &weak, &json!({ "keys": [other.public_jwk()] }).to_string(), " ", KEY, "\u{0}"],
    ] {
        let setting = Setting::with(&[
            ("database", Some(database)),
            ("token-public-keys", Some(public)),
            ("token-private-keys", Some(private)),
            ("refresh-key", Some(refresh)),
            ("password-pepper", Some(pepper)),
            ("cursor-key", Some(cursor)),
        ])
        .await;
        let faults = refused(&Process::start(BINARY, &[], &setting.environment(&[])).ended());
        assert!(faults.starts_with("6 faults"), "{faults}");
        for name in
            ["database", "token-public-keys", "token-private-keys", "refresh-key", "password-pepper", "cursor-key"]
        {
            assert!(faults.contains(&format!("the secret {} ", setting.secrets.id(name))), "{name}: {faults}");
        }
        for value in ["s3cret", "czNjcmV0", &KEY[1..], torn.split('"').max_by_key(|part| part.len()).unwrap()] {
            assert!(!faults.contains(value), "{faults}");
        }
    }
}

#[tokio::test]
async fn a_private_key_that_fits_no_public_one_is_refused() {
    for kid in ["test-key", "another"] {
        let other = json!({ "keys": [TestKeys::generate(kid).private_jwk()] }).to_string();
        let setting = Setting::with(&[("token-private-keys", Some(&other))]).await;
        let faults = refused(&Process::start(BINARY, &[], &setting.environment(&[])).ended());
        assert!(faults.starts_with("1 fault"), "{faults}");
        for name in ["token-private-keys", "token-public-keys"] {
            assert!(faults.contains(&setting.secrets.id(name)), "{name}: {faults}");
        }
    }
}

#[tokio::test]
async fn a_secrets_manager_that_is_away_or_silent_is_given_up_in_time() {
    let setting = Setting::with(&[]).await;
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let away = ClosedPort::take();
    for address in [silent.local_addr().unwrap(), away.address()] {
        let endpoint = format!("http://{address}");
        let process = Process::start(BINARY, &[], &setting.environment(&[("AWS_ENDPOINT_URL", &endpoint)]));
        let faults = refused(&process.ended());
        assert!(faults.contains("Secrets Manager did not give the secrets"), "{faults}");
        assert!(faults.contains(&setting.secrets.id("refresh-key")), "{faults}");
    }
}
