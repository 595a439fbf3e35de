//! How a session begins, whoever signs in.

use std::time::Duration;

use shared::{auth::Role, clock::Clock, testing::TestApp};
use sqlx::Executor;

use crate::trial::{PASSWORD, Pair, acme, concurrent, counts, dump, login, refresh, refusals};

/// Whoever changes a user locks its row, then the head of the trail.
#[tokio::test]
async fn a_session_begins_with_its_locks_in_the_order_of_all_writes() {
    let app = concurrent().await;
    acme(&app).await;
    let mut changing = app.superuser().await;
    changing.execute("BEGIN; SELECT * FROM users FOR NO KEY UPDATE").await.unwrap();
    let head_is_free = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        changing.execute("SELECT * FROM audit_heads FOR UPDATE NOWAIT").await.map(drop).unwrap();
        changing.execute("COMMIT").await.unwrap();
    };
    let (answer, ()) = tokio::join!(app.send(login("acme", "ada@acme.example", PASSWORD)), head_is_free);
    assert_eq!(answer.status, 200, "{:?}", answer.log);
}

#[tokio::test]
async fn no_session_begins_for_a_user_who_is_deactivated_meanwhile() {
    let app = concurrent().await;
    acme(&app).await;
    let mut changing = app.superuser().await;
    changing.execute("BEGIN; UPDATE users SET status = 'inactive'").await.unwrap();
    let deactivated = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        changing.execute("COMMIT").await.unwrap();
    };
    let (answer, ()) = tokio::join!(app.send(login("acme", "ada@acme.example", PASSWORD)), deactivated);
    assert_eq!((answer.status.as_u16(), &*answer.code()), (401, "AUTH_005"), "{:?}", answer.log);
    assert_eq!((counts(&app).await[2], &*refusals(&app, "auth.login").await), (1, &["AUTH_005".to_owned()][..]));
}

#[tokio::test]
async fn a_role_that_is_changed_during_a_sign_in_is_the_tokens_role() {
    let app = concurrent().await;
    acme(&app).await;
    let mut changing = app.superuser().await;
    // As a change of role does: with it end the sessions that there are.
    let change = "BEGIN; UPDATE users SET role = 'viewer'; UPDATE sessions SET ended_at = now()";
    changing.execute(change).await.unwrap();
    let demoted = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        changing.execute("COMMIT").await.unwrap();
    };
    let (answer, ()) = tokio::join!(app.send(login("acme", "ada@acme.example", PASSWORD)), demoted);
    assert_eq!((answer.status.as_u16(), &answer.json()["user"]["role"]), (200, &"viewer".into()), "{:?}", answer.log);
    let subject = app.group.app.verifier.verify(&Pair::of(&answer).access, app.clock.now()).await.unwrap();
    assert_eq!(subject.role, Role::Viewer);
}

#[tokio::test]
async fn r6_a_dump_of_the_database_and_the_log_hold_nothing_that_opens_a_session() {
    let app = TestApp::start(crate::routes()).await;
    let first = acme(&app).await;
    let answer = app.send(refresh(&first.refresh)).await;
    let second = Pair::of(&answer);
    let signing_key = app.keys.private_jwk()["d"].as_str().unwrap().to_owned();
    let refresh_key = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA".to_owned();
    let mut usable = vec![PASSWORD.to_owned(), signing_key, refresh_key];
    for pair in [&first, &second] {
        usable.extend(pair.access.split('.').map(ToOwned::to_owned));
        usable.push(pair.refresh.clone());
    }
    let (dump, log, mut superuser) = (dump(&app).await, format!("{:?}", answer.log), app.superuser().await);
    let tokens = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM refresh_tokens").fetch_one(&mut superuser).await;
    assert_eq!((tokens.unwrap(), dump.matches("ada@acme.example").count()), (2, 1), "the dump is whole");
    for secret in usable {
        let hex = sqlx::query_scalar("SELECT encode(convert_to($1, 'UTF8'), 'hex')").bind(&secret);
        let hex: String = hex.fetch_one(&mut superuser).await.unwrap();
        assert!(!dump.contains(&secret) && !log.contains(&secret) && !dump.contains(&hex), "{secret}");
    }
    // The tag, without which ids and a generation are no token.
    for token in [&first.refresh, &second.refresh] {
        let tag = "SELECT encode(substr(decode(translate($1 || '=', '-_', '+/'), 'base64'), 37), 'hex')";
        let tag: String = sqlx::query_scalar(tag).bind(token).fetch_one(&mut superuser).await.unwrap();
        assert!(tag.len() == 64 && !dump.contains(&tag));
    }
}
