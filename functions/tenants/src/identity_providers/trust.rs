//! What the tokens of a provider are worth after it was changed.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use shared::testing::{Event, Member, TestApp, TestDatabase, TestIssuer, TestKeys, federated::ON_LOOPBACK};

use super::trial::{least, local, patch, post, registered, with};
use crate::{CURRENT, Tenants};

/// A tenant with a registered provider, and a token of it that is in use.
async fn in_use() -> (TestApp<Tenants>, Member, TestIssuer, String, String) {
    let app = local().await;
    let (ada, idp) = (app.tenant("acme").await, TestIssuer::start("ES256"));
    let (_, target) = registered(&app, &ada, &idp.settings(&json!({}))).await;
    let mut claims = idp.claims(&app, ada.tenant, "s-1");
    claims["sid"] = json!("session");
    let token = idp.sign(&claims);
    assert_eq!(current(&app, &token).await, "none");
    (app, ada, idp, target, token)
}

async fn current(app: &TestApp<Tenants>, token: &str) -> String {
    app.send(Event::get(CURRENT).bearer(token)).await.code()
}

#[tokio::test]
async fn a_deactivated_or_deleted_provider_is_trusted_by_no_request_after_it() {
    for delete in [false, true] {
        let (app, ada, idp, target, token) = in_use().await;
        let event = if delete {
            Event::new(&Method::DELETE, &target).bearer(&ada.token).header("if-match", "\"1\"")
        } else {
            patch(&target, &ada, "\"1\"", &json!({ "status": "inactive" }))
        };
        assert!(app.send(event).await.status.is_success());
        assert_eq!(current(&app, &token).await, "AUTH_006", "the session has ended");
        let calls = idp.calls();
        let fresh = idp.sign(&idp.claims(&app, ada.tenant, "s-1"));
        for token in [&token, &fresh] {
            assert_eq!(current(&app, token).await, "AUTH_001", "its issuer is unknown");
        }
        assert_eq!(idp.calls(), calls);
        if !delete {
            assert_eq!(app.send(patch(&target, &ada, "\"2\"", &json!({ "status": "active" }))).await.status, 200);
            assert_eq!(current(&app, &token).await, "none", "trusted again");
        }
    }
}

#[tokio::test]
async fn each_change_of_trust_ends_the_sessions_and_a_new_name_does_not() {
    for (changes, first, then) in [
        (json!({ "audiences": ["another"] }), "AUTH_006", "AUTH_001"),
        (json!({ "tenant_claim": "custom:tenant_id" }), "AUTH_006", "TEN_001"),
        (json!({ "allowed_algorithms": ["RS256"] }), "AUTH_006", "AUTH_001"),
        (json!({ "role_claim": "groups", "role_map": { "leads": "analyst" } }), "AUTH_006", "none"),
        (json!({ "default_role": "analyst" }), "AUTH_006", "none"),
        (json!({ "issuer": "https://93.184.215.14/another" }), "AUTH_006", "AUTH_001"),
        (json!({ "name": "renamed", "jit_provisioning": false }), "none", "none"),
        (json!({ "audiences": ["api://tenantry"], "status": "active" }), "none", "none"),
    ] {
        let (app, ada, _idp, target, token) = in_use().await;
        let answer = app.send(patch(&target, &ada, "\"1\"", &changes)).await;
        assert_eq!(answer.status, 200, "{changes}: {:?}", answer.log);
        assert_eq!(current(&app, &token).await, first, "{changes}");
        assert_eq!(current(&app, &token).await, then, "{changes}");
        assert_eq!(current(&app, &ada.token).await, "none", "nobody else's session ends: {changes}");
    }
}

#[tokio::test]
async fn an_issuer_of_the_deployment_is_nobodys_to_register() {
    let pool: Value = with(least("pool"), "issuer", json!("https://93.184.215.14/pool"));
    let providers = json!([pool]).to_string();
    let keys = Arc::new(TestKeys::generate("test-key"));
    let settings = [ON_LOOPBACK, ("IDENTITY_PROVIDERS", &*providers)];
    let app = TestApp::start_with(crate::routes(), TestDatabase::create().await, keys, &settings).await;
    let ada = app.tenant("acme").await;
    for issuer in ["https://93.184.215.14/pool", "https://93.184.215.14/pool/", "https://93.184.215.14/POOL"] {
        let answer = post(&app, &ada, &with(pool.clone(), "issuer", json!(issuer))).await;
        assert_eq!(answer.code(), "VAL_001", "{issuer}");
        assert_eq!(answer.json()["error"]["fields"][0]["field"], "issuer");
    }
    let (_, target) = registered(&app, &ada, &least("other")).await;
    let change = patch(&target, &ada, "\"1\"", &json!({ "issuer": "https://93.184.215.14/pool" }));
    assert_eq!(app.send(change).await.code(), "VAL_001");
}
