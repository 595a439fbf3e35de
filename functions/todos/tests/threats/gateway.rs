//! P1 of THREATS: what stands between us and Postgres loses a connection and
//! tells nobody, as a NAT gateway does to one that was frozen for long.

use std::time::{Duration, Instant};

use serde_json::json;
use shared::testing::{Event, TestApp, TestDatabase, TestKeys};

/// Stands before the server on `port`; at a word it forgets the connections
/// that it has, and tells neither side.
async fn forgetful_gateway(port: u16) -> (u16, tokio::sync::watch::Sender<u32>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (own_port, (forget, told)) = (listener.local_addr().unwrap().port(), tokio::sync::watch::channel(0));
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let mut told = told.clone();
            told.mark_unchanged();
            tokio::spawn(async move {
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                    _ = told.changed() => std::future::pending().await,
                }
            });
        }
    });
    (own_port, forget)
}

#[tokio::test]
async fn a_connection_that_was_lost_without_a_word_while_frozen_costs_no_request() {
    let database = TestDatabase::create().await;
    let (port, forget) = forgetful_gateway(database.address().1).await;
    let port = port.to_string();
    let keys = TestKeys::generate("test-key").into();
    let app: TestApp<todos::Todos> =
        TestApp::start_with(todos::routes(), database, keys, &[("DATABASE_PORT", &port)]).await;
    let ada = app.tenant("acme").await;
    assert_eq!(app.send(Event::get("/api/v1/todos").bearer(&ada.token)).await.status, 200);
    for request in [Event::get("/api/v1/todos"), Event::post("/api/v1/todos", &json!({ "title": "x" }))] {
        forget.send_modify(|times| *times += 1);
        app.clock.advance(time::Duration::minutes(5));
        let start = Instant::now();
        let answer = app.send(request.bearer(&ada.token)).await;
        assert!(answer.status.is_success(), "{:?}", answer.log);
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    }
}
