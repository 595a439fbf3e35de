use http::Method;
use serde_json::{Value, json};
use shared::testing::{Event, TestApp};

use crate::identity_providers::trial::{entra, get, least, patch, registered};

#[tokio::test]
async fn a_change_touches_what_it_names_and_nothing_else() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let (mut expected, target) = registered(&app, &ada, &entra()).await;
    for (version, (field, value)) in (1..).zip([
        ("name", json!("okta")),
        ("issuer", json!("https://93.184.215.14/other/")),
        ("audiences", json!(["one", "two"])),
        ("client_id", json!("client-2")),
        ("tenant_claim", json!("organization_id")),
        ("role_claim", json!("roles")),
        ("role_map", json!({ "staff": "viewer" })),
        ("role_map", Value::Null),
        ("role_claim", Value::Null),
        ("default_role", json!("analyst")),
        ("jit_provisioning", json!(false)),
        ("allowed_algorithms", json!(["EdDSA"])),
        ("status", json!("inactive")),
    ]) {
        let change = patch(&target, &ada, &format!("\"{version}\""), &json!({ field: value }));
        let answer = app.send(change).await;
        assert_eq!(answer.status, 200, "{field}: {:?}", answer.log);
        assert_eq!(answer.header("etag"), format!("\"{}\"", version + 1));
        let changed = answer.json();
        assert!(changed["updated_at"].as_str() > expected["updated_at"].as_str());
        expected[field] = value;
        expected["version"] = json!(version + 1);
        expected["updated_at"] = changed["updated_at"].clone();
        assert_eq!(changed, expected, "{field}");
    }
    assert_eq!(get(&app, &ada, &target).await.json(), expected);
    let id = expected["id"].as_str().and_then(|id| id.parse().ok());
    let trail = app.trail(ada.tenant).await;
    assert_eq!(trail.len(), 15, "a record for each change, and the read's");
    let record = ("identity_providers.update".into(), "success".into(), None, id);
    assert!(trail[1..14].iter().all(|found| *found == record));
    let details = app.details(ada.tenant, "identity_providers.update").await;
    assert_eq!(
        (details.len(), &*details[0], &*details[7]),
        (13, r#"{"fields":["name"]}"#, r#"{"fields":["role_map"]}"#)
    );
}

#[tokio::test]
async fn a_change_needs_the_version_that_stands() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let (created, target) = registered(&app, &ada, &entra()).await;
    let none = Event::new(&Method::PATCH, &target).bearer(&ada.token).json(&json!({ "status": "inactive" }));
    let answer = app.send(none).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (428, "REQ_006"));
    for stale in ["\"0\"", "\"2\"", "W/\"1\"", "1"] {
        let answer = app.send(patch(&target, &ada, stale, &json!({ "status": "inactive" }))).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (412, "REQ_007"), "{stale}");
    }
    assert_eq!(get(&app, &ada, &target).await.json(), created);
}

#[tokio::test]
async fn of_two_changes_to_one_version_one_wins() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let (_, target) = registered(&app, &ada, &entra()).await;
    let other = app.another(crate::routes()).await;
    let change = patch(&target, &ada, "\"1\"", &json!({ "client_id": "mine" }));
    let (one, two) = tokio::join!(app.send(change.clone()), other.send(change));
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
}

#[tokio::test]
async fn a_change_that_does_not_fit_changes_nothing() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let (taken, _) = registered(&app, &ada, &least("taken")).await;
    let (created, target) = registered(&app, &ada, &entra()).await;
    for (field, value, code) in [
        ("name", Value::Null, "VAL_001"),
        ("name", json!("taken"), "RES_002"),
        ("issuer", taken["issuer"].clone(), "RES_002"),
        ("issuer", json!("https://auth.example.com/"), "VAL_001"),
        ("issuer", json!("http://login.example.com"), "VAL_001"),
        ("audiences", json!([]), "VAL_001"),
        ("client_id", Value::Null, "VAL_001"),
        ("tenant_claim", Value::Null, "VAL_001"),
        ("role_claim", json!("a b"), "VAL_001"),
        ("role_map", json!({ "leads": "root" }), "VAL_001"),
        ("default_role", Value::Null, "VAL_001"),
        ("jit_provisioning", Value::Null, "VAL_001"),
        ("allowed_algorithms", Value::Null, "VAL_001"),
        ("allowed_algorithms", json!(["HS256"]), "VAL_001"),
        ("status", json!("suspended"), "VAL_001"),
        ("version", json!(9), "VAL_001"),
    ] {
        let answer = app.send(patch(&target, &ada, "\"1\"", &json!({ field: value }))).await;
        assert_eq!(answer.code(), code, "{field} {value}");
        let named = answer.json()["error"]["fields"][0]["field"].clone();
        assert!(named.as_str().unwrap().starts_with(field), "{field}: {named}");
    }
    let unread = app.send(patch(&target, &ada, "\"1\"", &json!({ "role_claim": null }))).await;
    let message = json!([{ "field": "role_map", "message": "must not stand without a role_claim" }]);
    assert_eq!((unread.code().as_str(), &unread.json()["error"]["fields"]), ("VAL_001", &message));
    assert_eq!(get(&app, &ada, &target).await.json(), created);
    let both = app.send(patch(&target, &ada, "\"1\"", &json!({ "role_claim": null, "role_map": null }))).await;
    assert_eq!(both.status, 200);
}
