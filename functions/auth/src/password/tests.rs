use serde_json::json;
use shared::testing::{Answer, Event, TestApp};
use sqlx::Executor;

use crate::{
    Auth,
    trial::{PASSWORD, Pair, acme, another_session, concurrent, dump, forget_attempts, login, me, refresh, refusals},
};

const NEW: &str = "four ducks paint the harbour";

fn change(access: &str, current: &str, new: &str) -> Event {
    let body = json!({ "current_password": current, "new_password": new });
    Event::post("/api/v1/auth/password", &body).bearer(access)
}

async fn sign_in(app: &TestApp<Auth>, password: &str) -> Answer {
    app.send(login("acme", "ada@acme.example", password)).await
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions_and_opens_new_ones() {
    let app = TestApp::start(crate::routes()).await;
    let (own, other) = (acme(&app).await, another_session(&app).await);
    let answer = app.send(change(&own.access, PASSWORD, NEW)).await;
    assert_eq!((answer.status.as_u16(), answer.bytes.len()), (204, 0));
    assert_eq!((me(&app, &own.access).await, me(&app, &other.access).await), ("none".into(), "AUTH_006".into()));
    assert_eq!(app.send(refresh(&other.refresh)).await.code(), "AUTH_007");
    assert_eq!(app.send(refresh(&own.refresh)).await.status, 200);
    assert_eq!(sign_in(&app, PASSWORD).await.code(), "AUTH_005");
    assert_eq!(sign_in(&app, NEW).await.status, 200);
    let tenant = answer.request_line()["tenant_id"].as_str().unwrap().parse().unwrap();
    let user = answer.request_line()["user_id"].as_str().unwrap().parse().ok();
    let changed = ("auth.password".into(), "success".into(), None, user);
    assert_eq!(app.trail(tenant).await.iter().filter(|record| **record == changed).count(), 1);
    assert_eq!(app.details(tenant, "auth.password").await, [r#"{"sessions_ended":1}"#]);
    for text in [dump(&app).await, format!("{:?}", answer.log)] {
        assert!(!text.contains(NEW) && !text.contains(PASSWORD));
    }
}

#[tokio::test]
async fn the_rules_of_new_passwords_apply() {
    let app = TestApp::start(crate::routes()).await;
    let own = acme(&app).await;
    for (new, message) in [
        (PASSWORD, "must be another one than the current one"),
        ("short", "must have 12 to 128 characters"),
        ("password1234", "common"),
        ("acme-clinic-acme", "must not"),
        ("ada@acme.example", "must not"),
    ] {
        let answer = app.send(change(&own.access, PASSWORD, new)).await;
        let fields = answer.json()["error"]["fields"].clone();
        assert_eq!((&*answer.code(), &fields[0]["field"]), ("VAL_001", &json!("new_password")), "{new}");
        assert!(fields[0]["message"].as_str().unwrap().contains(message), "{new}: {fields}");
    }
    assert_eq!(sign_in(&app, PASSWORD).await.status, 200, "nothing has changed, and no attempt was counted");
}

#[tokio::test]
async fn a_wrong_current_password_is_refused_recorded_and_counted_with_the_sign_ins() {
    let app = TestApp::start(crate::routes()).await;
    let own = acme(&app).await;
    for _ in 0..3 {
        let answer = app.send(change(&own.access, "not the password", NEW)).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (401, "AUTH_005"));
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    assert_eq!(sign_in(&app, "not the password").await.code(), "AUTH_005");
    let fifth = app.send(change(&own.access, "not the password", NEW)).await;
    assert_eq!((&*fifth.code(), &fifth.request_line()["account_locked"]), ("AUTH_005", &json!(1)));
    for answer in [app.send(change(&own.access, PASSWORD, NEW)).await, sign_in(&app, PASSWORD).await] {
        assert_eq!((answer.status.as_u16(), &*answer.code()), (429, "AUTH_008"));
        assert!((1..=900).contains(&answer.header("retry-after").parse().unwrap()));
    }
    assert_eq!(
        refusals(&app, "auth.password").await,
        ["AUTH_005", "AUTH_005", "AUTH_005", "AUTH_008", "AUTH_005"],
        "the lock once, and nothing of the attempts while it lasts"
    );
    assert_eq!(me(&app, &own.access).await, "none", "the session goes on");
    forget_attempts(&app).await;
    for _ in 0..4 {
        app.send(change(&own.access, "not the password", NEW)).await;
    }
    assert_eq!(app.send(change(&own.access, PASSWORD, NEW)).await.status, 204);
    assert_eq!(sign_in(&app, "not the password").await.code(), "AUTH_005", "the right one has cleared the counter");
}

#[tokio::test]
async fn an_account_without_a_password_has_none_to_change() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let answer = app.send(change(&ada.token, "", NEW)).await;
    assert_eq!((answer.status.as_u16(), &*answer.code()), (401, "AUTH_005"));
}

/// A sign-in that has verified the old password while it is being changed.
#[tokio::test]
async fn the_old_password_begins_no_session_once_it_is_changed() {
    let app = concurrent().await;
    let own = acme(&app).await;
    let mut holder = app.superuser().await;
    // Holds the sign-in after its look-up, where it begins the session.
    holder.execute("BEGIN; SELECT * FROM users FOR NO KEY UPDATE").await.unwrap();
    let changed = async {
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        let other = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        sqlx::query("UPDATE users SET password_hash = $1").bind(other).execute(&mut holder).await.unwrap();
        holder.execute("COMMIT").await.unwrap();
    };
    let (answer, ()) = tokio::join!(sign_in(&app, PASSWORD), changed);
    assert_eq!(answer.code(), "AUTH_005", "{:?}", answer.log);
    assert_eq!(refusals(&app, "auth.login").await, ["AUTH_005"]);
    let sessions = "SELECT count(*) FROM sessions";
    assert_eq!(sqlx::query_scalar::<_, i64>(sessions).fetch_one(&mut app.superuser().await).await.unwrap(), 1);
    assert_eq!(me(&app, &own.access).await, "none");
}

#[tokio::test]
async fn of_two_changes_at_once_one_is_made() {
    let app = concurrent().await;
    let own = acme(&app).await;
    let other: Pair = another_session(&app).await;
    let (one, two) = tokio::join!(
        app.send(change(&own.access, PASSWORD, NEW)),
        app.send(change(&other.access, PASSWORD, "seven boats carry the lanterns"))
    );
    let mut codes = [one.code(), two.code()];
    codes.sort();
    assert!(codes == ["AUTH_005", "none"] || codes == ["AUTH_006", "none"], "{codes:?}");
}

/// Both lock the account's counter and the user: in one order, or they would
/// run into each other.
#[tokio::test]
async fn a_change_and_a_sign_in_lock_the_counter_before_the_user() {
    let app = concurrent().await;
    let own = acme(&app).await;
    for event in [login("acme", "ada@acme.example", PASSWORD), change(&own.access, PASSWORD, NEW)] {
        let mut holder = app.superuser().await;
        let user_is_free = async {
            // It has reserved, and hashes before it clears the counter.
            until(&mut holder, "SELECT EXISTS (SELECT FROM app.sign_in_attempts)").await;
            holder.execute("BEGIN; SELECT * FROM app.sign_in_attempts FOR UPDATE").await.unwrap();
            let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database())";
            until(&mut holder, waits).await;
            holder.execute("SELECT * FROM users FOR UPDATE NOWAIT").await.map(drop).unwrap();
            holder.execute("COMMIT").await.unwrap();
        };
        let (answer, ()) = tokio::join!(app.send(event), user_is_free);
        assert!(answer.status.is_success(), "{:?}", answer.log);
    }
}

async fn until(watching: &mut sqlx::PgConnection, condition: &'static str) {
    let start = std::time::Instant::now();
    while !sqlx::query_scalar::<_, bool>(condition).fetch_one(&mut *watching).await.unwrap() {
        assert!(start.elapsed().as_secs() < 8, "{condition}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
