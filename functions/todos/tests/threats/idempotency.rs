//! `Idempotency-Key`, and P3: the same event delivered twice has one effect.

use http::Method;
use serde_json::{Value, json};
use shared::{
    auth::Role,
    testing::{Event, Member, TestApp},
};
use sqlx::Executor;

const TODOS: &str = "/api/v1/todos";

fn create(member: &Member, key: &str, title: &str) -> Event {
    Event::post(TODOS, &json!({ "title": title })).bearer(&member.token).header("idempotency-key", key)
}

async fn count(app: &TestApp<todos::Todos>, member: &Member) -> usize {
    let list = app.send(Event::get("/api/v1/todos?limit=100").bearer(&member.token)).await;
    list.json()["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn the_same_event_twice_has_one_effect_and_one_answer() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let event = create(&ada, "key-1", "once");
    let first = app.send(event.clone()).await;
    assert_eq!((first.status.as_u16(), first.header("idempotency-replayed")), (201, ""));
    let again = app.another(todos::routes()).await;
    for app in [&app, &again] {
        let replay = app.send(event.clone()).await;
        assert_eq!((replay.status.as_u16(), replay.header("idempotency-replayed")), (201, "true"));
        assert_eq!(replay.bytes, first.bytes);
        for name in ["etag", "location", "content-type", "cache-control", "api-version"] {
            assert_eq!(replay.headers.get_all(name).iter().count(), 1, "{name}");
            assert_eq!(replay.header(name), first.header(name), "{name}");
        }
        assert_ne!(replay.header("x-request-id"), first.header("x-request-id"));
    }
    assert_eq!(count(&app, &ada).await, 1);
    assert_eq!(app.trail(ada.tenant).await.len(), 1, "one effect, one record");
}

#[tokio::test]
async fn a_replay_tells_what_was_answered_even_if_the_todo_is_gone() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let first = app.send(create(&ada, "key-1", "gone soon")).await;
    let delete = Event::new(&Method::DELETE, first.header("location")).bearer(&ada.token).header("if-match", "*");
    assert_eq!(app.send(delete).await.status, 204);
    assert_eq!(app.send(create(&ada, "key-1", "gone soon")).await.bytes, first.bytes);
}

#[tokio::test]
async fn a_key_with_another_body_is_422() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    assert_eq!(app.send(create(&ada, "key-1", "one")).await.status, 201);
    let other = app.send(create(&ada, "key-1", "two")).await;
    assert_eq!((other.status.as_u16(), other.code().as_str()), (422, "RES_005"));
    assert_eq!(count(&app, &ada).await, 1);
    let refused = ("todos.create".into(), "failure".into(), Some("RES_005".into()), None);
    assert_eq!(app.trail(ada.tenant).await[1], refused);
}

#[tokio::test]
async fn a_refused_request_leaves_its_key_free() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    assert_eq!(app.send(create(&ada, "key-1", "")).await.code(), "VAL_001");
    assert_eq!(app.send(create(&ada, "key-1", "now it fits")).await.status, 201);
}

#[tokio::test]
async fn a_key_is_one_users_in_one_tenant() {
    let app = TestApp::start(todos::routes()).await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    let colleague = app.member(ada.tenant, Role::Viewer).await;
    let mut ids = Vec::new();
    for member in [&ada, &eve, &colleague] {
        let answer = app.send(create(member, "key-1", "each their own")).await;
        assert_eq!((answer.status.as_u16(), answer.header("idempotency-replayed")), (201, ""));
        ids.push(answer.json()["id"].clone());
        assert_eq!(count(&app, member).await, 1);
    }
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
}

#[tokio::test]
async fn while_the_first_is_in_flight_the_second_is_told_so_at_once() {
    let app = TestApp::start(todos::routes()).await;
    let other = app.another(todos::routes()).await;
    let ada = app.tenant("acme").await;
    // Holds the first request in its INSERT, after it has claimed its key.
    let mut wall = app.superuser().await;
    wall.execute("BEGIN; LOCK TABLE todos IN EXCLUSIVE MODE").await.unwrap();
    let event = create(&ada, "key-1", "slow");
    let first = app.send(event.clone());
    let second = async {
        wait_for_lock(&other).await;
        let second = other.send(event.clone()).await;
        wall.execute("ROLLBACK").await.unwrap();
        second
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!((second.status.as_u16(), second.code().as_str()), (409, "RES_004"));
    assert_eq!(first.status, 201);
    assert_eq!(other.send(event).await.bytes, first.bytes);
}

async fn wait_for_lock(app: &TestApp<todos::Todos>) {
    let mut superuser = app.superuser().await;
    let waiting =
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')";
    while !sqlx::query_scalar::<_, bool>(waiting).fetch_one(&mut superuser).await.unwrap() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn twenty_at_once_create_one() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let mut environments = Vec::new();
    for _ in 0..20 {
        environments.push(app.another(todos::routes()).await);
    }
    let answers = environments.iter().map(|each| each.send(create(&ada, "key-1", "one of twenty")));
    let answers = futures_util::future::join_all(answers).await;
    let created: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert!(!created.is_empty() && created.iter().all(|answer| answer.bytes == created[0].bytes));
    assert!(answers.iter().all(|answer| answer.status == 201 || answer.code() == "RES_004"));
    assert_eq!(count(&app, &ada).await, 1);
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    assert_eq!(app.send(create(&ada, "key-1", "daily")).await.status, 201);
    for (age, replayed, todos) in [("23:59:00", "true", 1), ("24:01:00", "", 2)] {
        sqlx::query("UPDATE idempotency_keys SET created_at = now() - $1::interval")
            .bind(age)
            .execute(&mut app.superuser().await)
            .await
            .unwrap();
        assert_eq!(app.send(create(&ada, "key-1", "daily")).await.header("idempotency-replayed"), replayed, "{age}");
        assert_eq!(count(&app, &ada).await, todos, "{age}");
    }
}

#[tokio::test]
async fn a_key_is_1_to_128_visible_characters() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    for key in ["", "two words", "k\u{e9}y", "tab\there", &"k".repeat(129)] {
        let answer = app.send(create(&ada, key, "x")).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (422, "VAL_001"), "{key:?}");
        assert_eq!(answer.json()["error"]["fields"][0]["field"], "Idempotency-Key", "{key:?}");
    }
    for key in ["!", "a/b:c';--", &"k".repeat(128)] {
        assert_eq!(app.send(create(&ada, key, "x")).await.status, 201, "{key:?}");
    }
}

#[tokio::test]
async fn neither_the_key_nor_its_request_is_stored_in_plain() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    app.send(create(&ada, "a-key-of-hers", "a title")).await;
    let row: (Value,) = sqlx::query_as("SELECT to_jsonb(k) FROM idempotency_keys k")
        .fetch_one(&mut app.superuser().await)
        .await
        .unwrap();
    assert!(!row.0.to_string().contains("a-key-of-hers"));
}

#[tokio::test]
async fn e1_a_stored_answer_that_was_moved_or_altered_is_sys_005() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    for key in ["key-1", "key-2"] {
        assert_eq!(app.send(create(&ada, key, key)).await.status, 201);
    }
    let mut superuser = app.superuser().await;
    for forged in [
        "UPDATE idempotency_keys k SET body_ciphertext = o.body_ciphertext FROM idempotency_keys o WHERE o.key_hash <> k.key_hash",
        "UPDATE idempotency_keys SET body_ciphertext = set_byte(body_ciphertext, 20, 255 - get_byte(body_ciphertext, 20))",
        "UPDATE idempotency_keys SET body_ciphertext = ''",
    ] {
        superuser.execute(forged).await.unwrap();
        for key in ["key-1", "key-2"] {
            let answer = app.send(create(&ada, key, key)).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (500, "SYS_005"), "{forged}");
        }
    }
    assert_eq!(count(&app, &ada).await, 2);
}

#[tokio::test]
async fn a_key_opens_nothing_once_the_session_has_ended() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let event = create(&ada, "key-1", "once");
    assert_eq!(app.send(event.clone()).await.status, 201);
    app.superuser().await.execute("UPDATE sessions SET ended_at = now()").await.unwrap();
    assert_eq!(app.send(event).await.code(), "AUTH_006");
}

#[tokio::test]
async fn nobody_can_try_keys_or_bodies_against_the_hashes_of_a_dump() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    assert_eq!(app.send(create(&ada, "key-1", "pin 1234")).await.status, 201);
    let body = json!({ "title": "pin 1234" }).to_string();
    let (key_hash, request_hash, plain): (Vec<u8>, Vec<u8>, bool) = sqlx::query_as(
        "SELECT key_hash, request_hash,
                key_hash = sha256(convert_to('key-1', 'UTF8')) OR request_hash = sha256(convert_to($1, 'UTF8'))
           FROM idempotency_keys",
    )
    .bind(body)
    .fetch_one(&mut app.superuser().await)
    .await
    .unwrap();
    assert_eq!((key_hash.len(), request_hash.len(), plain), (32, 32, false));
}
