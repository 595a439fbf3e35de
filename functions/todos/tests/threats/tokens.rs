//! The form of access tokens: J1, J3-J6, J9, J10 and J13 of THREATS.

use serde_json::{Value, json};
use shared::testing::{Answer, Event, Member, TestApp, TestKeys};

const HEADER: &str = r#"{"alg":"ES256","typ":"at+jwt","kid":"test-key"}"#;

pub(crate) async fn get(app: &TestApp<todos::Todos>, token: &str) -> Answer {
    app.send(Event::get("/api/v1/todos").bearer(token)).await
}

/// Refused with `code`, and recorded in the tenant's trail once if `recorded`.
pub(crate) async fn refused(
    app: &TestApp<todos::Todos>,
    member: &Member,
    token: &str,
    code: &str,
    recorded: bool,
    what: &str,
) {
    let before = app.trail(member.tenant).await.len();
    let answer = get(app, token).await;
    assert_eq!(answer.code(), code, "{what}");
    if code.starts_with("AUTH") {
        assert_eq!(answer.status, 401, "{what}");
        assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"", "{what}");
    } else {
        assert_eq!((answer.status.as_u16(), answer.header("www-authenticate")), (403, ""), "{what}");
    }
    let trail = app.trail(member.tenant).await;
    let record = ("todos.list".to_owned(), "denied".to_owned(), Some(code.to_owned()), None);
    assert_eq!(trail[before..], vec![record; usize::from(recorded)], "{what}");
    let line = answer.request_line();
    assert_eq!(line.get("tenant_id").is_some(), recorded, "{what}");
    let logged = format!("{:?}", answer.log);
    assert!(token.len() < 20 || !logged.contains(token), "{what}: the token is in the log");
}

#[tokio::test]
async fn j1_a_signature_that_is_none_or_not_whole_is_refused() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let (message, signature) = ada.token.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    for (token, what) in [
        (format!("{message}."), "empty"),
        (message.to_owned(), "absent"),
        (format!("{message}.{}", &signature[..85]), "short by one"),
        (format!("{message}.{}", &signature[..43]), "half"),
        (format!("{message}.{signature}AA"), "too long"),
        (format!("{message}.{signature}="), "padded"),
        (format!("{message}.{flipped}{}", &signature[1..]), "changed"),
        (format!("{message}.{}", "A".repeat(86)), "r and s of zero"),
        (format!("{}.{signature}", message.replace('.', "..")), "four parts"),
        (format!(".{}.{signature}", message.rsplit_once('.').unwrap().1), "no header"),
    ] {
        refused(&app, &ada, &token, "AUTH_001", false, what).await;
    }
}

#[tokio::test]
async fn j1_no_algorithm_but_the_keys_own_is_taken_in_any_spelling() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let claims = app.claims(&ada).to_string();
    for alg in ["none", "None", "NONE", "nOnE", "", "HS256", "ES384", "RS256", "es256", "ES256 ", "ES256K"] {
        let header = json!({ "alg": alg, "typ": "at+jwt", "kid": "test-key" }).to_string();
        let token = app.keys.sign_raw(&header, &claims);
        refused(&app, &ada, &token, "AUTH_001", false, alg).await;
        let unsigned = format!("{}.", token.rsplit_once('.').unwrap().0);
        refused(&app, &ada, &unsigned, "AUTH_001", false, alg).await;
    }
}

#[tokio::test]
async fn j3_a_key_that_the_header_brings_is_ignored() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let mallory = TestKeys::generate("test-key");
    let claims = app.claims(&ada).to_string();
    for (name, value) in [
        ("jwk", mallory.public_jwk()),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("http://169.254.169.254/latest")),
        ("x5c", json!(["MIIB"])),
    ] {
        let mut header: Value = serde_json::from_str(HEADER).unwrap();
        header[name] = value;
        refused(&app, &ada, &mallory.sign_raw(&header.to_string(), &claims), "AUTH_001", false, name).await;
        // With a good signature it changes nothing either.
        assert_eq!(get(&app, &app.keys.sign_raw(&header.to_string(), &claims)).await.status, 200, "{name}");
    }
}

#[tokio::test]
async fn j4_a_foreign_key_is_refused_under_any_kid() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    for kid in ["test-key", "other", "", "../../etc/passwd", "' OR 1=1 --", "a\0b", &"k".repeat(5_000)] {
        let token = TestKeys::generate(kid).sign(&app.claims(&ada));
        refused(&app, &ada, &token, "AUTH_001", false, kid).await;
    }
    let no_kid = app.keys.sign_raw(r#"{"alg":"ES256","typ":"at+jwt"}"#, &app.claims(&ada).to_string());
    refused(&app, &ada, &no_kid, "AUTH_001", false, "no kid").await;
}

#[tokio::test]
async fn j5_j9_what_is_signed_but_no_access_token_is_refused_and_recorded() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let claims = app.claims(&ada).to_string();
    for header in [
        r#"{"alg":"ES256","typ":"at+jwt","kid":"test-key","crit":["exp"],"exp":1}"#,
        r#"{"alg":"ES256","typ":"at+jwt","kid":"test-key","crit":["b64"],"b64":false}"#,
        r#"{"alg":"ES256","typ":"at+jwt","kid":"test-key","b64":false}"#,
        r#"{"alg":"ES256","typ":"at+jwt","kid":"test-key","b64":true}"#,
        r#"{"alg":"ES256","typ":"at+jwt","kid":"test-key","crit":[]}"#,
        r#"{"alg":"ES256","typ":"at+jwt","kid":"test-key","crit":null}"#,
        r#"{"alg":"ES256","typ":"JWT","kid":"test-key"}"#,
        r#"{"alg":"ES256","typ":"id","kid":"test-key"}"#,
        r#"{"alg":"ES256","typ":"logout+jwt","kid":"test-key"}"#,
        r#"{"alg":"ES256","typ":"","kid":"test-key"}"#,
        r#"{"alg":"ES256","kid":"test-key"}"#,
    ] {
        refused(&app, &ada, &app.keys.sign_raw(header, &claims), "AUTH_001", true, header).await;
    }
    // A refresh token, as it is and as a part of a JWT.
    let refresh = "AZOhsgAAcACAAAAAAAAAAQGTobIAAHAAgAAAAAAAAAIAAAAA";
    refused(&app, &ada, refresh, "AUTH_001", false, "a refresh token").await;
    refused(&app, &ada, &format!("{refresh}.{refresh}.{refresh}"), "AUTH_001", false, "three of them").await;
}

#[tokio::test]
async fn j6_a_name_that_stands_twice_is_refused_in_any_spelling() {
    let app = TestApp::start(todos::routes()).await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    let claims = app.claims(&ada).to_string();
    for header in [
        r#"{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"test-key"}"#,
        r#"{"alg":"ES256","\u0061lg":"ES256","typ":"at+jwt","kid":"test-key"}"#,
        r#"{"alg":"ES256","typ":"at+jwt","kid":"x","kid":"test-key"}"#,
        r#"{"alg":"ES256","typ":"id","typ":"at+jwt","kid":"test-key"}"#,
    ] {
        refused(&app, &ada, &app.keys.sign_raw(header, &claims), "AUTH_001", false, header).await;
    }
    let open = claims.strip_suffix('}').unwrap();
    for (name, value) in [
        ("tenant_id", json!(eve.tenant)),
        ("tenant_id", json!(ada.tenant)),
        ("tenan\\u0074_id", json!(eve.tenant)),
        ("\\u0065xp", json!(9_999_999_999_i64)),
        ("role", json!("admin")),
        ("sub", json!(eve.user)),
        ("sid", json!(eve.session)),
    ] {
        let token = app.keys.sign_raw(HEADER, &format!("{open},\"{name}\":{value}}}"));
        refused(&app, &ada, &token, "AUTH_001", false, name).await;
    }
    assert_eq!(app.trail(eve.tenant).await, []);
}

#[tokio::test]
async fn j10_a_token_that_is_too_large_or_too_deep_is_refused_at_once() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let claims = app.claims(&ada).to_string();
    let open = claims.strip_suffix('}').unwrap();
    let large = app.keys.sign_raw(HEADER, &format!("{open},\"pad\":\"{}\"}}", "x".repeat(8_000)));
    let deep = |depth| format!("{open},\"organization_id\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
    let deep = app.keys.sign_raw(HEADER, &deep(2_500));
    let header =
        format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"test-key","x":{}1{}}}"#, "[".repeat(2_500), "]".repeat(2_500));
    let header = TestKeys::generate("test-key").sign_raw(&header, &claims);
    get(&app, &ada.token).await;
    for (token, what) in
        [(&large, "large"), (&deep, "deep"), (&header, "deep in the header"), (&"a.".repeat(4_000), "dots")]
    {
        let fastest = {
            let mut times = Vec::new();
            for _ in 0..5 {
                let answer = get(&app, token).await;
                assert_eq!(answer.code(), "AUTH_001", "{what}");
                times.push(answer.request_line()["duration_ms"].as_f64().unwrap());
            }
            times.into_iter().fold(f64::MAX, f64::min)
        };
        assert!(fastest < 5.0, "{what}: {fastest} ms");
    }
    assert_eq!(app.trail(ada.tenant).await, []);
}

#[tokio::test]
async fn j13_two_authorization_headers_are_a_malformed_request() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    // An HTTP API joins them with a comma.
    for value in [format!("Bearer {0}, Bearer {0}", ada.token), format!("Bearer {},Basic YTpi", ada.token), ",".into()]
    {
        let answer = app.send(Event::get("/api/v1/todos").header("authorization", &value)).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "REQ_001"));
        assert_eq!(answer.header("www-authenticate"), "");
    }
    assert_eq!(app.trail(ada.tenant).await, []);
}

#[tokio::test]
async fn no_credentials_are_challenged_without_an_error() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let none = app.send(Event::get("/api/v1/todos")).await;
    assert_eq!((none.status.as_u16(), none.code().as_str()), (401, "AUTH_003"));
    assert_eq!(none.header("www-authenticate"), "Bearer");
    for value in ["", "Bearer", "Bearer ", "Basic YTpi", ada.token.as_str(), "Token abc"] {
        let answer = app.send(Event::get("/api/v1/todos").header("authorization", value)).await;
        assert_eq!((answer.code().as_str(), answer.header("www-authenticate")), ("AUTH_003", "Bearer"), "{value}");
    }
    for scheme in ["bearer", "BEARER"] {
        let event = Event::get("/api/v1/todos").header("authorization", &format!("{scheme} {}", ada.token));
        assert_eq!(app.send(event).await.status, 200, "{scheme}");
    }
    let elsewhere = Event::get(&format!("/api/v1/todos?access_token={}", ada.token));
    assert_eq!(app.send(elsewhere).await.code(), "AUTH_003", "a token in the query is none");
}
