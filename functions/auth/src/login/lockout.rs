//! A2 and A3 of THREATS: what locks an account, for how long, and what not.

use std::sync::Arc;

use futures_util::future::join_all;
use shared::testing::{Answer, TestApp, TestDatabase, TestKeys};
use time::Duration;

use crate::{
    Auth,
    trial::{PASSWORD, Pair, acme, dump, forget_attempts, login, me, refresh, refusals, sql},
};

const ADA: &str = "ada@acme.example";

async fn fail(app: &TestApp<Auth>, times: usize) {
    for _ in 0..times {
        assert_eq!(app.send(login("acme", ADA, "not the password")).await.code(), "AUTH_005");
    }
}

fn status_and_code(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.code())
}

async fn is_locked(app: &TestApp<Auth>, password: &str) -> bool {
    match &*app.send(login("acme", ADA, password)).await.code() {
        "AUTH_008" => true,
        "AUTH_005" | "none" => false,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a3_the_right_password_is_refused_while_locked_and_the_lock_ends_on_time() {
    let app = TestApp::start(crate::routes()).await;
    acme(&app).await;
    fail(&app, 5).await;
    let locked = app.send(login("acme", ADA, PASSWORD)).await;
    assert_eq!(status_and_code(&locked), (429, "AUTH_008".into()));
    let left: u16 = locked.header("retry-after").parse().unwrap();
    assert!((890..=900).contains(&left), "{left}");
    app.clock.advance(Duration::minutes(10));
    let later = app.send(login("acme", ADA, PASSWORD)).await;
    let left: u16 = later.header("retry-after").parse().unwrap();
    assert!((290..=300).contains(&left), "{left}");
    app.clock.advance(Duration::seconds(280));
    assert!(is_locked(&app, PASSWORD).await);
    app.clock.advance(Duration::seconds(20));
    assert!(!is_locked(&app, PASSWORD).await);
    let failed = "AUTH_005";
    assert_eq!(refusals(&app, "auth.login").await, [failed, failed, failed, failed, failed, "AUTH_008"]);
}

#[tokio::test]
async fn who_goes_on_trying_does_not_extend_the_lock_nor_flood_the_trail() {
    let app = TestApp::start(crate::routes()).await;
    acme(&app).await;
    fail(&app, 5).await;
    for _ in 0..14 {
        app.clock.advance(Duration::minutes(1));
        assert!(is_locked(&app, "not the password").await);
    }
    app.clock.advance(Duration::minutes(1));
    assert!(!is_locked(&app, PASSWORD).await);
    assert_eq!(refusals(&app, "auth.login").await.len(), 6, "five failures and one lock");
}

#[tokio::test]
async fn a_lock_is_counted_when_it_begins_and_when_it_refuses() {
    let app = TestApp::start(crate::routes()).await;
    acme(&app).await;
    fail(&app, 4).await;
    for metric in ["account_locked", "refused_while_locked"] {
        let answer = app.send(login("acme", ADA, "not the password")).await;
        let line = answer.request_line();
        assert_eq!(line[metric], 1);
        assert!(line["_aws"].to_string().contains(metric), "{line}");
    }
    let outcome = "SELECT outcome FROM audit_events WHERE reason = 'AUTH_008'";
    let outcome: String = sqlx::query_scalar(outcome).fetch_one(&mut app.superuser().await).await.unwrap();
    assert_eq!(outcome, "denied");
}

#[tokio::test]
async fn unknown_accounts_and_organizations_are_locked_just_alike() {
    let app = TestApp::start(crate::routes()).await;
    acme(&app).await;
    let mut answers = Vec::new();
    for (tenant, email) in [("acme", ADA), ("acme", "eve@acme.example"), ("nobody", ADA)] {
        let mut of_one = Vec::new();
        for _ in 0..6 {
            of_one.push(app.send(login(tenant, email, "not the password").header("x-request-id", "one")).await);
        }
        answers.push(of_one);
    }
    for of_one in &answers {
        let statuses: Vec<_> = of_one.iter().map(|answer| answer.status.as_u16()).collect();
        assert_eq!(statuses, [401, 401, 401, 401, 401, 429]);
        for (answer, first) in of_one.iter().zip(&answers[0]) {
            assert_eq!(answer.bytes, first.bytes);
            assert_eq!(answer.headers.keys().collect::<Vec<_>>(), first.headers.keys().collect::<Vec<_>>());
        }
    }
    let locks: Vec<String> = refusals(&app, "auth.login").await.into_iter().filter(|code| code == "AUTH_008").collect();
    assert_eq!(locks.len(), 3, "each is in a trail");
}

#[tokio::test]
async fn attempts_are_counted_over_a_quarter_of_an_hour_and_until_a_session_begins() {
    let app = TestApp::start(crate::routes()).await;
    acme(&app).await;
    fail(&app, 1).await;
    app.clock.advance(Duration::minutes(14));
    fail(&app, 3).await;
    app.clock.advance(Duration::minutes(2));
    fail(&app, 1).await;
    assert!(!is_locked(&app, PASSWORD).await, "the first one is out of the window, so this is the fifth");
    fail(&app, 4).await;
    assert!(!is_locked(&app, PASSWORD).await, "the session before cleared the counter");
    fail(&app, 5).await;
    assert!(is_locked(&app, PASSWORD).await);
}

#[tokio::test]
async fn a_lock_is_of_one_account_and_never_of_its_sessions() {
    let app = TestApp::start(crate::routes()).await;
    let pair = acme(&app).await;
    fail(&app, 5).await;
    assert!(is_locked(&app, PASSWORD).await);
    let pair = Pair::of(&app.send(refresh(&pair.refresh)).await);
    assert_eq!(me(&app, &pair.access).await, "none");
    assert_eq!(app.send(login("acme", "eve@acme.example", PASSWORD)).await.code(), "AUTH_005");
    assert_eq!(app.send(login("other", ADA, PASSWORD)).await.code(), "AUTH_005");
}

#[tokio::test]
async fn a_counter_names_neither_an_account_nor_an_organization() {
    let app = TestApp::start(crate::routes()).await;
    app.send(login("a-secret-clinic", "eve@acme.example", PASSWORD)).await;
    let dump = dump(&app).await;
    assert!(!dump.contains("a-secret-clinic") && !dump.contains("eve@acme.example"));
}

/// How many of fifty wrong passwords at once were evaluated, and refused
/// unseen, by two environments over one database.
async fn fifty_at_once(one: &TestApp<Auth>, other: &TestApp<Auth>) -> [usize; 2] {
    let sent = (0..50).map(|index| {
        let app = if index % 2 == 0 { one } else { other };
        app.send(login("acme", ADA, &format!("not the password {index}")))
    });
    let answers = join_all(sent).await;
    for answer in &answers {
        assert!([401, 429].contains(&answer.status.as_u16()), "{} {:?}", answer.code(), answer.log);
    }
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    [count(401), count(429)]
}

async fn two_environments() -> [TestApp<Auth>; 2] {
    // No more than a busy machine connects in the two seconds that a request waits.
    let settings = [("AWS_LAMBDA_MAX_CONCURRENCY", "4")];
    let (database, keys) = (Arc::new(TestDatabase::create().await), Arc::new(TestKeys::generate("test-key")));
    let one = TestApp::start_with(crate::routes(), database.clone(), keys.clone(), &settings).await;
    [one, TestApp::start_with(crate::routes(), database, keys, &settings).await]
}

#[tokio::test]
async fn a2_of_fifty_wrong_passwords_at_once_five_are_evaluated() {
    let [one, other] = two_environments().await;
    acme(&one).await;
    assert_eq!(fifty_at_once(&one, &other).await, [5, 45]);
    let reasons = refusals(&one, "auth.login").await;
    assert_eq!(reasons.iter().filter(|reason| *reason == "AUTH_005").count(), 5);
    assert_eq!(reasons.iter().filter(|reason| *reason == "AUTH_008").count(), 1);
    assert!(is_locked(&other, PASSWORD).await);
}

#[tokio::test]
#[ignore = "a minute or two: `make soak`"]
async fn a2_of_fifty_wrong_passwords_at_once_five_are_evaluated_a_hundred_times_of_a_hundred() {
    let [one, other] = two_environments().await;
    acme(&one).await;
    for run in 0..100 {
        forget_attempts(&one).await;
        assert_eq!(fifty_at_once(&one, &other).await, [5, 45], "run {run}");
    }
}

#[tokio::test]
async fn a_success_that_fails_to_commit_leaves_the_attempt_reserved() {
    let app = TestApp::start(crate::routes()).await;
    acme(&app).await;
    fail(&app, 4).await;
    sql(&app, "ALTER TABLE sessions ADD CONSTRAINT none CHECK (false) NOT VALID").await;
    assert_eq!(app.send(login("acme", ADA, PASSWORD)).await.status, 500);
    assert!(is_locked(&app, PASSWORD).await);
}

#[tokio::test]
async fn the_counters_are_reached_by_their_functions_alone_and_cleaned_up_in_batches() {
    let database = TestDatabase::create().await;
    let mut runtime = database.runtime().await;
    for table in ["app.sign_in_attempts", "app.request_counts"] {
        for statement in ["SELECT FROM", "DELETE FROM", "TRUNCATE"] {
            let refused =
                sqlx::raw_sql(sqlx::AssertSqlSafe(format!("{statement} {table}"))).execute(&mut runtime).await;
            let code = refused.unwrap_err().into_database_error().and_then(|error| error.code().map(Into::into));
            assert_eq!(code, Some("42501".to_owned()), "{statement} {table}");
        }
    }
    let fill = "SELECT app.reserve_attempt(sha256(n::text::bytea), now() - age),
                       app.count_request(sha256(n::text::bytea), now() - age, 60)
                  FROM generate_series(1, 10) AS n, LATERAL (SELECT CASE WHEN n <= 7 THEN interval '17 minutes' ELSE '0' END) AS a(age)";
    sqlx::query(fill).fetch_all(&mut runtime).await.unwrap();
    let mut deleted = Vec::new();
    for _ in 0..4 {
        let cleaned = sqlx::query_scalar::<_, i32>("SELECT app.clean_up_attempts(5)").fetch_one(&mut runtime).await;
        deleted.push(cleaned.unwrap());
    }
    assert_eq!(deleted, [5, 5, 4, 0], "what is in use stays");
}

#[tokio::test]
async fn no_one_can_enter_nobody() {
    let app = TestApp::start(crate::routes()).await;
    let answer = app.send(login("-nobody-", ADA, PASSWORD)).await;
    assert_eq!(status_and_code(&answer), (422, "VAL_001".into()));
    app.send(login("unknown", ADA, PASSWORD)).await;
    let user = "INSERT INTO users (tenant_id, id, email, display_name, role)
                SELECT id, id, 'a@b.example', 'A', 'admin' FROM tenants WHERE slug = '-nobody-'";
    let refused = sqlx::query(user).execute(&mut app.superuser().await).await.unwrap_err();
    assert!(refused.to_string().contains("users_not_of_nobody"), "{refused}");
    let trail = app.trail(uuid::Uuid::nil()).await;
    let reasons: Vec<_> = trail.iter().map(|record| (&*record.0, record.2.as_deref().unwrap())).collect();
    assert_eq!(reasons, [("auth.login", "VAL_001"), ("auth.login", "AUTH_005")]);
}
