//! The audit trail: L1 to L3 of THREATS; and how soon an ended session, an
//! inactive user and a suspended tenant are shut out.

use http::Method;
use serde_json::json;
use shared::testing::{Event, TestApp};
use sqlx::Executor;
use uuid::Uuid;

const TODOS: &str = "/api/v1/todos";

/// The chain's length, if it is dense, linked, every hash is its record's, and
/// the head is its last.
const CHAIN: &str = "
    SELECT CASE WHEN bool_and(seq = number AND prev_hash = previous AND hash = recomputed)
                     AND (max(seq), max(encode(hash, 'hex')) FILTER (WHERE last))
                       = (SELECT h.seq, encode(h.hash, 'hex') FROM audit_heads h WHERE h.tenant_id = $1)
                THEN count(*) END
      FROM (SELECT seq, prev_hash, hash, row_number() OVER (ORDER BY seq) AS number,
                   lead(seq) OVER (ORDER BY seq) IS NULL AS last,
                   lag(hash, 1, decode(repeat('00', 32), 'hex')) OVER (ORDER BY seq) AS previous,
                   app.audit_hash(version, prev_hash, tenant_id, seq, at, action, outcome, reason, actor_id, session_id,
                                  object_id, source_address, request_id, details) AS recomputed
              FROM audit_events WHERE tenant_id = $1) AS chain";

async fn chain(app: &TestApp<todos::Todos>, tenant: Uuid) -> Option<i64> {
    sqlx::query_scalar(CHAIN).bind(tenant).fetch_one(&mut app.superuser().await).await.unwrap()
}

#[tokio::test]
async fn l2_fifty_writers_at_once_make_one_dense_chain() {
    let app = TestApp::start(todos::routes()).await;
    let (ada, bob) = (app.tenant("acme").await, app.tenant("bobs").await);
    let mut environments = Vec::new();
    for _ in 0..5 {
        let settings = [("AWS_LAMBDA_MAX_CONCURRENCY", "3")];
        environments
            .push(TestApp::start_with(todos::routes(), app.database.clone(), app.keys.clone(), &settings).await);
    }
    let answers = (0..50).map(|number| {
        // Some are refused, and recorded in the same chain.
        let title = if number % 10 == 9 { "" } else { "one of fifty" };
        let member = if number % 5 == 4 { &bob } else { &ada };
        environments[number % 5].send(Event::post(TODOS, &json!({ "title": title })).bearer(&member.token))
    });
    let answers = futures_util::future::join_all(answers).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 45);
    assert_eq!(answers.iter().filter(|answer| answer.status == 422).count(), 5);
    assert_eq!((chain(&app, ada.tenant).await, chain(&app, bob.tenant).await), (Some(40), Some(10)));
}

#[tokio::test]
async fn l1_the_check_of_the_chain_notices_a_change() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    for _ in 0..3 {
        app.send(Event::post(TODOS, &json!({ "title": "x" })).bearer(&ada.token)).await;
    }
    assert_eq!(chain(&app, ada.tenant).await, Some(3));
    let mut superuser = app.superuser().await;
    for change in [
        "UPDATE audit_events SET actor_id = gen_random_uuid() WHERE seq = 2",
        "UPDATE audit_events SET request_id = NULL WHERE seq = 2",
        "UPDATE audit_events SET details = '{}' WHERE seq = 2",
        "UPDATE audit_events SET version = 1 WHERE seq = 2",
        "UPDATE audit_events SET at = at + interval '1 microsecond' WHERE seq = 2",
        "DELETE FROM audit_events WHERE seq = 2",
        "DELETE FROM audit_events WHERE seq = 3",
    ] {
        superuser.execute("BEGIN").await.unwrap();
        superuser.execute(change).await.unwrap();
        let found: Option<i64> = sqlx::query_scalar(CHAIN).bind(ada.tenant).fetch_one(&mut superuser).await.unwrap();
        superuser.execute("ROLLBACK").await.unwrap();
        assert_eq!(found, None, "{change}");
    }
}

#[tokio::test]
async fn l3_a_change_that_cannot_be_recorded_does_not_happen() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let created = app.send(Event::post(TODOS, &json!({ "title": "before" })).bearer(&ada.token)).await;
    let target = created.header("location");
    let mut superuser = app.superuser().await;
    superuser.execute("ALTER TABLE audit_events ADD CONSTRAINT full_up CHECK (false) NOT VALID").await.unwrap();
    let create = Event::post(TODOS, &json!({ "title": "unrecorded" })).header("idempotency-key", "k");
    let patch = Event::new(&Method::PATCH, target).json(&json!({ "title": "unrecorded" })).header("if-match", "*");
    let delete = Event::new(&Method::DELETE, target).header("if-match", "*");
    for (name, event) in [("create", &create), ("update", &patch), ("delete", &delete)] {
        let answer = app.send(event.clone().bearer(&ada.token)).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "SYS_002"), "{name}");
    }
    let list = app.send(Event::get(TODOS).bearer(&ada.token)).await;
    assert_eq!(list.json()["items"], json!([created.json()]));
    // A refusal stays a refusal; that it is not recorded is logged.
    let refused = app.send(Event::get(&format!("{TODOS}/x")).bearer(&ada.token)).await;
    assert_eq!(refused.code(), "RES_001");
    assert!(refused.log.iter().any(|line| line["message"] == "refusal not recorded"));
    superuser.execute("ALTER TABLE audit_events DROP CONSTRAINT full_up").await.unwrap();
    assert_eq!(app.send(create.bearer(&ada.token)).await.status, 201);
    assert_eq!(chain(&app, ada.tenant).await, Some(2));
}

#[tokio::test]
async fn a_record_says_who_did_what_from_where_under_which_request() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let event = Event::post(TODOS, &json!({ "title": "x" })).bearer(&ada.token).header("x-request-id", "trace-1");
    app.send(event.clone()).await;
    app.send(event.json(&json!({ "title": "" }))).await;
    let records: Vec<(Uuid, Uuid, String, String, Option<Uuid>)> = sqlx::query_as(
        "SELECT actor_id, session_id, source_address, request_id, object_id FROM audit_events ORDER BY seq",
    )
    .fetch_all(&mut app.superuser().await)
    .await
    .unwrap();
    assert_eq!(records.len(), 2);
    for (actor, session, address, request, _) in &records {
        assert_eq!(
            (actor, session, address.as_str(), request.as_str()),
            (&ada.user, &ada.session, "203.0.113.7", "trace-1")
        );
    }
    assert!(records[0].4.is_some() && records[1].4.is_none());
}

#[tokio::test]
async fn a_session_user_or_tenant_that_ends_is_out_with_the_next_request() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let created = app.send(Event::post(TODOS, &json!({ "title": "x" })).bearer(&ada.token)).await;
    let mut superuser = app.superuser().await;
    for (end, again, code, status) in [
        ("UPDATE sessions SET ended_at = now()", "UPDATE sessions SET ended_at = NULL", "AUTH_006", 401),
        (
            "UPDATE sessions SET expires_at = now()",
            "UPDATE sessions SET expires_at = now() + interval '1 day'",
            "AUTH_006",
            401,
        ),
        ("UPDATE users SET status = 'inactive'", "UPDATE users SET status = 'active'", "AUTH_006", 401),
        ("UPDATE tenants SET status = 'suspended'", "UPDATE tenants SET status = 'active'", "TEN_004", 403),
    ] {
        superuser.execute(end).await.unwrap();
        let events = [
            Event::get(TODOS),
            Event::get(created.header("location")),
            Event::post(TODOS, &json!({ "title": "late" })),
            Event::new(&Method::PATCH, created.header("location")).json(&json!({})).header("if-match", "*"),
            Event::new(&Method::DELETE, created.header("location")).header("if-match", "*"),
        ];
        let before = app.trail(ada.tenant).await.len();
        for event in events {
            let answer = app.send(event.bearer(&ada.token)).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{end}");
            let challenge = if status == 401 { "Bearer error=\"invalid_token\"" } else { "" };
            assert_eq!(answer.header("www-authenticate"), challenge, "{end}");
        }
        let trail = app.trail(ada.tenant).await.split_off(before);
        assert_eq!(trail.len(), 5, "{end}");
        assert!(
            trail.iter().all(|(_, outcome, reason, _)| outcome == "denied" && reason.as_deref() == Some(code)),
            "{end}"
        );
        superuser.execute(again).await.unwrap();
        assert_eq!(app.send(Event::get(TODOS).bearer(&ada.token)).await.json()["items"], json!([created.json()]));
    }
    superuser.execute("DELETE FROM sessions").await.unwrap();
    assert_eq!(app.send(Event::get(TODOS).bearer(&ada.token)).await.code(), "AUTH_006");
}
