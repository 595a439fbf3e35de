use serde_json::{Value, json};
use shared::{
    testing::{Event, TestApp, TestDatabase, TestKeys},
    text::Email,
};

use crate::{
    Auth,
    trial::{PASSWORD, Pair, acme, concurrent, counts, dump, login, me, signup, sql},
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
async fn a4_a_password_is_taken_whole_or_not_at_all() {
    let app = TestApp::start(crate::routes()).await;
    let ideographs = |count: usize| ('\u{4e00}'..).step_by(7).take(count).collect::<String>();
    for (slug, password) in [
        ("twelve", ideographs(12)),
        ("the-most", ideographs(128)),
        // 24 scalar values, 12 after NFC.
        ("composed", "aeiouyaouiey".chars().flat_map(|c| [c, '\u{308}']).collect()),
        ("odd", "\u{1}\u{202e}🦀 \u{7f}\t\u{feff}\u{10ffff} ß漢\n".to_owned()),
    ] {
        let mut body = signup(slug);
        body["password"] = password.clone().into();
        let answer = app.send(Event::post(PATH, &body)).await;
        assert_eq!(answer.status, 201, "{slug}: {:?}", answer.log);
        assert_eq!(app.send(login(slug, "ada@acme.example", &password)).await.status, 200, "{slug}");
        let mut cut = password;
        cut.pop();
        assert_eq!(app.send(login(slug, "ada@acme.example", &cut)).await.code(), "AUTH_005", "{slug}");
    }
    for password in [ideographs(11), ideographs(129), format!("{}\0", ideographs(12)), "a\u{308}".repeat(11)] {
        let mut body = signup("refused");
        body["password"] = password.into();
        let answer = app.send(Event::post(PATH, &body)).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (422, "VAL_001"), "{body}");
    }
}

#[tokio::test]
async fn a_password_that_is_common_or_the_accounts_own_name_is_refused_with_advice() {
    let app = TestApp::start(crate::routes()).await;
    for (password, advice) in [
        ("passwordpassword", "must be harder to guess"),
        ("P@ssw0rd2024!!", "must be harder to guess"),
        ("123456789012", "must be harder to guess"),
        ("ada@acme.example", "must not be made of"),
        ("countess-lovelace!", "must not be made of"),
        ("northwind-7-north", "must not be made of"),
        ("!!CinilcEmca!!", "must not be made of"),
        ("Acme-Clinic-77", "must not be made of"),
    ] {
        let mut body = signup("northwind");
        (body["password"], body["display_name"]) = (password.into(), "Countess Lovelace".into());
        let answer = app.send(Event::post(PATH, &body)).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (422, "VAL_001"), "{password}");
        let field = &answer.json()["error"]["fields"][0];
        assert_eq!(field["field"], "password");
        assert!(field["message"].as_str().unwrap().starts_with(advice), "{password}: {field}");
        assert!(!format!("{answer:?}").contains(password));
    }
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
    assert!(dump.contains("ada@acme.example") && dump.contains("$argon2id$v=19$m=65536,t=3,p=4,keyid=MQ$"));
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
