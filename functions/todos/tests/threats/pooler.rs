//! P6 of THREATS: behind a pooler that lends its server connections for one
//! transaction at a time. A tap on the wire reads what is really sent.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use shared::testing::{Event, TestApp, TestDatabase, TestKeys};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A message of the client: its type, and its text up to the first NUL (what
/// is asked in a `Query`, the statement's name in a `Parse`).
type Message = (char, String);

/// Stands before the server on `port` and notes what clients send it.
async fn tap(port: u16) -> (u16, Arc<Mutex<Vec<Message>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (own_port, seen) = (listener.local_addr().unwrap().port(), Arc::<Mutex<Vec<Message>>>::default());
    let notes = seen.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
            let notes = notes.clone();
            tokio::spawn(async move {
                let startup = from_client.read_u32().await.unwrap();
                let mut body = vec![0; startup as usize - 4];
                from_client.read_exact(&mut body).await.unwrap();
                to_server.write_all(&[&startup.to_be_bytes()[..], &body].concat()).await.unwrap();
                while let Ok(kind) = from_client.read_u8().await {
                    let length = from_client.read_u32().await.unwrap();
                    let mut body = vec![0; length as usize - 4];
                    from_client.read_exact(&mut body).await.unwrap();
                    let text = body.split(|byte| *byte == 0).next().unwrap_or_default();
                    notes.lock().unwrap().push((kind.into(), String::from_utf8_lossy(text).into_owned()));
                    to_server.write_all(&[&[kind][..], &length.to_be_bytes(), &body].concat()).await.unwrap();
                }
            });
        }
    });
    (own_port, seen)
}

/// Uses every operation of the group, twice, and returns what was sent.
async fn sent(pool_mode: &str) -> Vec<Message> {
    let database = TestDatabase::create().await;
    let (port, seen) = tap(database.address().1).await;
    let port = port.to_string();
    let settings = [("DATABASE_PORT", port.as_str()), ("DATABASE_POOL_MODE", pool_mode)];
    let keys = TestKeys::generate("test-key").into();
    let app: TestApp<todos::Todos> = TestApp::start_with(todos::routes(), database, keys, &settings).await;
    let ada = app.tenant("acme").await;
    for key in ["one", "two"] {
        let send = |event: Event| app.send(event.bearer(&ada.token));
        let new = || Event::post("/api/v1/todos", &json!({ "title": "x" })).header("idempotency-key", key);
        let created = send(new()).await;
        assert_eq!(created.status, 201, "{:?}", created.log);
        assert_eq!(send(new()).await.header("idempotency-replayed"), "true");
        let path = created.header("location").to_owned();
        assert_eq!(send(Event::get("/api/v1/todos")).await.status, 200);
        assert_eq!(send(Event::get(&path)).await.json(), created.json());
        let edit = |method: &http::Method, tag: &str, body: &Value| {
            send(Event::new(method, &path).json(body).header("if-match", tag))
        };
        assert_eq!(edit(&http::Method::PATCH, "\"9\"", &json!({ "completed": true })).await.code(), "REQ_007");
        assert_eq!(edit(&http::Method::PATCH, "\"1\"", &json!({ "completed": true })).await.status, 200);
        assert_eq!(edit(&http::Method::DELETE, "\"2\"", &json!({})).await.status, 204);
        assert_eq!(send(Event::get(&path)).await.code(), "RES_001");
    }
    seen.lock().unwrap().clone()
}

#[tokio::test]
async fn behind_a_transaction_pooler_nothing_is_named_and_nothing_is_sent_outside_a_transaction() {
    let messages = sent("transaction").await;
    let mut inside = false;
    for (kind, text) in &messages {
        match kind {
            'Q' => inside = text.starts_with("BEGIN"),
            'P' => assert!(inside && text.is_empty(), "Parse {text:?}, in a transaction: {inside}"),
            'B' | 'D' | 'E' => assert!(inside, "{kind} outside a transaction"),
            _ => {}
        }
    }
    assert!(messages.iter().filter(|(kind, _)| *kind == 'P').count() > 20, "{messages:?}");
    assert!(!messages.iter().any(|(kind, text)| *kind == 'Q' && text.contains("SET ")), "{messages:?}");
}

#[tokio::test]
async fn over_a_connection_of_ones_own_each_statement_is_prepared_once() {
    let messages = sent("session").await;
    let parsed: Vec<_> = messages.iter().filter(|(kind, _)| *kind == 'P').collect();
    assert!(parsed.iter().all(|(_, name)| !name.is_empty()), "{parsed:?}");
    assert!(parsed.len() < 12, "{} for two rounds of eight requests", parsed.len());
}
