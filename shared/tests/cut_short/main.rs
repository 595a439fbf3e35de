//! T3, P4, P5 and P6 of THREATS: whatever becomes of a handler in the middle
//! of its transaction, the next request finds no trace of it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod handlers;

use std::time::Duration;

use handlers::routes;
use http::Method;
use serde_json::{Value, json};
use shared::{
    App,
    testing::{Event, Member, TestApp},
};
use sqlx::Executor;

const ENDINGS: [&str; 6] = ["/panics", "/waits", "/sleeps", "/fails", "/breaks", "/leaves"];

async fn look(app: &TestApp<App>, member: &Member) -> Value {
    let answer = app.send(Event::get("/todos").bearer(&member.token)).await;
    assert_eq!(answer.status, 200, "{:?}", answer.log);
    answer.json()
}

#[tokio::test]
async fn whatever_ends_a_handler_the_next_request_sees_nothing_of_it_and_works() {
    for settings in
        [&[("REQUEST_TIMEOUT_MS", "400")][..], &[("REQUEST_TIMEOUT_MS", "400"), ("AWS_LAMBDA_MAX_CONCURRENCY", "4")]]
    {
        let first = TestApp::start(routes()).await;
        let app = TestApp::start_with(routes(), first.database.clone(), first.keys.clone(), settings).await;
        let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
        for (path, status) in ENDINGS.into_iter().zip([500, 503, 503, 409, 500, 202]) {
            let answer = app.send(Event::new(&Method::POST, path).bearer(&ada.token)).await;
            assert_eq!(answer.status, status, "{path}: {:?}", answer.log);
            assert_eq!(answer.request_line()["route"], path);
            assert_eq!(look(&app, &eve).await, json!({ "outside": "00", "owners": [] }), "after {path}");
            assert_eq!(look(&app, &ada).await["owners"], json!([]), "{path} was undone");
            let create = app.send(Event::new(&Method::POST, "/todos").bearer(&eve.token)).await;
            assert_eq!(create.status, 201, "after {path}: {:?}", create.log);
            app.superuser().await.execute("DELETE FROM todos").await.unwrap();
            assert_no_transaction_stays(&app).await;
        }
        let successes = app.trail(ada.tenant).await.into_iter().filter(|record| record.1 == "success").count();
        assert_eq!(successes, 0, "the record went with the change");
    }
}

#[tokio::test]
async fn a_request_that_is_dropped_leaves_nothing_behind() {
    let app = TestApp::start(routes()).await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    for path in ["/waits", "/sleeps", "/todos"] {
        let event = Event::new(&Method::POST, path).bearer(&ada.token);
        // In a transaction, in a statement, and wherever a whole request is after a moment.
        for after_ms in [0, 1, 2, 3, 100] {
            let _ = tokio::time::timeout(Duration::from_millis(after_ms), app.send(event.clone())).await;
            let start = std::time::Instant::now();
            assert_eq!(look(&app, &eve).await, json!({ "outside": "00", "owners": [] }), "{path} after {after_ms} ms");
            assert!(
                start.elapsed() < Duration::from_secs(1),
                "{path} after {after_ms} ms: it waited for the one before"
            );
        }
        assert_no_transaction_stays(&app).await;
    }
}

#[tokio::test]
async fn a_process_killed_in_mid_transaction_holds_no_lock() {
    let app = TestApp::start(routes()).await;
    let ada = app.tenant("acme").await;
    for path in ["/waits", "/sleeps"] {
        let doomed = app.another(routes()).await;
        let event = Event::new(&Method::POST, path).bearer(&ada.token);
        let _ = tokio::time::timeout(Duration::from_millis(200), doomed.send(event)).await;
        drop(doomed);
        // The head of its tenant's trail was locked.
        let create = app.send(Event::new(&Method::POST, "/todos").bearer(&ada.token)).await;
        assert_eq!(create.status, 201, "{:?}", create.log);
        assert_no_transaction_stays(&app).await;
    }
}

#[tokio::test]
async fn a_connection_killed_in_mid_transaction_is_503_and_its_change_undone() {
    let app = TestApp::start(routes()).await;
    let ada = app.tenant("acme").await;
    let event = Event::new(&Method::POST, "/sleeps").bearer(&ada.token);
    let kill = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let killed: bool = sqlx::query_scalar(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(4)'",
        )
        .fetch_one(&mut app.superuser().await)
        .await
        .unwrap();
        assert!(killed);
    };
    let (answer, ()) = tokio::join!(app.send(event), kill);
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "SYS_002"));
    assert_eq!(look(&app, &ada).await["owners"], json!([]));
    assert_no_transaction_stays(&app).await;
}

async fn assert_no_transaction_stays(app: &TestApp<App>) {
    let mut superuser = app.superuser().await;
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                   AND application_name = 'local' AND (xact_start IS NOT NULL OR state <> 'idle')";
    // The server notices that a client is gone within client_connection_check_interval.
    for _ in 0..30 {
        if sqlx::query_scalar::<_, i64>(open).fetch_one(&mut superuser).await.unwrap() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("a transaction stays open");
}

#[tokio::test]
async fn a_panic_is_our_500_and_the_process_lives() {
    let app = TestApp::start(routes()).await;
    let ada = app.tenant("acme").await;
    for event in [Event::new(&Method::POST, "/panics").bearer(&ada.token), Event::get("/public-panic")] {
        for accept in ["*/*", "application/problem+json"] {
            let answer = app.send(event.clone().header("accept", accept)).await;
            assert_eq!(answer.status, 500);
            let text = String::from_utf8(answer.bytes.to_vec()).unwrap();
            assert!(text.contains("SYS_001") && !text.contains("secret") && !text.contains(".rs"), "{text}");
            for name in ["api-version", "x-request-id", "strict-transport-security", "cache-control"] {
                assert!(!answer.header(name).is_empty(), "{name}");
            }
            let line = answer.request_line();
            assert_eq!(
                (&line["status"], &line["server_error"], &line["level"]),
                (&json!(500), &json!(1), &json!("ERROR"))
            );
            let panic = answer.log.iter().find(|line| line["message"] == "panic").unwrap();
            assert!(panic["location"].as_str().unwrap().contains("handlers.rs"));
            assert_eq!(panic["span"]["request_id"], answer.header("x-request-id"));
            assert!(!format!("{:?}", answer.log).contains("secret-of-the-panic"));
        }
    }
    look(&app, &ada).await;
}

#[tokio::test]
async fn a_connection_that_lost_its_prepared_statements_is_replaced() {
    let app = TestApp::start(routes()).await;
    let ada = app.tenant("acme").await;
    let create = Event::new(&Method::POST, "/todos").bearer(&ada.token);
    let forget = Event::new(&Method::POST, "/forgets").bearer(&ada.token);
    assert_eq!(app.send(create.clone()).await.status, 201);
    for round in 1..=3 {
        look(&app, &ada).await;
        assert_eq!(app.send(forget.clone()).await.status, 204);
        assert_eq!(look(&app, &ada).await["owners"].as_array().unwrap().len(), round, "a read is sent again");
        assert_eq!(app.send(create.clone()).await.status, 201);
        // A transaction cannot be begun anew by itself; its connection does not stay.
        assert_eq!(app.send(forget.clone()).await.status, 204);
        assert_eq!(app.send(create.clone()).await.code(), "SYS_002");
        assert_eq!(app.send(create.clone()).await.status, 201, "round {round}");
        app.superuser().await.execute("DELETE FROM todos WHERE id IN (SELECT id FROM todos LIMIT 1)").await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_prepares_each_statement_once_even_after_it_lost_them() {
    let app = TestApp::start(routes()).await;
    let ada = app.tenant("acme").await;
    look(&app, &ada).await;
    assert_eq!(app.send(Event::new(&Method::POST, "/forgets").bearer(&ada.token)).await.status, 204);
    for _ in 0..5 {
        look(&app, &ada).await;
    }
    assert_eq!(app.send(Event::get("/kept")).await.json(), json!(3));
}
