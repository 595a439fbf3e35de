use serde_json::{Value, json};
use shared::{
    testing::{Event, TestApp, TestDatabase, TestKeys},
    text::Email,
};

use crate::{
    Auth,
    trial::{PASSWORD, Pair, acme, concurrent, counts, dump, me, signup, sql},
};

const PATH: &str = "/api/v1/auth/signup";

#[tokio::test]
async fn sign_up_makes_a_tenant_and_signs_its_first_admin_in() {
    let app = TestApp::start(crate::routes()).await;
    let answer = app.send(Event::post(PATH, &signup("acme"))).await;
    assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (201, "no-store"));
    assert_eq!(me(&app, &Pair::of(&answer).access).await, "none");
    let body = answer.json();
    insta::assert_json_snapshot!(body, {
        ".access_token" => "[token]", ".refresh_token" => "[token]", ".**.id" => "[id]",
        ".user.created_at" => "[time]", ".user.updated_at" => "[time]", ".user.last_login_at" => "[time]",
    }, @r#"
    {
      "access_token": "[token]",
      "expires_in": 900,
      "refresh_expires_in": 604800,
      "refresh_token": "[token]",
      "tenant": {
        "id": "[id]",
        "name": "Acme Clinic",
        "slug": "acme",
        "status": "active"
      },
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
    let tenant = body["tenant"]["id"].as_str().unwrap().parse().unwrap();
    let trail = app.trail(tenant).await;
    assert_eq!(trail.len(), 1);
    assert_eq!((&*trail[0].0, &*trail[0].1, &trail[0].2), ("auth.signup", "success", &None));
}

#[tokio::test]
async fn sign_up_is_closed_unless_it_was_opened() {
    for setting in ["closed", ""] {
        let keys = TestKeys::generate("test-key").into();
        let database = TestDatabase::create().await;
        let app: TestApp<Auth> = TestApp::start_with(crate::routes(), database, keys, &[("SIGNUP", setting)]).await;
        let answer = app.send(Event::post(PATH, &signup("acme"))).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (403, "AUTH_009"));
        assert_eq!(counts(&app).await, [0; 5]);
    }
}

#[tokio::test]
async fn a_taken_slug_is_a_conflict_at_its_field_and_leaves_nothing_behind() {
    let app = TestApp::start(crate::routes()).await;
    acme(&app).await;
    let before = counts(&app).await;
    let answer = app.send(Event::post(PATH, &signup("acme"))).await;
    assert_eq!((answer.status.as_u16(), &*answer.code()), (409, "RES_002"));
    let fields = json!([{ "field": "organization.slug", "message": "is taken" }]);
    assert_eq!(answer.json()["error"]["fields"], fields);
    assert_eq!(counts(&app).await, before);
    let other = app.send(Event::post(PATH, &signup("other"))).await;
    assert_eq!(other.status, 201, "the same address may stand in another tenant: {:?}", other.log);
}

#[tokio::test]
async fn two_at_once_for_one_slug_make_one_tenant() {
    let app = concurrent().await;
    let event = || app.send(Event::post(PATH, &signup("acme")));
    let (one, other) = tokio::join!(event(), event());
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    assert_eq!(counts(&app).await, [1; 5]);
}

#[tokio::test]
async fn a_sign_up_that_cannot_be_recorded_does_not_happen() {
    let app = TestApp::start(crate::routes()).await;
    sql(&app, "ALTER TABLE audit_events ADD CONSTRAINT full_disk CHECK (false)").await;
    let answer = app.send(Event::post(PATH, &signup("acme"))).await;
    assert_eq!((answer.status.as_u16(), &*answer.code()), (503, "SYS_002"));
    assert_eq!(counts(&app).await, [0; 5]);
}

#[tokio::test]
async fn every_field_is_checked_and_named() {
    let app = TestApp::start(crate::routes()).await;
    let long = |length: usize| "x".repeat(length);
    for (pointer, value, field) in [
        ("/organization", json!(null), "organization"),
        ("/organization/slug", json!("Acme"), "organization.slug"),
        ("/organization/slug", json!(""), "organization.slug"),
        ("/organization/slug", json!(long(64)), "organization.slug"),
        ("/organization/slug", json!(7), "organization.slug"),
        ("/organization/name", json!(" "), "organization.name"),
        ("/organization/name", json!("a\0b"), "organization.name"),
        ("/organization/name", json!(long(201)), "organization.name"),
        ("/email", json!("ada"), "email"),
        ("/email", json!("a\0@acme.example"), "email"),
        ("/email", json!(format!("{}@acme.example", long(242))), "email"),
        ("/password", json!("elevenchars"), "password"),
        ("/password", json!(long(129)), "password"),
        ("/password", json!("twelve chars\0"), "password"),
        ("/password", json!(123_456_789_012_u64), "password"),
        ("/display_name", json!(""), "display_name"),
        ("/display_name", json!(long(201)), "display_name"),
    ] {
        let mut body = signup("acme");
        *body.pointer_mut(pointer).unwrap() = value;
        let answer = app.send(Event::post(PATH, &body)).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (422, "VAL_001"), "{body}");
        assert_eq!(answer.json()["error"]["fields"][0]["field"], field, "{body}");
    }
    for (removed, field) in [("email", "email"), ("password", "password"), ("organization", "organization")] {
        let mut body = signup("acme");
        body.as_object_mut().unwrap().remove(removed);
        assert_eq!(app.send(Event::post(PATH, &body)).await.json()["error"]["fields"][0]["field"], field);
    }
    let mut body = signup("acme");
    body["organization"]["role"] = "admin".into();
    let answer = app.send(Event::post(PATH, &body)).await;
    assert_eq!(answer.json()["error"]["fields"][0]["field"], "organization.role");
    assert_eq!(counts(&app).await, [0; 5]);
}

#[tokio::test]
async fn the_password_stands_nowhere_in_plain() {
    let app = TestApp::start(crate::routes()).await;
    let answer = app.send(Event::post(PATH, &signup("acme"))).await;
    assert!(!format!("{:?}", answer.log).contains(PASSWORD));
    assert!(!String::from_utf8_lossy(&answer.bytes).contains(PASSWORD));
    let mut body = signup("other");
    body["pass"] = PASSWORD.into();
    let refused = app.send(Event::post(PATH, &body)).await;
    assert!(!format!("{refused:?}").contains(PASSWORD));
    let dump = dump(&app).await;
    assert!(dump.contains("ada@acme.example") && dump.contains("$argon2id$v=19$m=65536,t=3,p=4$"));
    assert!(!dump.contains(PASSWORD));
}

#[tokio::test]
async fn an_address_that_is_accepted_is_lower_case_to_the_database_too() {
    let app = TestApp::start(crate::routes()).await;
    let every = ('\0'..=char::MAX).filter_map(|c| Email::try_from(format!("{c}@acme.example")).ok());
    let every: Vec<String> = every.map(|email| email.to_string()).collect();
    let refused: Vec<String> = sqlx::query_scalar("SELECT e FROM unnest($1::text[]) AS e WHERE e <> lower(e)")
        .bind(every)
        .fetch_all(&mut app.superuser().await)
        .await
        .unwrap();
    assert_eq!(refused, Vec::<String>::new());
}

#[tokio::test]
async fn the_longest_address_signs_up_without_a_display_name() {
    let app = TestApp::start(crate::routes()).await;
    let mut body = signup("acme");
    body["email"] = format!("{}@acme.example", "x".repeat(241)).into();
    body["display_name"] = Value::Null;
    let answer = app.send(Event::post(PATH, &body)).await;
    assert_eq!(answer.status, 201, "{:?}", answer.log);
    assert_eq!(answer.json()["user"]["display_name"], "x".repeat(200));
}
