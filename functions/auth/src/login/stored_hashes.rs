use std::time::{Duration, Instant};

use futures_util::future::join_all;
use shared::testing::{TestApp, TestDatabase, TestKeys};
use sqlx::Executor;

use crate::{
    Auth,
    trial::{PASSWORD, acme, concurrent, counts, forget_attempts, login, sql},
};

const ADA: &str = "ada@acme.example";
const CURRENT: &str = "$argon2id$v=19$m=65536,t=3,p=4,keyid=MQ$";
/// Of `PASSWORD`, by libxcrypt.
const BCRYPT: &str = "$2b$05$abcdefghijklmnopqrstuuIAMotokjvqxS37l/xxPOkoAA/z9PVFG";
/// Of `password`.
const OTHER: &str = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

async fn store(app: &TestApp<Auth>, hash: &str) {
    forget_attempts(app).await;
    let mut superuser = app.superuser().await;
    sqlx::query("UPDATE users SET password_hash = $1").bind(hash).execute(&mut superuser).await.unwrap();
}

async fn stored(app: &TestApp<Auth>) -> String {
    sqlx::query_scalar("SELECT password_hash FROM users").fetch_one(&mut app.superuser().await).await.unwrap()
}

#[tokio::test]
async fn an_imported_hash_opens_its_account_and_is_upgraded_by_that_login() {
    let app = TestApp::start(crate::routes()).await;
    acme(&app).await;
    for (password, imported) in [
        (PASSWORD, "$2a$04$abcdefghijklmnopqrstuubFqBsPwzOMwCRDofARopP7A8rQL0wdu"),
        (PASSWORD, BCRYPT),
        (PASSWORD, "$2y$06$abcdefghijklmnopqrstuuMM2WY3hywXWbrAFXK1YPdEELrhzR1uW"),
        // The policy is for new passwords.
        ("password", "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA"),
        ("password", OTHER),
    ] {
        store(&app, imported).await;
        assert_eq!(app.send(login("acme", ADA, "not the password")).await.code(), "AUTH_005");
        assert_eq!(stored(&app).await, imported, "a wrong password changes nothing");
        let answer = app.send(login("acme", ADA, password)).await;
        assert_eq!(answer.status, 200, "{imported}: {:?}", answer.log);
        assert_eq!(answer.json()["user"]["version"], 1, "the user is the same");
        let upgraded = stored(&app).await;
        assert!(upgraded.starts_with(CURRENT), "{upgraded}");
        assert_eq!(app.send(login("acme", ADA, password)).await.status, 200);
        assert_eq!(stored(&app).await, upgraded, "a current one stays");
    }
}

#[tokio::test]
async fn an_upgrade_is_audited_as_the_login_that_it_is() {
    let app = TestApp::start(crate::routes()).await;
    acme(&app).await;
    store(&app, BCRYPT).await;
    for _ in 0..2 {
        assert_eq!(app.send(login("acme", ADA, PASSWORD)).await.status, 200);
    }
    let records: Vec<(String, String, Option<String>, bool, bool)> = sqlx::query_as(
        "SELECT action, outcome, reason, object_id IS NULL, actor_id IS NULL FROM audit_events ORDER BY seq DESC LIMIT 2",
    )
    .fetch_all(&mut app.superuser().await)
    .await
    .unwrap();
    assert_eq!((&*records[0].0, &*records[0].1), ("auth.login", "success"));
    assert_eq!(records[0], records[1]);
    assert_eq!(counts(&app).await[4], 3, "sign-up and two logins, a record each");
}

#[tokio::test]
async fn only_a_login_that_succeeds_upgrades() {
    let app = TestApp::start(crate::routes()).await;
    acme(&app).await;
    store(&app, BCRYPT).await;
    for (statement, code) in [
        ("UPDATE users SET status = 'inactive'", "AUTH_005"),
        ("UPDATE users SET status = 'active'; UPDATE tenants SET status = 'suspended'", "TEN_004"),
        (
            "UPDATE tenants SET status = 'active'; ALTER TABLE audit_events ADD CONSTRAINT full_disk CHECK (false) NOT VALID",
            "SYS_002",
        ),
    ] {
        sql(&app, statement).await;
        assert_eq!(app.send(login("acme", ADA, PASSWORD)).await.code(), code);
        assert_eq!(stored(&app).await, BCRYPT, "{code}");
    }
}

#[tokio::test]
async fn a_password_that_is_changed_meanwhile_is_not_put_back() {
    let app = TestApp::start(crate::routes()).await;
    acme(&app).await;
    store(&app, BCRYPT).await;
    let mut changing = app.superuser().await;
    changing.execute("BEGIN").await.unwrap();
    sqlx::query("UPDATE users SET password_hash = $1").bind(OTHER).execute(&mut changing).await.unwrap();
    let commit = async {
        let waits =
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
        let (mut watching, start) = (app.superuser().await, Instant::now());
        while sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut watching).await.unwrap() == 0 {
            assert!(start.elapsed() < Duration::from_secs(8), "the login came as far as its own change");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        changing.execute("COMMIT").await.unwrap();
    };
    let (answer, ()) = tokio::join!(app.send(login("acme", ADA, PASSWORD)), commit);
    assert_eq!((answer.status.as_u16(), &*stored(&app).await), (401, OTHER));
}

#[tokio::test]
async fn two_sign_ins_at_once_are_both_right_though_one_replaces_the_hash() {
    let app = concurrent().await;
    acme(&app).await;
    store(&app, BCRYPT).await;
    let (one, other) = tokio::join!(app.send(login("acme", ADA, PASSWORD)), app.send(login("acme", ADA, PASSWORD)));
    assert_eq!((one.code(), other.code()), ("none".into(), "none".into()), "{:?} {:?}", one.log, other.log);
    assert_eq!(counts(&app).await, [1, 1, 3, 3, 3], "a session and a record each");
    assert!(stored(&app).await.starts_with(CURRENT));
}

#[tokio::test]
async fn a_rotated_pepper_comes_into_a_hash_at_the_next_login() {
    let app = TestApp::start(crate::routes()).await;
    acme(&app).await;
    let first = stored(&app).await;
    assert!(first.starts_with(CURRENT), "{first}");
    let setting = [("PASSWORD_PEPPER_SECRET_ID", "password-pepper-rotated")];
    let rotated: TestApp<Auth> =
        TestApp::start_with(crate::routes(), app.database.clone(), app.keys.clone(), &setting).await;
    assert_eq!(rotated.send(login("acme", ADA, "not the password")).await.code(), "AUTH_005");
    assert_eq!(stored(&app).await, first);
    assert_eq!(rotated.send(login("acme", ADA, PASSWORD)).await.status, 200);
    let second = stored(&app).await;
    assert!(second.starts_with(&CURRENT.replace("MQ", "Mg")), "{second}");
    assert_eq!(rotated.send(login("acme", ADA, PASSWORD)).await.status, 200);
    // Without the key that it names, it is our fault and not the user's.
    let answer = app.send(login("acme", ADA, PASSWORD)).await;
    assert_eq!((answer.status.as_u16(), &*answer.code()), (500, "SYS_001"));
}

#[tokio::test]
async fn a5_a_corrupt_or_huge_stored_hash_is_our_fault_and_costs_nothing() {
    let app = TestApp::start(crate::routes()).await;
    acme(&app).await;
    let salt = "c29tZXNhbHRzb21lc2FsdA";
    let hash = "RdescudvJCsgt3ub+b4dWRWJTmaaJObGRdescudvJCs";
    for corrupt in [
        String::new(),
        "not a hash".to_owned(),
        "$argon2id$v=19$m=65536,t=3,p=4$".to_owned(),
        format!("$argon2id$v=19$m=65536,t=3,p=4${salt}"),
        format!("$argon2id$v=19$m=65536,t=3,p=4${salt}$RdescudvJCsgt3ub"),
        format!("$argon2id$v=19$m=4294967295,t=3,p=4${salt}${hash}"),
        format!("$argon2id$v=19$m=65537,t=3,p=4${salt}${hash}"),
        format!("$argon2id$v=19$m=65536,t=4294967295,p=4${salt}${hash}"),
        format!("$argon2id$v=19$m=65536,t=11,p=4${salt}${hash}"),
        format!("$argon2id$v=19$m=65536,t=3,p=17${salt}${hash}"),
        format!("$argon2id$v=19$m=65536,t=3,p=4,keyid=OQ${salt}${hash}"),
        format!("$argon2d$v=19$m=65536,t=3,p=4${salt}${hash}"),
        format!("$2b$15${}", &BCRYPT[7..]),
        format!("$2b$12${}", "x".repeat(54)),
        format!("$argon2id$v=19$m=65536,t=3,p=4${salt}${}", "A".repeat(10 * 1024 * 1024)),
    ] {
        store(&app, &corrupt).await;
        let start = Instant::now();
        let answer = app.send(login("acme", ADA, PASSWORD)).await;
        let shown: String = corrupt.chars().take(80).collect();
        assert_eq!((answer.status.as_u16(), &*answer.code()), (500, "SYS_001"), "{shown}");
        assert!(start.elapsed().as_secs_f64() < 1.0, "{shown}: {:?}", start.elapsed());
        assert!(!format!("{answer:?}").contains(salt), "{:?}", answer.log);
    }
}

#[tokio::test]
async fn whoever_would_wait_for_a_hash_beyond_the_deadline_is_told_so_by_then() {
    // One processor, and requests that come together.
    let settings = [
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024"),
        ("AWS_LAMBDA_MAX_CONCURRENCY", "20"),
        ("REQUEST_TIMEOUT_MS", "2000"),
    ];
    let (database, keys) = (TestDatabase::create().await, TestKeys::generate("test-key").into());
    let app: TestApp<Auth> = TestApp::start_with(crate::routes(), database, keys, &settings).await;
    acme(&app).await;
    let start = Instant::now();
    // Each at an account of its own, none of which is locked.
    let login_of = |number| login("acme", &format!("user-{number}@acme.example"), "not the password");
    let answers = join_all((0..200).map(|number| app.send(login_of(number)))).await;
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    let with = |code: &str| answers.iter().filter(|answer| answer.code() == code).count();
    let (evaluated, late) = (with("AUTH_005"), with("SYS_006"));
    assert!(evaluated > 0 && late > 0 && evaluated + late == 200, "{evaluated} evaluated, {late} late");
    assert!(answers.iter().all(|answer| answer.code() != "SYS_006" || answer.status == 503));
    assert_eq!(app.send(login("acme", ADA, PASSWORD)).await.status, 200, "and nobody stands in line any more");
}
