//! What the tests of this resource share.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use shared::testing::{Answer, Event, Member, TestApp, TestDatabase, TestKeys};

use crate::{PROVIDERS, Tenants};

/// A provider with every field, as a request states it. Its host is an address,
/// so that no name server is asked; nobody calls it.
pub(super) fn entra() -> Value {
    json!({
        "name": "entra", "issuer": "https://93.184.215.14/acme/v2.0", "audiences": ["api://tenantry"],
        "client_id": "client-1", "tenant_claim": "custom:tenant_id", "role_claim": "groups",
        "role_map": { "leads": "admin", "lab": "analyst" }, "default_role": "viewer", "jit_provisioning": true,
        "allowed_algorithms": ["ES256", "RS256"], "status": "active",
    })
}

/// The least that a provider is.
pub(super) fn least(name: &str) -> Value {
    json!({ "name": name, "issuer": format!("https://93.184.215.14/{name}"), "audiences": ["a"], "client_id": "c" })
}

/// `body` with one field set to another value.
pub(super) fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

/// The function where providers may be on loopback.
pub(super) async fn local() -> TestApp<Tenants> {
    let (database, keys) = (TestDatabase::create().await, Arc::new(TestKeys::generate("test-key")));
    TestApp::start_with(crate::routes(), database, keys, &[("FEDERATION_ALLOW_LOOPBACK", "on")]).await
}

pub(super) async fn post(app: &TestApp<Tenants>, member: &Member, body: &Value) -> Answer {
    app.send(Event::post(PROVIDERS, body).bearer(&member.token)).await
}

pub(super) fn patch(target: &str, member: &Member, version: &str, changes: &Value) -> Event {
    Event::new(&Method::PATCH, target).bearer(&member.token).header("if-match", version).json(changes)
}

pub(super) async fn get(app: &TestApp<Tenants>, member: &Member, target: &str) -> Answer {
    app.send(Event::get(target).bearer(&member.token)).await
}

/// Registers a provider and returns it with its path.
pub(super) async fn registered(app: &TestApp<Tenants>, member: &Member, body: &Value) -> (Value, String) {
    let answer = post(app, member, body).await;
    assert_eq!(answer.status, 201, "{:?}", answer.log);
    (answer.json(), answer.header("location").to_owned())
}
