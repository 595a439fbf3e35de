//! The key that signs, in its secret or in KMS.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use shared::{
    auth::Algorithm,
    testing::{EmulatedKey, Process, TestKeys, setting},
};

use super::{BINARY, Setting, event, refused};

/// A setting whose public set has the key in KMS.
async fn with(key: &EmulatedKey) -> Setting {
    let public = json!({ "keys": [key.public_jwk().await] }).to_string();
    Setting::with(&[("token-public-keys", Some(&public)), ("token-private-keys", None)]).await
}

fn in_kms(id: &str) -> [(&str, &str); 2] {
    [("TOKEN_PRIVATE_KEYS_SECRET_ID", ""), ("TOKEN_SIGNING_KMS_KEY_ID", id)]
}

/// An operation with a body, and its status and answer.
fn send(process: &Process, name: &str, body: Option<&Value>) -> (u64, Value) {
    let mut event = event(name);
    if let Some(body) = body {
        event["body"] = body.to_string().into();
    }
    let (_, answer) = process.invoke(&event);
    (answer["statusCode"].as_u64().unwrap(), serde_json::from_str(answer["body"].as_str().unwrap()).unwrap())
}

/// What `GET /auth/me` says to a token.
fn me(process: &Process, token: &Value) -> u64 {
    let mut event = event("auth-me");
    event["headers"]["authorization"] = format!("Bearer {}", token.as_str().unwrap()).into();
    process.invoke(&event).1["statusCode"].as_u64().unwrap()
}

#[tokio::test]
async fn one_secret_for_both_sets_is_asked_for_once_and_signs_and_checks() {
    let set = TestKeys::of(Algorithm::Hs256, "shared").private_set();
    let setting = Setting::with(&[("token-private-keys", Some(&set))]).await;
    let id = setting.secrets.id("token-private-keys");
    let process = Process::start(BINARY, &[], &setting.environment(&[("TOKEN_PUBLIC_KEYS_SECRET_ID", &id)]));
    let (status, tokens) = send(&process, "auth-signup", None);
    assert_eq!((status, me(&process, &tokens["access_token"])), (201, 200));
    let (status, jwks) = send(&process, "auth-jwks", None);
    assert_eq!((status, jwks), (200, json!({ "keys": [] })));
}

#[tokio::test]
async fn a_key_that_is_none_to_sign_tokens_with_is_refused_by_its_variable() {
    let good = EmulatedKey::create("ECC_NIST_P256").await;
    let setting = with(&good).await;
    let others = ["RSA_2048", "ECC_NIST_P384", "ECC_SECG_P256K1", "SYMMETRIC_DEFAULT"].map(EmulatedKey::create);
    let mut unfit = Vec::new();
    for key in others {
        unfit.push((key.await.id().to_owned(), "must name an ECC_NIST_P256 key for SIGN_VERIFY"));
    }
    for absent in ["alias/nobody", "0193a1b2-0000-4000-8000-000000000001", "nonsense"] {
        unfit.push((absent.to_owned(), "KMS did not give the key"));
    }
    for (id, fault) in unfit {
        let faults = refused(&Process::start(BINARY, &[], &setting.environment(&in_kms(&id))).ended());
        assert!(faults.starts_with("1 fault") && faults.contains(fault), "{id}: {faults}");
        assert!(faults.contains("TOKEN_SIGNING_KMS_KEY_ID"), "{id}: {faults}");
    }
    let unpublished = EmulatedKey::create("ECC_NIST_P256").await;
    let faults = refused(&Process::start(BINARY, &[], &setting.environment(&in_kms(unpublished.id()))).ended());
    let lacks =
        format!("the secret {} lacks the key of TOKEN_SIGNING_KMS_KEY_ID", setting.secrets.id("token-public-keys"));
    assert!(faults.starts_with("1 fault") && faults.contains(&lacks), "{faults}");
}

/// How KMS behaves.
#[derive(Clone, Copy, PartialEq)]
enum Kms {
    Well,
    Away,
    /// It takes two seconds.
    Slow,
    /// As with a key that an operator disabled, which the emulator signs with.
    Disabled,
}

/// Stands before the emulated KMS.
fn gate(behaviour: &Arc<Mutex<Kms>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let behaviour = behaviour.clone();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let behaviour = behaviour.clone();
            thread::spawn(move || pass(client, &behaviour));
        }
    });
    url
}

/// Hands one request on, or does not; each has a connection of its own.
fn pass(mut client: TcpStream, behaviour: &Mutex<Kms>) {
    let request = read(&mut client);
    let answer = match *behaviour.lock().unwrap() {
        Kms::Away => return,
        Kms::Disabled => {
            let body = r#"{"__type":"DisabledException","message":"the key is disabled"}"#;
            format!("HTTP/1.1 400 Bad Request\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).into_bytes()
        }
        behaviour => {
            if behaviour == Kms::Slow {
                thread::sleep(Duration::from_secs(2));
            }
            let mut server = TcpStream::connect(setting("AWS_ENDPOINT_URL").strip_prefix("http://").unwrap()).unwrap();
            let request = String::from_utf8(request).unwrap().replacen("\r\n", "\r\nConnection: close\r\n", 1);
            server.write_all(request.as_bytes()).unwrap();
            let mut answer = Vec::new();
            server.read_to_end(&mut answer).unwrap();
            answer
        }
    };
    let _ = client.write_all(&answer);
}

/// A request with its body.
fn read(client: &mut TcpStream) -> Vec<u8> {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let count = client.read(&mut buffer).unwrap();
        request.extend(&buffer[..count]);
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
        if count == 0 || body.len() >= length {
            return request;
        }
    }
}

#[tokio::test]
async fn while_kms_does_not_sign_nothing_happens_and_afterwards_all_is_as_it_was() {
    let key = EmulatedKey::create("ECC_NIST_P256").await;
    let setting = with(&key).await;
    let behaviour = Arc::new(Mutex::new(Kms::Well));
    let gate = gate(&behaviour);
    let environment =
        setting.environment(&[&in_kms(key.id())[..], &[("AWS_ENDPOINT_URL_KMS", gate.as_str())]].concat());
    let process = Process::start(BINARY, &[], &environment);
    let (status, tokens) = send(&process, "auth-signup", None);
    assert_eq!((status, me(&process, &tokens["access_token"])), (201, 200));
    let refresh = json!({ "refresh_token": tokens["refresh_token"] });
    for outage in [Kms::Away, Kms::Disabled] {
        *behaviour.lock().unwrap() = outage;
        let (status, answer) = send(&process, "auth-refresh", Some(&refresh));
        assert_eq!((status, &answer["error"]["code"]), (503, &json!("SYS_004")), "{answer}");
        // Who has a token goes on, and so does who only checks them.
        assert_eq!(me(&process, &tokens["access_token"]), 200);
    }
    // Eleven seconds on, a token that had been rotated would end its session.
    thread::sleep(Duration::from_secs(11));
    *behaviour.lock().unwrap() = Kms::Well;
    let (status, refreshed) = send(&process, "auth-refresh", Some(&refresh));
    assert_eq!((status, me(&process, &refreshed["access_token"])), (200, 200), "{refreshed}");
    let log = process.kill();
    let causes: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let cause = |line: &&Value| line["error_code"] == "SYS_004";
    let causes: Vec<_> = causes.iter().filter(cause).map(|line| line["cause"].as_str().unwrap()).collect();
    assert!(causes.len() == 2 && causes[1].contains("DisabledException"), "{causes:?}");
    // At the start, it is a fault.
    *behaviour.lock().unwrap() = Kms::Disabled;
    let faults = refused(&Process::start(BINARY, &[], &environment).ended());
    assert!(faults.contains("TOKEN_SIGNING_KMS_KEY_ID") && faults.contains("DisabledException"), "{faults}");
}

#[tokio::test]
async fn nobody_else_waits_while_kms_takes_its_time() {
    let key = EmulatedKey::create("ECC_NIST_P256").await;
    let setting = with(&key).await;
    let behaviour = Arc::new(Mutex::new(Kms::Well));
    let gate = gate(&behaviour);
    let environment =
        setting.environment(&[&in_kms(key.id())[..], &[("AWS_ENDPOINT_URL_KMS", gate.as_str())]].concat());
    let mut process = Process::start(BINARY, &[], &environment);
    let (status, tokens) = send(&process, "auth-signup", None);
    assert_eq!(status, 201);
    *behaviour.lock().unwrap() = Kms::Slow;
    let signup: Value = serde_json::from_str(event("auth-signup")["body"].as_str().unwrap()).unwrap();
    let login =
        json!({ "tenant": signup["organization"]["slug"], "email": signup["email"], "password": signup["password"] });
    let mut other = setting.database.superuser().await;
    for (name, body) in [("auth-refresh", json!({ "refresh_token": tokens["refresh_token"] })), ("auth-login", login)] {
        let waiting = thread::spawn(move || {
            let (status, _) = send(&process, name, Some(&body));
            (process, status)
        });
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        assert!(!waiting.is_finished(), "{name} waits for KMS");
        for rows in ["audit_heads", "users"] {
            let free = sqlx::AssertSqlSafe(format!("SELECT 1 FROM {rows} FOR NO KEY UPDATE NOWAIT"));
            sqlx::query(free).fetch_all(&mut other).await.unwrap_or_else(|error| panic!("{name}, {rows}: {error}"));
        }
        let status;
        (process, status) = waiting.join().unwrap();
        assert_eq!(status, 200, "{name}");
    }
}
