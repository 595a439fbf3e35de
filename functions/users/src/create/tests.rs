use serde_json::{Value, json};
use shared::testing::{Event, TestApp, TestDatabase, TestKeys};
use uuid::Uuid;

use crate::{
    Users,
    trial::{PASSWORD, USERS, created, get, grace, last_record, one, post, with},
};

fn id(user: &Value) -> Uuid {
    user["id"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_new_user_is_answered_whole_and_recorded_once() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let answer = post(&app, &ada, &with(grace(), "email", json!(" Grace@ACME.example "))).await;
    assert_eq!((answer.status.as_u16(), answer.header("etag")), (201, "\"1\""), "{:?}", answer.log);
    let user = answer.json();
    assert_eq!(answer.header("location"), format!("{USERS}/{}", id(&user)));
    insta::assert_json_snapshot!(user, { ".id" => "[id]", ".created_at" => "[time]", ".updated_at" => "[time]" }, @r#"
    {
      "created_at": "[time]",
      "display_name": "Grace Hopper",
      "email": "grace@acme.example",
      "id": "[id]",
      "last_login_at": null,
      "role": "analyst",
      "status": "active",
      "updated_at": "[time]",
      "version": 1
    }
    "#);
    assert_eq!(get(&app, &ada, answer.header("location")).await.json(), user);
    assert_eq!(app.trail(ada.tenant).await, [("users.create".into(), "success".into(), None, Some(id(&user)))]);
}

#[tokio::test]
async fn a_password_is_hashed_and_comes_back_in_no_form() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let answer = post(&app, &ada, &with(grace(), "password", json!(PASSWORD))).await;
    assert_eq!(answer.status, 201, "{:?}", answer.log);
    let text = format!("{answer:?}");
    assert!(!text.contains(PASSWORD) && !text.contains("argon2"));
    let hash: String = one(&app, "SELECT password_hash FROM users WHERE id = $1", id(&answer.json())).await;
    assert!(hash.starts_with("$argon2id$v=19$m=65536,t=3,p=4,keyid=MQ$"), "{hash}");
    let (user, _) =
        created(&app, &ada, &with(with(grace(), "email", json!("b@acme.example")), "password", json!(null))).await;
    let none: Option<String> = one(&app, "SELECT password_hash FROM users WHERE id = $1", id(&user)).await;
    assert_eq!(none, None);
}

#[tokio::test]
async fn a4_a_password_keeps_the_rules_of_sign_up() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("northwind").await;
    for (password, message) in [
        ("elevenchars".to_owned(), "must have 12 to 128 characters"),
        ("x7".repeat(65), "must have 12 to 128 characters"),
        (format!("{PASSWORD}\0"), "must not contain NUL"),
        ("passwordpassword".to_owned(), "must be harder to guess"),
        ("grace@acme.example".to_owned(), "must not be made of"),
        ("hopper-grace-77!".to_owned(), "must not be made of"),
        ("northwind-7-north".to_owned(), "must not be made of"),
    ] {
        let answer = post(&app, &ada, &with(grace(), "password", json!(password))).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (422, "VAL_001"), "{password:?}");
        let field = &answer.json()["error"]["fields"][0];
        assert_eq!(field["field"], "password");
        assert!(field["message"].as_str().unwrap().starts_with(message), "{password:?}: {field}");
        assert!(!format!("{answer:?}").contains(&password));
    }
    let trail = app.trail(ada.tenant).await;
    let refused = ("users.create".into(), "failure".into(), Some("VAL_001".into()), None);
    assert_eq!((trail.len(), trail.iter().all(|record| *record == refused)), (7, true), "one record each");
}

#[tokio::test]
async fn a_field_that_does_not_fit_is_named() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    for (field, value) in [
        ("email", json!(null)),
        ("email", json!("grace")),
        ("email", json!("a\0@acme.example")),
        ("display_name", json!(null)),
        ("display_name", json!("  ")),
        ("display_name", json!("x".repeat(201))),
        ("role", json!(null)),
        ("role", json!("owner")),
        ("role", json!("Admin")),
        ("role", json!(["admin"])),
        ("password", json!(123_456_789_012_u64)),
        ("status", json!("inactive")),
        ("id", json!(Uuid::nil())),
        ("tenant_id", json!(ada.tenant)),
        ("password_hash", json!("x")),
        ("version", json!(7)),
    ] {
        let answer = post(&app, &ada, &with(grace(), field, value.clone())).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (422, "VAL_001"), "{field} {value}");
        assert_eq!(answer.json()["error"]["fields"][0]["field"], field, "{value}");
    }
    for field in ["email", "display_name", "role"] {
        let mut body = grace();
        body.as_object_mut().unwrap().remove(field);
        let answer = post(&app, &ada, &body).await;
        assert_eq!(answer.json()["error"]["fields"], json!([{ "field": field, "message": "is required" }]));
    }
}

#[tokio::test]
async fn an_address_is_one_users_of_a_tenant_and_free_in_another() {
    let app = TestApp::start(crate::routes()).await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    created(&app, &ada, &grace()).await;
    let answer = post(&app, &ada, &with(grace(), "email", json!("GRACE@acme.example"))).await;
    assert_eq!((answer.status.as_u16(), &*answer.code()), (409, "RES_002"));
    let fields = json!([{ "field": "email", "message": "is another user's of this tenant" }]);
    assert_eq!(answer.json()["error"]["fields"], fields);
    let record = ("users.create".into(), "failure".into(), Some("RES_002".into()), None);
    assert_eq!(last_record(&app, ada.tenant).await, record);
    created(&app, &eve, &grace()).await;
}

#[tokio::test]
async fn of_many_at_once_with_one_address_one_is_created() {
    let database = TestDatabase::create().await;
    let keys = TestKeys::generate("test-key").into();
    let settings = [("AWS_LAMBDA_MAX_CONCURRENCY", "10")];
    let app: TestApp<Users> = TestApp::start_with(crate::routes(), database, keys, &settings).await;
    let ada = app.tenant("acme").await;
    let answers = futures_util::future::join_all((0..10).map(async |_| post(&app, &ada, &grace()).await)).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.code() == "RES_002").count(), 9);
}

#[tokio::test]
async fn p3_a_request_that_is_sent_twice_with_its_key_creates_one_user() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let keyed = |body: &Value| Event::post(USERS, body).bearer(&ada.token).header("idempotency-key", "grace-1");
    let body = with(grace(), "password", json!(PASSWORD));
    let (first, second) = (app.send(keyed(&body)).await, app.send(keyed(&body)).await);
    assert_eq!((first.status, second.status.as_u16()), (second.status, 201), "{:?}", second.log);
    assert_eq!((&first.bytes, second.header("idempotency-replayed")), (&second.bytes, "true"));
    assert_eq!((first.header("location"), first.header("etag")), (second.header("location"), second.header("etag")));
    assert_eq!(app.send(keyed(&with(body, "role", json!("admin")))).await.code(), "RES_005");
    let users: i64 = one(&app, "SELECT count(*) FROM users WHERE tenant_id = $1", ada.tenant).await;
    assert_eq!(users, 2, "Ada and Grace");
    let stored: String =
        one(&app, "SELECT string_agg(k::text, '') FROM idempotency_keys k WHERE tenant_id = $1", ada.tenant).await;
    let hex = "67726163654061636d65";
    for plain in ["grace@acme", hex, PASSWORD, "argon2"] {
        assert!(!stored.contains(plain), "{plain}");
    }
}

#[tokio::test]
async fn l3_a_user_whose_creation_cannot_be_recorded_is_not_created() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let full = "ALTER TABLE audit_events ADD CONSTRAINT full_disk CHECK (false) NOT VALID";
    sqlx::raw_sql(full).execute(&mut app.superuser().await).await.unwrap();
    let answer = post(&app, &ada, &grace()).await;
    assert_eq!((answer.status.as_u16(), &*answer.code()), (503, "SYS_002"));
    let users: i64 = one(&app, "SELECT count(*) FROM users WHERE tenant_id = $1", ada.tenant).await;
    assert_eq!(users, 1);
}

fn at(issuer: &str, subject: &str) -> Value {
    json!({ "issuer": issuer, "subject": subject })
}

/// What `app.federated_user` makes of a subject whose provider creates no accounts.
async fn found(app: &TestApp<Users>, tenant: Uuid, subject: &str) -> (Option<Uuid>, Option<String>, Option<String>) {
    let query = "SELECT f.user_id, f.role, f.refused FROM app.enter_tenant($1),
        LATERAL app.federated_user('https://idp.example.com', $2, now(), NULL, 'viewer', false, NULL, NULL,
                                   gen_random_uuid(), gen_random_uuid(), now()) AS f";
    let mut runtime = app.database.runtime().await;
    sqlx::query_as(query).bind(tenant).bind(subject).fetch_one(&mut runtime).await.unwrap()
}

#[tokio::test]
async fn who_is_registered_with_an_identity_is_known_to_a_provider_that_creates_no_accounts() {
    let app = TestApp::start(crate::routes()).await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    assert_eq!(found(&app, ada.tenant, "s-1").await.2.as_deref(), Some("unknown"));
    let body = with(grace(), "identity", at("https://idp.example.com", "s-1"));
    let (user, target) = created(&app, &ada, &body).await;
    assert!(user.get("identity").is_none());
    assert_eq!(found(&app, ada.tenant, "s-1").await, (Some(id(&user)), Some("analyst".into()), None));
    assert_eq!(found(&app, eve.tenant, "s-1").await.2.as_deref(), Some("unknown"), "of another tenant");
    assert_eq!(app.trail(ada.tenant).await.len(), 1, "one record");
    let again = post(&app, &ada, &with(body.clone(), "email", json!("other@acme.example"))).await;
    assert_eq!((again.status.as_u16(), &*again.code()), (409, "RES_002"));
    assert_eq!(again.json()["error"]["fields"][0]["field"], "identity");
    created(&app, &eve, &body).await;
    assert_eq!(app.send(crate::trial::delete(&target, &ada, "*")).await.status, 204);
    assert_eq!(found(&app, ada.tenant, "s-1").await.2.as_deref(), Some("unknown"), "and known no more");
    created(&app, &ada, &body).await;
}

#[tokio::test]
async fn an_identity_that_does_not_fit_is_422_at_its_field() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let issuer = "https://idp.example.com";
    for (identity, field) in [
        (json!("s-1"), "identity"),
        (json!({ "issuer": issuer }), "identity.subject"),
        (at(issuer, ""), "identity.subject"),
        (at(issuer, &"s".repeat(256)), "identity.subject"),
        (at("idp.example.com", "s-1"), "identity.issuer"),
        (at("http://idp.example.com", "s-1"), "identity.issuer"),
        (json!({ "issuer": issuer, "subject": "s-1", "user_id": ada.user }), "identity.user_id"),
    ] {
        let answer = post(&app, &ada, &with(grace(), "identity", identity.clone())).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (422, "VAL_001"), "{identity}");
        assert_eq!(answer.json()["error"]["fields"][0]["field"], field, "{identity}");
    }
}
