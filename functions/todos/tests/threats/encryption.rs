//! E1, E3 and E4 of THREATS on a whole function: a todo's notes.

use http::Method;
use serde_json::{Value, json};
use shared::testing::{Answer, Event, Member, Mood, TestApp};
use sqlx::{AssertSqlSafe, Executor, raw_sql};
use time::Duration;
use todos::Todos;

const TODOS: &str = "/api/v1/todos";
const CANARY: &str = "canary, before noon";

async fn create(app: &TestApp<Todos>, member: &Member, notes: &str) -> String {
    let body = json!({ "title": "Call", "notes": notes });
    let answer = app.send(Event::post(TODOS, &body).bearer(&member.token)).await;
    assert_eq!(answer.status, 201, "{:?}", answer.log);
    answer.header("location").to_owned()
}

async fn read(app: &TestApp<Todos>, member: &Member, target: &str) -> Answer {
    app.send(Event::get(target).bearer(&member.token)).await
}

async fn patch(app: &TestApp<Todos>, member: &Member, target: &str, changes: &Value) -> Answer {
    let event = Event::new(&Method::PATCH, target).bearer(&member.token).header("if-match", "*");
    app.send(event.json(changes)).await
}

fn id(target: &str) -> &str {
    target.rsplit('/').next().unwrap()
}

#[tokio::test]
async fn notes_come_back_in_every_answer_and_stand_in_no_table_and_no_log() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let create = Event::post(TODOS, &json!({ "title": "x", "notes": CANARY })).bearer(&ada.token);
    let create = create.header("idempotency-key", "call-1");
    let created = app.send(create.clone()).await;
    let target = created.header("location").to_owned();
    let answers = [
        read(&app, &ada, &target).await,
        patch(&app, &ada, &target, &json!({ "title": "y" })).await,
        patch(&app, &ada, &target, &json!({ "notes": CANARY })).await,
        app.send(create).await,
        created,
    ];
    for answer in &answers {
        assert_eq!(answer.json()["notes"], CANARY);
    }
    let list = read(&app, &ada, TODOS).await;
    assert_eq!(list.json()["items"][0]["notes"], CANARY);
    for answer in answers.iter().chain([&list]) {
        assert!(!format!("{:?}", answer.log).contains("canary"));
    }
    let mut superuser = app.superuser().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace IN ('public'::regnamespace, 'app'::regnamespace)",
    )
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    let (plain, hex) = ("canary", "63616e617279");
    let mut rows = 0;
    for table in tables {
        let sql = format!("SELECT row_to_json(t)::text FROM {table} AS t");
        let dump: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut superuser).await.unwrap();
        rows += dump.len();
        assert!(dump.iter().all(|row| !row.contains(plain) && !row.contains(hex)), "{table}");
    }
    assert!(rows > 5);
    let stored: i32 =
        sqlx::query_scalar("SELECT octet_length(notes_ciphertext) FROM todos").fetch_one(&mut superuser).await.unwrap();
    assert_eq!(usize::try_from(stored).unwrap(), CANARY.len() + shared::crypto::OVERHEAD);
}

#[tokio::test]
async fn e1_notes_that_were_moved_or_altered_are_sys_005_and_recorded_and_change_nothing() {
    let app = TestApp::start(todos::routes()).await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    let (target, other) = (create(&app, &ada, "mine").await, create(&app, &ada, "mine as well").await);
    let foreign = create(&app, &eve, "of another tenant").await;
    let mut superuser = app.superuser().await;
    let take = |from: &str| format!("(SELECT notes_ciphertext FROM todos WHERE id = '{}')", id(from));
    for (number, ciphertext) in [
        take(&other),
        take(&foreign),
        "set_byte(notes_ciphertext, 90, 255)".into(),
        "decode(repeat('00', 97), 'hex')".into(),
    ]
    .into_iter()
    .enumerate()
    {
        let sql = format!("UPDATE todos SET notes_ciphertext = {ciphertext} WHERE id = '{}'", id(&target));
        superuser.execute(raw_sql(AssertSqlSafe(sql))).await.unwrap();
        let before = app.trail(ada.tenant).await.len();
        for answer in [
            read(&app, &ada, &target).await,
            read(&app, &ada, TODOS).await,
            patch(&app, &ada, &target, &json!({ "title": "changed" })).await,
        ] {
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (500, "SYS_005"), "number {number}");
            let cause = answer.request_line()["cause"].to_string();
            assert!(cause.contains(&format!("todos.notes of {}", id(&target))), "{cause}");
            assert!(!String::from_utf8_lossy(&answer.bytes).contains("notes"), "the caller learns no more");
        }
        let (object, trail) = (id(&target).parse().ok(), app.trail(ada.tenant).await);
        let record = |action: &str, object| (action.into(), "failure".into(), Some("SYS_005".into()), object);
        let expected = [record("todos.read", object), record("todos.list", None), record("todos.update", object)];
        assert_eq!(trail[before..], expected, "number {number}");
    }
    assert_eq!(read(&app, &ada, &other).await.json()["notes"], "mine as well");
    assert_eq!(read(&app, &eve, TODOS).await.json()["items"][0]["notes"], "of another tenant");
    let mended = patch(&app, &ada, &target, &json!({ "notes": "anew" })).await.json();
    assert_eq!((&mended["title"], &mended["notes"], &mended["version"]), (&json!("Call"), &json!("anew"), &json!(2)));
}

#[tokio::test]
async fn e3_e4_without_the_key_what_needs_it_is_503_and_changes_nothing_and_all_else_goes_on() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let target = create(&app, &ada, "hers").await;
    let bare = app.send(Event::post(TODOS, &json!({ "title": "bare" })).bearer(&ada.token)).await;
    let bare = bare.header("location").to_owned();
    app.kms.set(Mood::KeyDisabled);
    assert_eq!(read(&app, &ada, &target).await.json()["notes"], "hers", "while it is at hand");
    app.clock.advance(Duration::minutes(6));
    let before = app.trail(ada.tenant).await.len();
    let new = Event::post(TODOS, &json!({ "title": "x", "notes": "y" })).bearer(&ada.token);
    for answer in [
        read(&app, &ada, &target).await,
        read(&app, &ada, TODOS).await,
        patch(&app, &ada, &target, &json!({ "completed": true })).await,
        app.send(new).await,
    ] {
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "SYS_004"), "{:?}", answer.log);
        assert!(answer.request_line()["cause"].to_string().contains("DisabledException"));
    }
    assert_eq!(app.trail(ada.tenant).await.len(), before, "an outage is no refusal");
    assert_eq!(read(&app, &ada, &bare).await.status, 200);
    let known = Event::get(&target).bearer(&ada.token).header("if-none-match", "\"1\"");
    assert_eq!(app.send(known).await.status, 304);
    app.kms.set(Mood::Obliging);
    let todo = read(&app, &ada, &target).await.json();
    assert_eq!((&todo["notes"], &todo["version"]), (&json!("hers"), &json!(1)));
}

#[tokio::test]
async fn once_the_key_is_at_hand_neither_its_table_nor_kms_is_asked() {
    let first = TestApp::start(todos::routes()).await;
    let ada = first.tenant("acme").await;
    let target = create(&first, &ada, "hers").await;
    let app = first.another(todos::routes()).await;
    assert_eq!(read(&app, &ada, TODOS).await.status, 200);
    assert_eq!(app.kms.calls(), 1);
    let mut wall = app.superuser().await;
    wall.execute("BEGIN; LOCK TABLE tenant_keys").await.unwrap();
    for _ in 0..3 {
        assert_eq!(read(&app, &ada, TODOS).await.json()["items"][0]["notes"], "hers");
        assert_eq!(read(&app, &ada, &target).await.status, 200);
        assert_eq!(patch(&app, &ada, &target, &json!({ "completed": true })).await.status, 200);
    }
    let body = json!({ "title": "x", "notes": "y" });
    assert_eq!(app.send(Event::post(TODOS, &body).bearer(&ada.token)).await.status, 201);
    assert_eq!(app.kms.calls(), 1);
}
