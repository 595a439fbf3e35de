//! The log and the request id: L5 of THREATS, one valid line per request, and
//! nothing in it that a caller sent.

use http::Method;
use serde_json::{Value, json};
use shared::testing::{Answer, Event, TestApp};

const TODOS: &str = "/api/v1/todos";
const CANARY: &str = "canary";

fn assert_clean(answer: &Answer, what: &str) {
    let line = answer.request_line();
    let text = serde_json::to_string(&answer.log).unwrap();
    assert!(!text.contains(CANARY), "{what}: {text}");
    assert!(!text.contains('\u{1b}') && !text.contains("eyJ") && !text.contains("example.com"), "{what}: {text}");
    assert_eq!(line["request_id"], answer.header("x-request-id"), "{what}");
    assert_eq!(line["status"], answer.status.as_u16(), "{what}");
}

#[tokio::test]
async fn l5_what_a_caller_sends_is_never_logged() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let hostile = [
        format!("{CANARY}\r\n{{\"level\":\"ERROR\"}}"),
        format!("\u{1b}[31m{CANARY}\u{1b}[0m"),
        format!("\",\"status\":200,\"x\":\"{CANARY}"),
        format!("{CANARY}\u{2028}\u{0}\u{7f}"),
        format!("{CANARY}@example.com"),
    ];
    for text in &hostile {
        let id = format!("{TODOS}/{}", ada.session);
        let encoded = text.bytes().fold(String::new(), |path, byte| path + &format!("%{byte:02X}"));
        let events = [
            Event::post(TODOS, &json!({ "title": text, "notes": text })),
            Event::post(TODOS, &json!({ "title": text.repeat(50) })),
            Event::post(TODOS, &json!({ "title": "x", text: 1 })),
            Event::post(TODOS, &json!({ "title": "x", "completed": text })),
            Event::post(TODOS, &json!({ "title": "x", "due_at": text })),
            Event::post(TODOS, &json!(text)),
            Event::new(&Method::POST, TODOS).body("application/json", text),
            Event::new(&Method::PATCH, &id).json(&json!({ "title": text })).header("if-match", "*"),
            Event::get(&format!("{TODOS}/{encoded}")),
            Event::get(&format!("/{encoded}")),
            Event::get(&format!("{TODOS}?cursor={encoded}")),
            Event::get(&format!("{TODOS}?{encoded}=1")),
            Event::get(&format!("{TODOS}?limit={encoded}")),
        ];
        for (number, event) in events.into_iter().enumerate() {
            assert_clean(&app.send(event.clone().bearer(&ada.token)).await, &format!("event {number}, {text:?}"));
            assert_clean(&app.send(event).await, &format!("event {number} of nobody, {text:?}"));
        }
    }
    let printable = format!("\"}},{{\"x\":\"{CANARY}@example.com\"");
    for name in
        ["user-agent", "x-request-id", "idempotency-key", "if-match", "if-none-match", "accept", "referer", "cookie"]
    {
        let event = Event::post(TODOS, &json!({ "title": "x" })).bearer(&ada.token).header(name, &printable);
        assert_clean(&app.send(event).await, name);
    }
    for value in [format!("Bearer {CANARY}"), format!("Basic {CANARY}"), format!("{CANARY}, x")] {
        assert_clean(&app.send(Event::get(TODOS).header("authorization", &value)).await, &value);
    }
}

#[tokio::test]
async fn a_request_id_is_the_callers_if_it_is_clean_and_ours_otherwise() {
    let app = TestApp::start(todos::routes()).await;
    for good in ["a", "Trace-1_2.3", "0", &"r".repeat(128)] {
        let answer = app.send(Event::get(TODOS).header("x-request-id", good)).await;
        assert_eq!(answer.header("x-request-id"), good);
        assert_eq!(answer.json()["error"]["request_id"], good);
        assert_eq!(answer.request_line()["request_id"], good);
    }
    for bad in ["", " ", "a b", "a,b", "a/b", "a\"b", "k\u{e9}y", "a;b", &"r".repeat(129)] {
        let answer = app.send(Event::get(TODOS).header("x-request-id", bad)).await;
        let ours = answer.header("x-request-id").to_owned();
        assert!(ours != bad && ours.len() == 36 && ours.as_bytes()[14] == b'7', "{bad:?}: {ours}");
        assert_eq!(answer.json()["error"]["request_id"], ours.as_str());
        assert_eq!(answer.request_line()["request_id"], ours.as_str());
    }
}

#[tokio::test]
async fn the_client_address_is_api_gateways_own() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let event = Event::post(TODOS, &json!({ "title": "x" })).bearer(&ada.token);
    for (event, stored) in [
        (event.clone(), Some("203.0.113.7")),
        (
            event.clone().header("x-forwarded-for", "198.51.100.1").header("forwarded", "for=198.51.100.1"),
            Some("203.0.113.7"),
        ),
        (event.clone().source_address("2001:db8::7"), Some("2001:db8::7")),
        (event.source_address("'; DROP TABLE todos; --"), None),
    ] {
        assert_eq!(app.send(event).await.status, 201);
        let last: Option<String> =
            sqlx::query_scalar("SELECT source_address FROM audit_events ORDER BY seq DESC LIMIT 1")
                .fetch_one(&mut app.superuser().await)
                .await
                .unwrap();
        assert_eq!(last.as_deref(), stored);
    }
}

#[tokio::test]
async fn a_line_names_who_where_and_how_long_and_is_a_metric() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    for (event, status, cold, client_error) in [
        (Event::get(&format!("{TODOS}/{}", ada.session)).bearer(&ada.token), 404, 1, 1),
        (Event::get(&format!("{TODOS}/{}", ada.session)).bearer(&ada.token), 404, 0, 1),
    ] {
        let answer = app.send(event).await;
        let line = answer.request_line();
        for (name, value) in [
            ("level", json!("INFO")),
            ("function", json!("local")),
            ("method", json!("GET")),
            ("route", json!("/api/v1/todos/{id}")),
            ("status", json!(status)),
            ("error_code", json!("RES_001")),
            ("tenant_id", json!(ada.tenant)),
            ("user_id", json!(ada.user)),
            ("cold_start", json!(cold)),
            ("client_error", json!(client_error)),
            ("server_error", json!(0)),
        ] {
            assert_eq!(line[name], value, "{name}");
        }
        assert!(line["duration_ms"].as_f64().unwrap() > 0.0);
        assert!(
            time::OffsetDateTime::parse(
                line["timestamp"].as_str().unwrap(),
                &time::format_description::well_known::Rfc3339
            )
            .is_ok()
        );
        assert_embedded_metrics(line);
    }
}

/// CloudWatch's embedded metric format, 0: what `_aws` names stands at the top
/// of the line, metrics as numbers, dimensions as strings.
fn assert_embedded_metrics(line: &Value) {
    let milliseconds = line["_aws"]["Timestamp"].as_i64().unwrap();
    assert!((1_700_000_000_000..10_000_000_000_000).contains(&milliseconds));
    let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
    assert!(!directives.is_empty());
    for directive in directives {
        assert_eq!(directive["Namespace"], "Tenantry");
        for set in directive["Dimensions"].as_array().unwrap() {
            let names = set.as_array().unwrap();
            assert!(names.len() <= 30 && names.iter().all(|name| line[name.as_str().unwrap()].is_string()), "{set}");
        }
        for metric in directive["Metrics"].as_array().unwrap() {
            assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{metric}");
            assert!(["Milliseconds", "Count"].contains(&metric["Unit"].as_str().unwrap()), "{metric}");
        }
    }
}
