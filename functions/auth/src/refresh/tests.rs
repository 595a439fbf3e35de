use std::{collections::HashSet, time::Instant};

use futures_util::future::join_all;
use serde_json::json;
use shared::{
    auth::RefreshToken,
    testing::{Answer, Event, TestApp},
};
use sqlx::Executor;
use time::Duration;
use uuid::Uuid;

use crate::{
    Auth,
    trial::{Pair, acme, another_session, concurrent, me, refresh, refusals, sql},
};

async fn rotated(app: &TestApp<Auth>, token: &str) -> Pair {
    Pair::of(&app.send(refresh(token)).await)
}

fn refused(answer: &Answer) {
    assert_eq!((answer.status.as_u16(), &*answer.code()), (401, "AUTH_007"), "{:?}", answer.log);
    assert_eq!((answer.header("cache-control"), answer.header("www-authenticate")), ("no-store", "Bearer"));
}

#[tokio::test]
async fn a_refresh_token_yields_a_successor_that_works_and_is_used_once() {
    let app = TestApp::start(crate::routes()).await;
    let first = acme(&app).await;
    let answer = app.send(refresh(&first.refresh)).await;
    assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (200, "no-store"));
    insta::assert_json_snapshot!(answer.json(), {
        ".access_token" => "[token]", ".refresh_token" => "[token]", ".user" => "[user]",
    }, @r#"
    {
      "access_token": "[token]",
      "expires_in": 900,
      "refresh_expires_in": 604800,
      "refresh_token": "[token]",
      "token_type": "Bearer",
      "user": "[user]"
    }
    "#);
    let second = Pair::of(&answer);
    let third = rotated(&app, &second.refresh).await;
    assert_eq!(HashSet::from([&first.refresh, &second.refresh, &third.refresh]).len(), 3);
    for pair in [&first, &second, &third] {
        assert_eq!(me(&app, &pair.access).await, "none", "one session, whichever its access token");
    }
    let session = "SELECT generation, (SELECT count(*) FROM sessions) FROM sessions";
    let session: (i32, i64) = sqlx::query_as(session).fetch_one(&mut app.superuser().await).await.unwrap();
    assert_eq!(session, (2, 1));
}

#[tokio::test]
async fn r3_a_retry_within_ten_seconds_gets_the_same_successor() {
    let app = TestApp::start(crate::routes()).await;
    let first = acme(&app).await;
    let second = rotated(&app, &first.refresh).await;
    app.clock.advance(Duration::seconds(9));
    let answer = app.send(refresh(&first.refresh)).await;
    let (again, life) = (Pair::of(&answer), answer.json()["refresh_expires_in"].as_i64().unwrap());
    assert_eq!(again.refresh, second.refresh);
    assert!((604_700..=604_791).contains(&life), "it has lived since it was issued: {life}");
    assert_eq!(me(&app, &again.access).await, "none");
    rotated(&app, &second.refresh).await;
    assert!(refusals(&app, "auth.refresh").await.is_empty());
}

#[tokio::test]
async fn r1_a_token_used_again_after_that_ends_its_session_and_no_other() {
    let app = TestApp::start(crate::routes()).await;
    let first = acme(&app).await;
    let other = another_session(&app).await;
    let second = rotated(&app, &first.refresh).await;
    app.clock.advance(Duration::seconds(11));
    let reused = app.send(refresh(&first.refresh)).await;
    refused(&reused);
    assert_eq!(reused.request_line()["refresh_token_reused"], 1);
    assert_eq!(refusals(&app, "auth.refresh").await, ["AUTH_007"], "recorded once");
    for pair in [&first, &second] {
        assert_eq!(me(&app, &pair.access).await, "AUTH_006");
        refused(&app.send(refresh(&pair.refresh)).await);
    }
    assert_eq!(me(&app, &other.access).await, "none");
    // Another environment, or this one after it was killed, says the same.
    let restarted = app.another(crate::routes()).await;
    refused(&restarted.send(refresh(&second.refresh)).await);
    assert_eq!(me(&restarted, &second.access).await, "AUTH_006");
    rotated(&restarted, &other.refresh).await;
}

#[tokio::test]
async fn a_rotated_token_ends_its_session_after_its_own_time_too_and_an_unused_one_just_expires() {
    let app = TestApp::start(crate::routes()).await;
    let (first, other) = (acme(&app).await, another_session(&app).await);
    let second = rotated(&app, &first.refresh).await;
    sql(&app, "UPDATE refresh_tokens SET expires_at = now() - interval '1 day', rotated_at = rotated_at - interval '8 days' WHERE generation = 0").await;
    refused(&app.send(refresh(&other.refresh)).await);
    assert_eq!(me(&app, &other.access).await, "none");
    refused(&app.send(refresh(&first.refresh)).await);
    assert_eq!(me(&app, &second.access).await, "AUTH_006");
}

#[tokio::test]
async fn two_generations_back_ends_the_session_even_at_once() {
    let app = TestApp::start(crate::routes()).await;
    let first = acme(&app).await;
    let second = rotated(&app, &first.refresh).await;
    let third = rotated(&app, &second.refresh).await;
    refused(&app.send(refresh(&first.refresh)).await);
    refused(&app.send(refresh(&third.refresh)).await);
    assert_eq!(me(&app, &third.access).await, "AUTH_006");
}

#[tokio::test]
async fn r2_twenty_at_once_get_one_successor_and_nobody_is_signed_out() {
    let app = concurrent().await;
    let first = acme(&app).await;
    let answers = join_all((0..20).map(|_| app.send(refresh(&first.refresh)))).await;
    let successors: HashSet<String> = answers.iter().map(|answer| Pair::of(answer).refresh).collect();
    assert_eq!(successors.len(), 1);
    let generation: i32 =
        sqlx::query_scalar("SELECT generation FROM sessions").fetch_one(&mut app.superuser().await).await.unwrap();
    assert_eq!(generation, 1);
    for answer in &answers {
        assert_eq!(me(&app, &Pair::of(answer).access).await, "none");
    }
    rotated(&app, successors.iter().next().unwrap()).await;
    assert!(refusals(&app, "auth.refresh").await.is_empty());
}

/// The second one has read both rows before the first one wrote to them.
#[tokio::test]
async fn one_that_waited_for_another_sees_what_it_wrote() {
    let app = concurrent().await;
    let first = acme(&app).await;
    let mut holder = app.superuser().await;
    holder.execute("BEGIN; SELECT * FROM sessions FOR UPDATE").await.unwrap();
    let both_wait = async {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        holder.execute("COMMIT").await.unwrap();
    };
    let (one, other, ()) =
        tokio::join!(app.send(refresh(&first.refresh)), app.send(refresh(&first.refresh)), both_wait);
    assert_eq!(Pair::of(&one).refresh, Pair::of(&other).refresh);
}

#[tokio::test]
async fn refreshes_and_sign_outs_together_never_run_into_each_other() {
    let app = concurrent().await;
    let pairs = [acme(&app).await, another_session(&app).await, another_session(&app).await];
    let logout = || {
        let event = Event::post("/api/v1/auth/logout?scope=global", &json!(null));
        app.send(event.bearer(&pairs[0].access))
    };
    let refreshes = join_all(pairs.iter().cycle().take(12).map(|pair| app.send(refresh(&pair.refresh))));
    let (refreshes, one, other) = tokio::join!(refreshes, logout(), logout());
    for answer in &refreshes {
        assert!(matches!(&*answer.code(), "none" | "AUTH_007"), "{:?}", answer.log);
    }
    for answer in [one, other] {
        assert!(matches!(&*answer.code(), "none" | "AUTH_006"), "{:?}", answer.log);
    }
    for pair in &pairs {
        assert_eq!(me(&app, &pair.access).await, "AUTH_006");
        refused(&app.send(refresh(&pair.refresh)).await);
    }
}

#[tokio::test]
async fn r5_no_token_is_refreshed_for_those_who_may_not_sign_in() {
    let app = TestApp::start(crate::routes()).await;
    let mut pair = acme(&app).await;
    for (statement, undone) in [
        ("UPDATE users SET status = 'inactive'", "UPDATE users SET status = 'active'"),
        ("UPDATE tenants SET status = 'suspended'", "UPDATE tenants SET status = 'active'"),
        ("UPDATE sessions SET ended_at = now()", "UPDATE sessions SET ended_at = NULL"),
        (
            "UPDATE sessions SET expires_at = expires_at - interval '30 days'",
            "UPDATE sessions SET expires_at = expires_at + interval '30 days'",
        ),
        (
            "UPDATE refresh_tokens SET expires_at = expires_at - interval '7 days'",
            "UPDATE refresh_tokens SET expires_at = expires_at + interval '7 days'",
        ),
    ] {
        sql(&app, statement).await;
        let before = refusals(&app, "auth.refresh").await.len();
        refused(&app.send(refresh(&pair.refresh)).await);
        assert_eq!(refusals(&app, "auth.refresh").await.len(), before + 1, "{statement}");
        sql(&app, undone).await;
        pair = rotated(&app, &pair.refresh).await;
    }
}

#[tokio::test]
async fn a_successor_lives_no_longer_than_its_session() {
    let app = TestApp::start(crate::routes()).await;
    let first = acme(&app).await;
    sql(&app, "UPDATE sessions SET expires_at = now() + interval '1 day'").await;
    for token in [&first.refresh, &first.refresh] {
        let answer = app.send(refresh(token)).await;
        let told = answer.json()["refresh_expires_in"].as_i64().unwrap();
        assert!((86_390..=86_400).contains(&told), "{told}");
    }
    let query = "SELECT r.expires_at = s.expires_at FROM refresh_tokens r, sessions s WHERE r.generation = 1";
    assert!(sqlx::query_scalar::<_, bool>(query).fetch_one(&mut app.superuser().await).await.unwrap());
}

#[tokio::test]
async fn what_we_did_not_make_is_refused_alike() {
    let app = TestApp::start(crate::routes()).await;
    let pair = acme(&app).await;
    let good = app.group.sessions.refresh_tokens.decode(&pair.refresh).unwrap();
    let made = |token: RefreshToken| app.group.sessions.refresh_tokens.encode(&token);
    let mut forged = pair.refresh.clone();
    forged.replace_range(..1, if forged.starts_with('A') { "B" } else { "A" });
    let garbage = [
        String::new(),
        "garbage".to_owned(),
        "A".repeat(100_000),
        "a\0b".to_owned(),
        pair.access.clone(),
        forged,
        format!("{}=", pair.refresh),
        format!(" {}", pair.refresh),
        // A good tag, of what is not there.
        made(RefreshToken { generation: 7, ..good }),
        made(RefreshToken { generation: -1, ..good }),
        made(RefreshToken { generation: i32::MAX, ..good }),
        made(RefreshToken { session: Uuid::from_u128(1), ..good }),
    ];
    let answers = join_all(garbage.iter().map(|token| app.send(refresh(token).header("x-request-id", "one")))).await;
    for answer in &answers {
        refused(answer);
        assert_eq!((&answer.bytes, &answer.headers), (&answers[0].bytes, &answers[0].headers));
    }
    assert_eq!(refusals(&app, "auth.refresh").await, ["AUTH_007"; 12]);
    assert_eq!(app.trail(Uuid::nil()).await.len(), 8, "of what names no tenant, in the trail of nobody");
    for body in [json!({}), json!({ "refresh_token": 7 }), json!({ "refresh_token": null }), json!([])] {
        assert_eq!(app.send(Event::post("/api/v1/auth/refresh", &body)).await.code(), "VAL_001", "{body}");
    }
    rotated(&app, &pair.refresh).await;
}

#[tokio::test]
async fn a_session_that_another_holds_is_503_in_time_and_well_again_after() {
    let app = TestApp::start(crate::routes()).await;
    let pair = acme(&app).await;
    let mut holder = app.superuser().await;
    holder.execute("BEGIN; SELECT * FROM sessions FOR UPDATE").await.unwrap();
    let start = Instant::now();
    let answer = app.send(refresh(&pair.refresh)).await;
    assert_eq!((answer.status.as_u16(), &*answer.code()), (503, "SYS_002"));
    assert!(start.elapsed().as_secs_f64() < 5.0, "{:?}", start.elapsed());
    holder.execute("COMMIT").await.unwrap();
    rotated(&app, &pair.refresh).await;
}
