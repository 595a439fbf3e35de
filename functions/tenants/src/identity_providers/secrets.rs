//! What becomes of a provider's secret: E1, E4 of THREATS, and that nobody is shown it.

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use shared::{
    Db,
    auth::{
        TenantId,
        provider::{Key, Provider},
    },
    config,
    crypto::DataKeys,
    testing::{Event, Member, Mood, TestApp, TestKms},
};
use sqlx::AssertSqlSafe;

use super::trial::{entra, get, least, patch, post, registered, with};
use crate::{PROVIDERS, Tenants};

const SECRET: &str = "hunter2-hunter2-hunter2";

fn with_secret(body: Value, secret: &str) -> Value {
    with(body, "client_secret", json!(secret))
}

/// The secret of the provider `name`, as a sign-in gets it, or its error's code.
async fn opened(app: &TestApp<Tenants>, member: &Member, name: &str) -> Result<Option<String>, &'static str> {
    let db: &Db = shared::app::Group::db(&app.group).unwrap();
    let keys = DataKeys::new(config::from_lookup(&|_| Some(TestKms::KEY_ID.to_owned())).unwrap(), &app.start);
    let provider = Provider::find(db, member.tenant, Key::Name(name)).await.unwrap().unwrap();
    let tenant = sqlx::query_scalar::<_, TenantId>("SELECT id FROM tenants WHERE id = $1").bind(member.tenant);
    let tenant = tenant.fetch_one(&mut app.superuser().await).await.unwrap();
    let secret = provider.client_secret(&keys, db, tenant).await;
    secret.map(|secret| secret.map(|secret| secret.expose_secret().to_owned())).map_err(|error| error.code().as_str())
}

#[tokio::test]
async fn a_secret_goes_in_is_shown_to_nobody_and_comes_out_for_a_sign_in() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let event = Event::post(PROVIDERS, &with_secret(entra(), SECRET)).bearer(&ada.token);
    let event = event.header("idempotency-key", "key-1");
    let mut seen = Vec::new();
    let created = app.send(event.clone()).await;
    assert_eq!((created.status.as_u16(), &created.json()["has_client_secret"]), (201, &json!(true)));
    let target = created.header("location").to_owned();
    seen.push(created);
    seen.push(app.send(event).await);
    seen.push(get(&app, &ada, &target).await);
    seen.push(get(&app, &ada, PROVIDERS).await);
    let too_long = format!("{SECRET}{}", "s".repeat(1000));
    seen.push(post(&app, &ada, &with_secret(least("long"), &too_long)).await);
    seen.push(app.send(patch(&target, &ada, "*", &json!({ "client_secret": [SECRET] }))).await);
    seen.push(app.send(patch(&target, &ada, "*", &json!({ "client_secret": SECRET }))).await);
    let statuses: Vec<_> = seen.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses, [201, 201, 200, 200, 422, 422, 200]);
    for answer in &seen {
        assert!(!String::from_utf8_lossy(&answer.bytes).contains(SECRET));
        assert!(!format!("{:?}{:?}", answer.log, answer.headers).contains(SECRET));
    }
    assert_eq!(opened(&app, &ada, "entra").await, Ok(Some(SECRET.to_owned())));

    let mut superuser = app.superuser().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT format('%s', oid::regclass) FROM pg_class WHERE relkind = 'r'
            AND relnamespace IN ('public'::regnamespace, 'app'::regnamespace)",
    )
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    assert!(tables.iter().any(|table| table == "idempotency_keys") && tables.len() >= 10, "{tables:?}");
    let hex = sqlx::query_scalar("SELECT encode(convert_to($1, 'UTF8'), 'hex')").bind(SECRET);
    let hex: String = hex.fetch_one(&mut superuser).await.unwrap();
    for table in tables {
        let dump = AssertSqlSafe(format!("SELECT coalesce(string_agg(t::text, ''), '') FROM {table} AS t"));
        let dump: String = sqlx::query_scalar(dump).fetch_one(&mut superuser).await.unwrap();
        assert!(!dump.contains(SECRET) && !dump.contains(&hex), "{table}");
    }
}

#[tokio::test]
async fn a_secret_stays_until_it_is_changed_or_cleared() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let (_, target) = registered(&app, &ada, &least("okta")).await;
    assert_eq!(opened(&app, &ada, "okta").await, Ok(None));
    for (changes, has, secret) in [
        (json!({ "client_secret": "first" }), true, Some("first")),
        (json!({ "client_id": "other" }), true, Some("first")),
        (json!({ "client_secret": "second" }), true, Some("second")),
        (json!({ "client_secret": null }), false, None),
        (json!({ "client_id": "another" }), false, None),
    ] {
        let answer = app.send(patch(&target, &ada, "*", &changes)).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["has_client_secret"]), (200, &json!(has)), "{changes}");
        assert_eq!(opened(&app, &ada, "okta").await, Ok(secret.map(ToOwned::to_owned)), "{changes}");
    }
}

#[tokio::test]
async fn a_secret_that_nobody_may_read_is_not_handed_to_another_issuer() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let (created, target) = registered(&app, &ada, &with_secret(entra(), SECRET)).await;
    let mine = json!("https://93.184.215.14/mine");
    let answer = app.send(patch(&target, &ada, "*", &json!({ "issuer": mine }))).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (422, "VAL_001"));
    let message = "must be given anew, or be null, where the issuer changes";
    assert_eq!(answer.json()["error"]["fields"], json!([{ "field": "client_secret", "message": message }]));
    assert_eq!(get(&app, &ada, &target).await.json(), created);
    for (changes, has) in [
        (json!({ "issuer": created["issuer"] }), true),
        (json!({ "issuer": mine, "client_secret": "of mine" }), true),
        (json!({ "issuer": created["issuer"], "client_secret": null }), false),
        (json!({ "issuer": mine }), false),
    ] {
        let answer = app.send(patch(&target, &ada, "*", &changes)).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["has_client_secret"]), (200, &json!(has)), "{changes}");
    }
}

#[tokio::test]
async fn e1_a_secret_that_was_moved_to_another_provider_or_tenant_does_not_open() {
    let app = TestApp::start(crate::routes()).await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    registered(&app, &ada, &with_secret(least("one"), SECRET)).await;
    registered(&app, &ada, &with_secret(least("two"), "another")).await;
    registered(&app, &eve, &with_secret(least("one"), "of evil")).await;
    let mut superuser = app.superuser().await;
    let moved = "UPDATE identity_providers SET client_secret_ciphertext = (
                     SELECT client_secret_ciphertext FROM identity_providers WHERE tenant_id = $1 AND name = 'one')
                  WHERE NOT (tenant_id = $1 AND name = 'one')";
    sqlx::query(moved).bind(ada.tenant).execute(&mut superuser).await.unwrap();
    assert_eq!(opened(&app, &ada, "one").await, Ok(Some(SECRET.to_owned())));
    assert_eq!(opened(&app, &ada, "two").await, Err("SYS_005"));
    assert_eq!(opened(&app, &eve, "one").await, Err("SYS_005"));
}

#[tokio::test]
async fn e4_without_kms_a_secret_is_503_stores_nothing_and_the_rest_works() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    app.kms.set(Mood::Throttled);
    let event = Event::post(PROVIDERS, &with_secret(entra(), SECRET)).bearer(&ada.token);
    let event = event.header("idempotency-key", "key-1");
    let refused = app.send(event.clone()).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (503, "SYS_004"));
    let (_, target) = registered(&app, &ada, &least("plain")).await;
    let refused = app.send(patch(&target, &ada, "*", &json!({ "client_secret": SECRET }))).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (503, "SYS_004"));
    let list = get(&app, &ada, PROVIDERS).await.json();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!((&list["items"][0]["version"], &list["items"][0]["has_client_secret"]), (&json!(1), &json!(false)));
    app.kms.set(Mood::Obliging);
    assert_eq!(app.send(event.clone()).await.status, 201, "the key is free");
    // A replay needs no KMS, whatever is in memory.
    let other = app.another(crate::routes()).await;
    other.kms.set(Mood::Throttled);
    assert_eq!(other.send(event.clone()).await.header("idempotency-replayed"), "true");
    let another = app.send(event.json(&with_secret(entra(), "another"))).await;
    assert_eq!((another.status.as_u16(), another.code().as_str()), (422, "RES_005"));
}
