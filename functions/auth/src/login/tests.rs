use serde_json::json;
use shared::testing::{Event, TestApp, TestDatabase, TestKeys};

use crate::{
    Auth,
    trial::{PASSWORD, Pair, acme, counts, dump, forget_attempts, login, me, refusals, sql},
};

const ADA: &str = "ada@acme.example";

#[tokio::test]
async fn the_right_password_begins_a_session() {
    let app = TestApp::start(crate::routes()).await;
    let first = acme(&app).await;
    let answer = app.send(login("acme", " Ada@ACME.example ", PASSWORD)).await;
    assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (200, "no-store"));
    let pair = Pair::of(&answer);
    assert_ne!(pair, first);
    assert_eq!((me(&app, &pair.access).await, me(&app, &first.access).await), ("none".into(), "none".into()));
    insta::assert_json_snapshot!(answer.json(), {
        ".access_token" => "[token]", ".refresh_token" => "[token]", ".user.id" => "[id]",
        ".user.created_at" => "[time]", ".user.updated_at" => "[time]", ".user.last_login_at" => "[time]",
    }, @r#"
    {
      "access_token": "[token]",
      "expires_in": 900,
      "refresh_expires_in": 604800,
      "refresh_token": "[token]",
      "token_type": "Bearer",
      "user": {
        "created_at": "[time]",
        "display_name": "Ada",
        "email": "ada@acme.example",
        "id": "[id]",
        "last_login_at": "[time]",
        "role": "admin",
        "status": "active",
        "updated_at": "[time]",
        "version": 1
      }
    }
    "#);
    let seen = app.send(Event::get("/api/v1/auth/me").bearer(&pair.access)).await.json()["user"].clone();
    assert_eq!(seen, answer.json()["user"], "the row says what the answer said");
    assert!(seen["last_login_at"].as_str() > seen["created_at"].as_str());
    assert!(!format!("{:?}", answer.log).contains(PASSWORD) && !dump(&app).await.contains(PASSWORD));
}

#[tokio::test]
async fn a1_whatever_is_wrong_with_the_credentials_gets_one_answer() {
    let app = TestApp::start(crate::routes()).await;
    acme(&app).await;
    let mut answers = Vec::new();
    for (tenant, email, password) in [
        ("nobody", ADA, PASSWORD),
        ("acme", "eve@acme.example", PASSWORD),
        ("acme", ADA, "not the password"),
        ("acme", ADA, ""),
        ("acme", ADA, "a\0b"),
    ] {
        answers.push(app.send(login(tenant, email, password).header("x-request-id", "one")).await);
    }
    forget_attempts(&app).await;
    let before = counts(&app).await;
    for statement in [
        "UPDATE users SET status = 'inactive'",
        "UPDATE users SET status = 'active', password_hash = NULL",
        "UPDATE tenants SET status = 'suspended'",
    ] {
        sql(&app, statement).await;
        answers.push(app.send(login("acme", ADA, PASSWORD).header("x-request-id", "one")).await);
    }
    for answer in &answers {
        assert_eq!((answer.status.as_u16(), &*answer.code()), (401, "AUTH_005"), "{:?}", answer.log);
        assert_eq!((&answer.bytes, &answer.headers), (&answers[0].bytes, &answers[0].headers));
    }
    assert_eq!(counts(&app).await[..4], before[..4], "no session began");
    assert_eq!(refusals(&app, "auth.login").await, ["AUTH_005"; 8], "the unknown tenant's too");
}

#[tokio::test]
async fn a_refusal_names_the_user_where_there_is_one() {
    let app = TestApp::start(crate::routes()).await;
    acme(&app).await;
    app.send(login("acme", "eve@acme.example", PASSWORD)).await;
    app.send(login("acme", ADA, "not the password").header("x-request-id", "the-second")).await;
    let records: Vec<(String, Option<String>, String, String, bool)> = sqlx::query_as(
        "SELECT outcome, request_id, reason, source_address, actor_id = (SELECT id FROM users) IS TRUE
           FROM audit_events WHERE action = 'auth.login' ORDER BY seq",
    )
    .fetch_all(&mut app.superuser().await)
    .await
    .unwrap();
    let expected = |by_ada| ("denied".to_owned(), "AUTH_005".to_owned(), "203.0.113.7".to_owned(), by_ada);
    let found: Vec<_> = records.iter().map(|r| (r.0.clone(), r.2.clone(), r.3.clone(), r.4)).collect();
    assert_eq!(found, [expected(false), expected(true)]);
    assert_eq!(records[1].1.as_deref(), Some("the-second"));
}

#[tokio::test]
async fn only_an_active_user_with_its_password_learns_that_the_tenant_is_suspended() {
    let app = TestApp::start(crate::routes()).await;
    acme(&app).await;
    sql(&app, "UPDATE tenants SET status = 'suspended'").await;
    let right = app.send(login("acme", ADA, PASSWORD)).await;
    assert_eq!((right.status.as_u16(), &*right.code()), (403, "TEN_004"));
    assert_eq!(app.send(login("acme", ADA, "not the password")).await.code(), "AUTH_005");
    sql(&app, "UPDATE users SET status = 'inactive'").await;
    assert_eq!(app.send(login("acme", ADA, PASSWORD)).await.code(), "AUTH_005");
    assert_eq!(refusals(&app, "auth.login").await, ["TEN_004", "AUTH_005", "AUTH_005"]);
    assert_eq!(counts(&app).await[2], 1, "no session began");
}

#[tokio::test]
async fn an_unknown_field_and_a_missing_one_are_named() {
    let app = TestApp::start(crate::routes()).await;
    let good = json!({ "tenant": "acme", "email": ADA, "password": PASSWORD });
    for (field, value) in [("tenant", json!("No Slug")), ("email", json!("ada")), ("role", json!("admin"))] {
        let mut body = good.clone();
        body[field] = value;
        let answer = app.send(Event::post("/api/v1/auth/login", &body)).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]["fields"][0]["field"]), (422, &json!(field)));
    }
    let answer = app.send(Event::post("/api/v1/auth/login", &json!({ "tenant": "acme", "email": ADA }))).await;
    assert_eq!(answer.json()["error"]["fields"], json!([{ "field": "password", "message": "is required" }]));
}

#[tokio::test]
async fn an_outage_of_the_database_is_503_and_never_401() {
    let keys = TestKeys::generate("test-key").into();
    let database = TestDatabase::create().await;
    let app: TestApp<Auth> = TestApp::start_with(crate::routes(), database, keys, &[("DATABASE_PORT", "9")]).await;
    let token = "AAAA".repeat(20);
    let signup = Event::post("/api/v1/auth/signup", &crate::trial::signup("acme"));
    for event in [login("acme", ADA, PASSWORD), signup, crate::trial::refresh(&token)] {
        let answer = app.send(event).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (503, "SYS_002"));
    }
}

#[tokio::test]
async fn a_server_that_cannot_do_its_work_is_an_outage_and_no_fault_of_ours() {
    let app = TestApp::start(crate::routes()).await;
    acme(&app).await;
    // Out of disk, of memory, of connections; a failed read or write of a file.
    for state in ["53100", "53200", "53300", "58000", "58030", "58P01", "25006", "40001"] {
        let failing = format!(
            "CREATE OR REPLACE FUNCTION app.begin_sign_in(attempt bytea, slug text, at timestamptz)
                 RETURNS TABLE (tenant_id uuid, tenant_status text, ordinal integer, locked_seconds integer)
                 LANGUAGE plpgsql VOLATILE ROWS 1
             AS $$ BEGIN RAISE EXCEPTION 'could not read block' USING ERRCODE = '{state}'; END $$"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(failing)).execute(&mut app.superuser().await).await.unwrap();
        let answer = app.send(login("acme", ADA, PASSWORD)).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (503, "SYS_002"), "{state}");
    }
}
