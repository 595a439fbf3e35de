use http::Method;
use shared::testing::{Answer, Event, TestApp};

use crate::{
    Auth,
    trial::{Pair, acme, another_session, me, refresh, sql},
};

fn revoke(token: &str) -> Event {
    Event::new(&Method::POST, "/api/v1/auth/revoke").form(&[("token", token)])
}

/// The successes under `auth.revoke`.
async fn records(app: &TestApp<Auth>) -> i64 {
    let query = "SELECT count(*) FROM audit_events e JOIN sessions s ON s.id = e.object_id AND s.user_id = e.actor_id
                  WHERE e.action = 'auth.revoke' AND e.outcome = 'success' AND s.ended_at IS NOT NULL";
    sqlx::query_scalar(query).fetch_one(&mut app.superuser().await).await.unwrap()
}

fn taken(answer: &Answer) {
    assert_eq!((answer.status.as_u16(), answer.bytes.len()), (200, 0), "{:?}", answer.log);
}

#[tokio::test]
async fn either_token_ends_its_session_at_once_and_no_other() {
    let app = TestApp::start(crate::routes()).await;
    let (one, two, three) = (acme(&app).await, another_session(&app).await, another_session(&app).await);
    taken(&app.send(revoke(&one.refresh)).await);
    taken(&app.send(revoke(&two.access)).await);
    for pair in [&one, &two] {
        assert_eq!(me(&app, &pair.access).await, "AUTH_006");
        assert_eq!(app.send(refresh(&pair.refresh)).await.code(), "AUTH_007");
    }
    assert_eq!(me(&app, &three.access).await, "none");
    assert_eq!(records(&app).await, 2);
    taken(&app.send(revoke(&one.refresh)).await);
    assert_eq!(records(&app).await, 2, "what is over is not ended again");
}

#[tokio::test]
async fn a_client_that_lost_its_last_answer_can_still_end_its_session() {
    let app = TestApp::start(crate::routes()).await;
    let first = acme(&app).await;
    let second = Pair::of(&app.send(refresh(&first.refresh)).await);
    taken(&app.send(revoke(&first.refresh)).await);
    assert_eq!(me(&app, &second.access).await, "AUTH_006");
}

#[tokio::test]
async fn unknown_expired_and_altered_tokens_get_the_same_answer_and_end_nothing() {
    let app = TestApp::start(crate::routes()).await;
    let pair = acme(&app).await;
    let member = app.tenant("other").await;
    let mut claims = app.claims(&member);
    claims["exp"] = claims["iat"].clone();
    for token in ["x", "a.b.c", &app.keys.sign(&claims), &pair.refresh[..70], &pair.access[1..]] {
        taken(&app.send(revoke(token)).await);
    }
    assert_eq!((me(&app, &pair.access).await, me(&app, &member.token).await), ("none".into(), "none".into()));
    assert_eq!(records(&app).await, 0);
    assert_eq!(app.send(Event::new(&Method::POST, "/api/v1/auth/revoke").form(&[])).await.code(), "VAL_001");
}

#[tokio::test]
async fn an_outage_is_not_taken_for_an_end() {
    let app = TestApp::start(crate::routes()).await;
    let pair = acme(&app).await;
    sql(&app, "ALTER TABLE audit_heads RENAME TO gone").await;
    let answer = app.send(revoke(&pair.refresh)).await;
    assert_eq!(answer.status, 503, "{:?}", answer.log);
    sql(&app, "ALTER TABLE gone RENAME TO audit_heads").await;
    assert_eq!(me(&app, &pair.access).await, "none");
}
