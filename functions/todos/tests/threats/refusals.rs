//! Every REQ and VAL code on the wire, in both forms, under the conventions of
//! every response.

use http::Method;
use serde_json::{Value, json};
use shared::testing::{Answer, Event, Member, TestApp};

const TODOS: &str = "/api/v1/todos";
const MIB: usize = 1024 * 1024;

/// What every response carries.
fn assert_conventions(answer: &Answer, what: &str) {
    for (name, value) in [
        ("api-version", "1"),
        ("strict-transport-security", "max-age=31536000; includeSubDomains"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "strict-origin-when-cross-origin"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(answer.header(name), value, "{what}: {name}");
        assert_eq!(answer.headers.get_all(name).iter().count(), 1, "{what}: {name}");
    }
    assert!(!answer.header("x-request-id").is_empty(), "{what}");
    let line = answer.request_line();
    assert_eq!(line["request_id"], answer.header("x-request-id"), "{what}");
    assert_eq!(line["status"], answer.status.as_u16(), "{what}");
}

fn post(member: &Member, content_type: &str, body: &str) -> Event {
    Event::new(&Method::POST, TODOS).bearer(&member.token).body(content_type, body)
}

/// One event for each code.
fn refused(member: &Member, todo: &str) -> Vec<(&'static str, u16, Event)> {
    let patch = Event::new(&Method::PATCH, todo).bearer(&member.token).json(&json!({ "title": "x" }));
    vec![
        ("REQ_001", 400, post(member, "application/json", "{")),
        ("REQ_002", 413, post(member, "application/json", &" ".repeat(MIB + 1))),
        ("REQ_003", 415, post(member, "text/plain", "{}")),
        ("REQ_004", 405, Event::new(&Method::PUT, TODOS).bearer(&member.token)),
        ("REQ_005", 404, Event::get("/api/v1/nothing").bearer(&member.token)),
        ("REQ_006", 428, patch.clone()),
        ("REQ_007", 412, patch.header("if-match", "\"9\"")),
        ("VAL_001", 422, post(member, "application/json", r#"{"title":""}"#)),
        ("RES_001", 404, Event::get(&format!("{TODOS}/{}", member.session)).bearer(&member.token)),
        ("AUTH_003", 401, Event::get(TODOS)),
    ]
}

#[tokio::test]
async fn every_refusal_is_our_own_body_in_both_forms() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let created = app.send(Event::post(TODOS, &json!({ "title": "there" })).bearer(&ada.token)).await;
    assert_conventions(&created, "201");
    for (code, status, event) in refused(&ada, created.header("location")) {
        let native = app.send(event.clone().header("x-request-id", "trace-1")).await;
        assert_eq!((native.status.as_u16(), native.code().as_str()), (status, code));
        assert_eq!(native.header("content-type"), "application/json", "{code}");
        assert_conventions(&native, code);
        let error = &native.json()["error"];
        assert_eq!((&error["status"], &error["request_id"]), (&json!(status), &json!("trace-1")), "{code}");
        assert!(error.as_object().unwrap().contains_key("detail"), "{code}");
        assert_eq!(error.get("fields").is_some(), code == "VAL_001");
        assert_eq!(native.request_line()["error_code"], code);

        let event =
            event.header("x-request-id", "trace-1").header("accept", "text/html, application/problem+json;q=0.9");
        let problem = app.send(event).await;
        assert_eq!(problem.header("content-type"), "application/problem+json", "{code}");
        assert_conventions(&problem, code);
        let body = problem.json();
        assert_eq!(
            (&body["status"], &body["code"], &body["request_id"]),
            (&json!(status), &json!(code), &json!("trace-1"))
        );
        assert_eq!(body["title"], error["message"], "{code}");
        assert!(body["type"].as_str().unwrap().ends_with(&format!("#{code}")));
        assert!(body["instance"].as_str().unwrap().starts_with("/api/v1/"), "{code}");
        assert_eq!(body.get("errors"), error.get("fields"), "{code}");
    }
}

#[tokio::test]
async fn a_body_may_have_one_mebibyte_to_the_byte() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let padded = |size: usize| format!("{{\"title\":\"large\"}}{}", " ".repeat(size - 17));
    let whole = app.send(post(&ada, "application/json", &padded(MIB))).await;
    assert_eq!(whole.status, 201, "{}", whole.code());
    let over = app.send(post(&ada, "application/json", &padded(MIB + 1))).await;
    assert_eq!(over.code(), "REQ_002");
    // Base64 is a matter of transport: what counts is what it holds.
    let encoded = |size: usize| {
        let text = base64(padded(size).as_bytes());
        post(&ada, "application/json", &text).edit(|event| event["isBase64Encoded"] = true.into())
    };
    assert_eq!(app.send(encoded(MIB)).await.status, 201);
    assert_eq!(app.send(encoded(MIB + 1)).await.code(), "REQ_002");
    assert_eq!(app.send(encoded(MIB + 3).header("authorization", "")).await.code(), "REQ_002", "nobody's, too");
}

fn base64(bytes: &[u8]) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.encode(bytes)
}

#[tokio::test]
async fn a_body_is_json_and_says_so() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let body = r#"{"title":"typed"}"#;
    for good in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;charset=UTF-8",
        "application/json;charset=\"utf-8\"",
    ] {
        assert_eq!(app.send(post(&ada, good, body)).await.status, 201, "{good}");
    }
    for bad in [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/jsonx",
        "application/json, text/plain",
        "application/json; charset=latin1",
        "application/json; charset=utf-16",
    ] {
        let answer = app.send(post(&ada, bad, body)).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (415, "REQ_003"), "{bad}");
    }
    let none = Event::new(&Method::POST, TODOS).bearer(&ada.token).edit(|event| event["body"] = body.into());
    assert_eq!(app.send(none).await.code(), "REQ_003");
}

#[tokio::test]
async fn json_that_is_not_well_formed_is_400() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    for body in [
        "",
        " ",
        "{",
        "nope",
        "{\"title\":\"x\"",
        "{\"title\":\"x\"}}",
        "{\"title\":\"x\"} {}",
        "{\"title\":\"x\",}",
        "{'title':'x'}",
        "{\"title\":\"a\nb\"}",
        "{\"title\":\"\\ud800\"}",
        "{\"title\":NaN}",
        "\u{feff}{\"title\":\"x\"}",
        "[1,",
    ] {
        let answer = app.send(post(&ada, "application/json", body)).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "REQ_001"), "{body:?}");
        assert_eq!(answer.json()["error"]["detail"], "The body is not well-formed JSON.", "{body:?}");
    }
    for bytes in [&b"{\"title\":\"\xff\"}"[..], b"\x00", b"{\"title\":\"x\"}\x00"] {
        let event = post(&ada, "application/json", &base64(bytes)).edit(|event| event["isBase64Encoded"] = true.into());
        assert_eq!(app.send(event).await.code(), "REQ_001", "{bytes:?}");
    }
    let deep = format!("{{\"title\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(app.send(post(&ada, "application/json", &deep)).await.status.is_client_error());
    let deep = format!("[{deep}]");
    assert!(app.send(post(&ada, "application/json", &deep)).await.status.is_client_error());
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let todo = format!("{TODOS}/{}", ada.session);
    for (target, method, allowed) in [
        (TODOS, Method::PUT, "GET,HEAD,POST"),
        (TODOS, Method::DELETE, "GET,HEAD,POST"),
        (TODOS, Method::OPTIONS, "GET,HEAD,POST"),
        (&todo, Method::POST, "DELETE,GET,HEAD,PATCH"),
        (&todo, Method::PUT, "DELETE,GET,HEAD,PATCH"),
        (&todo, Method::TRACE, "DELETE,GET,HEAD,PATCH"),
    ] {
        // With a token or without: a method is nobody's secret.
        for event in [Event::new(&method, target), Event::new(&method, target).bearer(&ada.token)] {
            let answer = app.send(event).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (405, "REQ_004"), "{method} {target}");
            let mut allow: Vec<_> = answer.header("allow").split(',').map(str::trim).collect();
            allow.sort_unstable();
            assert_eq!(allow.join(","), allowed, "{method} {target}");
        }
    }
}

#[tokio::test]
async fn an_unknown_path_is_404_to_everybody() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    for target in [
        "/",
        "/api/v1",
        "/api/v1/todos/",
        "/api/v1/Todos",
        "/api/v2/todos",
        "/api/v1/todos/a/b",
        "/api/v1/todos%2F",
        "/.env",
        "//api/v1/todos",
    ] {
        for event in [Event::get(target), Event::get(target).bearer(&ada.token)] {
            let answer = app.send(event).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "REQ_005"), "{target}");
            assert_eq!(answer.request_line()["route"], "none", "{target}");
        }
    }
}

#[tokio::test]
async fn head_answers_as_get_without_a_body() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let created = app.send(Event::post(TODOS, &json!({ "title": "there" })).bearer(&ada.token)).await;
    for (target, status) in [(TODOS, 200), (created.header("location"), 200), (&format!("{TODOS}/x"), 404), ("/x", 404)]
    {
        let head = app.send(Event::new(&Method::HEAD, target).bearer(&ada.token)).await;
        let get = app.send(Event::get(target).bearer(&ada.token)).await;
        assert_eq!((head.status.as_u16(), head.bytes.len()), (status, 0), "{target}");
        assert_eq!(
            (head.header("etag"), head.header("content-type")),
            (get.header("etag"), get.header("content-type"))
        );
        assert_conventions(&head, target);
    }
    assert_eq!(app.send(Event::new(&Method::HEAD, TODOS)).await.json(), Value::Null, "401 as well");
}
