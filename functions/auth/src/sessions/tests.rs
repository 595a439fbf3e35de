use http::Method;
use serde_json::{Value, json};
use shared::{
    auth::Role,
    testing::{Answer, Event, TestApp, TestDatabase, TestKeys},
};

use crate::{
    Auth,
    trial::{PASSWORD, Pair, acme, another_session, login, me, refresh, refusals, sql},
};

const PATH: &str = "/api/v1/auth/sessions";

async fn list(app: &TestApp<Auth>, access: &str) -> Value {
    app.send(Event::get(PATH).bearer(access)).await.json()["items"].clone()
}

async fn end(app: &TestApp<Auth>, access: &str, id: &str) -> Answer {
    app.send(Event::new(&Method::DELETE, &format!("{PATH}/{id}")).bearer(access)).await
}

fn id(session: &Value) -> &str {
    session["id"].as_str().unwrap()
}

#[tokio::test]
async fn a_user_sees_its_own_live_sessions_newest_first() {
    let app = TestApp::start(crate::routes()).await;
    let first = acme(&app).await;
    let agent = "Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0";
    let event = login("acme", "ada@acme.example", PASSWORD).header("user-agent", agent).source_address("2001:db8::7");
    let second = Pair::of(&app.send(event).await);
    app.tenant("other").await;
    let answer = app.send(Event::get(PATH).bearer(&second.access)).await;
    assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (200, "no-store"));
    insta::assert_json_snapshot!(answer.json(), {
        ".items[].id" => "[id]", ".items[].created_at" => "[time]", ".items[].last_used_at" => "[time]",
        ".items[].expires_at" => "[time]",
    }, @r#"
    {
      "items": [
        {
          "created_at": "[time]",
          "current": true,
          "device": "Firefox on Windows",
          "expires_at": "[time]",
          "id": "[id]",
          "last_used_at": "[time]",
          "source_address": "2001:db8::7"
        },
        {
          "created_at": "[time]",
          "current": false,
          "device": "tenantry-test",
          "expires_at": "[time]",
          "id": "[id]",
          "last_used_at": "[time]",
          "source_address": "203.0.113.7"
        }
      ],
      "next_cursor": null
    }
    "#);
    let of_first = list(&app, &first.access).await;
    assert_eq!((&of_first[0]["current"], &of_first[1]["current"]), (&json!(false), &json!(true)));
    let seen = app.send(Event::get("/api/v1/auth/me").bearer(&first.access)).await.json();
    assert_eq!(seen["session"], of_first[1]);
}

#[tokio::test]
async fn the_list_has_pages() {
    let app = TestApp::start(crate::routes()).await;
    let mut pair = acme(&app).await;
    for _ in 0..2 {
        pair = another_session(&app).await;
    }
    let (mut target, mut seen) = (format!("{PATH}?limit=1"), Vec::new());
    loop {
        let page = app.send(Event::get(&target).bearer(&pair.access)).await.json();
        seen.push(page["items"][0]["id"].clone());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        target = format!("{PATH}?limit=1&cursor={cursor}");
    }
    let all: Vec<_> =
        list(&app, &pair.access).await.as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
    assert_eq!((seen.len(), seen), (3, all));
    assert_eq!(app.send(Event::get(&format!("{PATH}?cursor=forged")).bearer(&pair.access)).await.code(), "VAL_001");
}

#[tokio::test]
async fn one_that_is_ended_is_over_at_once_and_recorded() {
    let app = TestApp::start(crate::routes()).await;
    let (first, second) = (acme(&app).await, another_session(&app).await);
    let sessions = list(&app, &second.access).await;
    let answer = end(&app, &second.access, id(&sessions[1])).await;
    assert_eq!((answer.status.as_u16(), answer.bytes.len()), (204, 0));
    assert_eq!(me(&app, &first.access).await, "AUTH_006");
    assert_eq!(app.send(refresh(&first.refresh)).await.code(), "AUTH_007");
    assert_eq!(
        (me(&app, &second.access).await.as_str(), list(&app, &second.access).await.as_array().unwrap().len()),
        ("none", 1)
    );
    let tenant = answer.request_line()["tenant_id"].as_str().unwrap().parse().unwrap();
    let ended = ("auth.sessions.delete".into(), "success".into(), None, id(&sessions[1]).parse().ok());
    assert_eq!(app.trail(tenant).await.iter().filter(|record| **record == ended).count(), 1);

    assert_eq!(end(&app, &second.access, id(&sessions[0])).await.status, 204, "its own, too");
    assert_eq!(me(&app, &second.access).await, "AUTH_006");
}

#[tokio::test]
async fn a_session_of_another_user_or_tenant_is_as_one_that_is_not_there() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let (colleague, stranger) = (app.member(ada.tenant, Role::Admin).await, app.tenant("other").await);
    let ended = app.member(ada.tenant, Role::Viewer).await;
    let own_ended =
        "UPDATE sessions SET ended_at = now(), user_id = (SELECT user_id FROM sessions WHERE id = $1) WHERE id = $2";
    sqlx::query(own_ended).bind(ada.session).bind(ended.session).execute(&mut app.superuser().await).await.unwrap();
    let unknown = end(&app, &ada.token, "0199b1a0-0000-7000-8000-000000000000").await;
    assert_eq!((unknown.status.as_u16(), &*unknown.code()), (404, "RES_001"));
    let body = |answer: &Answer| {
        let mut body = answer.json();
        body["error"]["request_id"].take();
        body
    };
    for other in [colleague.session.to_string(), stranger.session.to_string(), ended.session.to_string(), "1".into()] {
        let answer = end(&app, &ada.token, &other).await;
        assert_eq!((answer.status, body(&answer)), (unknown.status, body(&unknown)), "{other}");
    }
    for (member, alive) in [(&colleague, "none"), (&stranger, "none"), (&ada, "none")] {
        assert_eq!(me(&app, &member.token).await, alive);
    }
    assert_eq!(refusals(&app, "auth.sessions.delete").await, ["RES_001"; 5]);
    assert_eq!(list(&app, &ada.token).await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_session_that_was_not_used_for_seven_days_is_over_everywhere() {
    let app = TestApp::start(crate::routes()).await;
    let (first, second) = (acme(&app).await, another_session(&app).await);
    let first_id = id(&list(&app, &second.access).await[1]).to_owned();
    for (unused, alive) in [("6 days 23 hours 59 minutes", true), ("7 days", false)] {
        let change = "UPDATE sessions SET last_used_at = now() - $1::interval WHERE id = $2::uuid";
        sqlx::query(change).bind(unused).bind(&first_id).execute(&mut app.superuser().await).await.unwrap();
        let codes = (me(&app, &first.access).await, list(&app, &second.access).await.as_array().unwrap().len());
        assert_eq!(codes, if alive { ("none".into(), 2) } else { ("AUTH_006".into(), 1) }, "{unused}");
    }
    assert_eq!(app.send(refresh(&first.refresh)).await.code(), "AUTH_007");
    assert_eq!(end(&app, &second.access, &first_id).await.code(), "RES_001");
}

#[tokio::test]
async fn use_keeps_a_session_for_thirty_days_and_no_longer() {
    let app = TestApp::start(crate::routes()).await;
    let mut pair = acme(&app).await;
    sql(&app, "UPDATE sessions SET last_used_at = now() - interval '6 days'").await;
    pair = Pair::of(&app.send(refresh(&pair.refresh)).await);
    let fresh = "SELECT last_used_at > now() - interval '1 minute' FROM sessions";
    assert!(sqlx::query_scalar::<_, bool>(fresh).fetch_one(&mut app.superuser().await).await.unwrap());
    sql(&app, "UPDATE sessions SET expires_at = now() + interval '1 hour'").await;
    let answer = app.send(refresh(&pair.refresh)).await;
    let left = answer.json()["refresh_expires_in"].as_i64().unwrap();
    assert!((3590..=3600).contains(&left), "{left}");
    sql(&app, "UPDATE sessions SET expires_at = now()").await;
    assert_eq!(me(&app, &pair.access).await, "AUTH_006");
    assert_eq!(app.send(refresh(&Pair::of(&answer).refresh)).await.code(), "AUTH_007");
}

/// The function, with room for two sessions of a user.
async fn with_room_for_two() -> TestApp<Auth> {
    let keys = TestKeys::generate("test-key").into();
    let settings = [("MAX_SESSIONS_PER_USER", "2"), ("AWS_LAMBDA_MAX_CONCURRENCY", "20")];
    TestApp::start_with(crate::routes(), TestDatabase::create().await, keys, &settings).await
}

#[tokio::test]
async fn one_session_too_many_ends_the_one_that_was_used_longest_ago() {
    let app = with_room_for_two().await;
    let (first, second) = (acme(&app).await, another_session(&app).await);
    let first = Pair::of(&app.send(refresh(&first.refresh)).await);
    let answer = app.send(login("acme", "ada@acme.example", PASSWORD)).await;
    let third = Pair::of(&answer);
    let alive = [me(&app, &first.access).await, me(&app, &second.access).await, me(&app, &third.access).await];
    assert_eq!(alive, ["none", "AUTH_006", "none"]);
    let ended = "SELECT count(*) FROM audit_events e JOIN sessions s ON s.id = e.object_id AND s.ended_at IS NOT NULL
                  WHERE e.action = 'auth.sessions.delete' AND e.outcome = 'success' AND e.reason = 'session_limit'
                    AND e.actor_id = s.user_id AND e.session_id <> s.id";
    assert_eq!(sqlx::query_scalar::<_, i64>(ended).fetch_one(&mut app.superuser().await).await.unwrap(), 1);
    sql(&app, "UPDATE sessions SET expires_at = now() WHERE ended_at IS NULL").await;
    let fourth = another_session(&app).await;
    assert_eq!(list(&app, &fourth.access).await.as_array().unwrap().len(), 1, "what has expired takes no room");
}

#[tokio::test]
async fn many_sign_ins_at_once_leave_no_more_sessions_than_there_may_be() {
    let app = with_room_for_two().await;
    acme(&app).await;
    let sign_ins = (0..4).map(|_| app.send(login("acme", "ada@acme.example", PASSWORD)));
    for answer in futures_util::future::join_all(sign_ins).await {
        assert_eq!(answer.status, 200, "{:?}", answer.log);
    }
    let alive = "SELECT count(*) FROM sessions WHERE ended_at IS NULL";
    assert_eq!(sqlx::query_scalar::<_, i64>(alive).fetch_one(&mut app.superuser().await).await.unwrap(), 2);
}
