//! For which tenant a provider speaks: T1 and K6 of THREATS.

use std::sync::Arc;

use serde_json::{Value, json};
use shared::testing::{Event, TestApp, TestDatabase, TestIssuer, TestKeys, federated::ON_LOOPBACK};
use uuid::Uuid;

use crate::{
    provider_tokens::{World, world},
    tokens::get,
};

/// Refused with `code`, which stands in the trail of `nobody` and in no other.
async fn refused_to_nobody(world: &World, token: &str, code: &str, what: &str) {
    let before = world.app.trail(Uuid::nil()).await.len();
    world.refused_elsewhere(token, code, what).await;
    let trail = world.app.trail(Uuid::nil()).await;
    let record = ("todos.list".to_owned(), "denied".to_owned(), Some(code.to_owned()), None);
    assert_eq!(trail[before..], [record], "{what}");
}

impl World {
    /// Refused with `code`, and nothing of it in this tenant's trail.
    async fn refused_elsewhere(&self, token: &str, code: &str, what: &str) {
        let before = self.app.trail(self.ada.tenant).await.len();
        let answer = get(&self.app, token).await;
        assert_eq!(answer.code(), code, "{what}: {:?}", answer.log);
        assert_eq!(self.app.trail(self.ada.tenant).await.len(), before, "{what}");
    }
}

#[tokio::test]
async fn t1_a_providers_token_names_one_tenant_in_one_claim() {
    for algorithm in ["RS256", "ES256"] {
        let world = world(algorithm, &json!({})).await;
        let (ada, other) = (world.ada.tenant, Uuid::from_u128(7));
        refused_to_nobody(&world, &world.idp.sign(&world.without("tenant_id")), "TEN_001", "absent").await;
        for (claim, code) in [
            (json!(null), "TEN_001"),
            (json!(""), "TEN_001"),
            (json!([]), "TEN_002"),
            (json!([ada]), "TEN_002"),
            (json!({ "id": ada }), "TEN_002"),
            (json!(7), "TEN_002"),
            (json!("acme"), "TEN_002"),
        ] {
            refused_to_nobody(&world, &world.token(&json!({ "tenant_id": claim })), code, &claim.to_string()).await;
        }
        // Both are there and differ: the signature is good, and the tenant's own provider says so.
        for organization in [json!(other), json!([ada]), json!(null)] {
            let token = world.token(&json!({ "organization_id": organization }));
            world.refused(&token, "TEN_002", true, &organization.to_string()).await;
        }
        world.accepted(&world.token(&json!({ "organization_id": ada })), "both, and equal").await;
        // Only what is configured is read.
        let elsewhere = json!({ "tenant_id": null, "organization_id": ada, "custom:tenant_id": ada });
        let code = get(&world.app, &world.token(&elsewhere)).await.code();
        assert!(code == "TEN_001" || code == "TEN_002", "{code}");
    }
}

#[tokio::test]
async fn t1_no_header_and_no_query_names_the_tenant() {
    let world = world("ES256", &json!({})).await;
    let token = world.idp.sign(&world.without("tenant_id"));
    let tenant = world.ada.tenant.to_string();
    let event = Event::get("/api/v1/todos").bearer(&token);
    for name in ["x-tenant-id", "x-organization-id", "tenant-id", "x-forwarded-host"] {
        assert_eq!(world.app.send(event.clone().header(name, &tenant)).await.code(), "TEN_001", "{name}");
    }
    let query = Event::get(&format!("/api/v1/todos?tenant_id={tenant}")).bearer(&token);
    assert_eq!(world.app.send(query).await.code(), "TEN_001");
}

#[tokio::test]
async fn t1_a_custom_claim_is_the_only_one_that_is_read() {
    let world = world("ES256", &json!({ "tenant_claim": "custom:tenant_id" })).await;
    let eve = world.app.tenant("evil").await;
    let token = |changes: Value| {
        let mut claims = world.without("tenant_id");
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        world.idp.sign(&claims)
    };
    let ada = world.ada.tenant;
    world.accepted(&token(json!({ "custom:tenant_id": ada })), "the custom one").await;
    world.accepted(&token(json!({ "custom:tenant_id": ada, "tenant_id": eve.tenant })), "the other is not read").await;
    refused_to_nobody(&world, &token(json!({ "tenant_id": ada })), "TEN_001", "the usual one").await;
    refused_to_nobody(&world, &token(json!({ "custom:tenant_id": eve.tenant })), "TEN_003", "another tenant").await;
    assert_eq!(world.app.trail(eve.tenant).await, []);
}

#[tokio::test]
async fn k6_a_tenants_provider_speaks_for_no_other_tenant() {
    for algorithm in ["RS256", "ES256"] {
        let world = world(algorithm, &json!({})).await;
        let eve = world.app.tenant("evil").await;
        let foreign = world.token(&json!({ "tenant_id": eve.tenant }));
        refused_to_nobody(&world, &foreign, "TEN_003", "a tenant without providers").await;
        TestIssuer::start(algorithm).register(&world.app.database, eve.tenant, &json!({})).await;
        refused_to_nobody(&world, &foreign, "TEN_003", "a tenant with a provider of its own").await;
        refused_to_nobody(&world, &world.token(&json!({ "tenant_id": Uuid::from_u128(7) })), "TEN_003", "no tenant")
            .await;
        assert_eq!(world.app.trail(eve.tenant).await, [], "a stranger writes nothing into it");
        // Whoever cannot sign for the issuer is not told that somebody has it.
        let forged =
            TestIssuer::key(algorithm, "k1").sign(algorithm, &world.claims(&json!({ "tenant_id": eve.tenant })));
        world.refused_elsewhere(&forged, "AUTH_001", "forged").await;
        // Both trust it now, each by its own settings.
        world.idp.register(&world.app.database, eve.tenant, &json!({ "name": "second", "audiences": ["evil"] })).await;
        assert_eq!(get(&world.app, &foreign).await.code(), "AUTH_001");
        assert_eq!(get(&world.app, &world.token(&json!({ "tenant_id": eve.tenant, "aud": "evil" }))).await.status, 200);
        world.accepted(&world.token(&json!({})), "its own tenant").await;
    }
}

#[tokio::test]
async fn k6_one_token_that_two_tenants_providers_would_take_is_nobodys() {
    let world = world("ES256", &json!({})).await;
    let bob = world.app.tenant("bravo").await;
    world.idp.register(&world.app.database, bob.tenant, &json!({ "tenant_claim": "custom:org" })).await;
    let token = world.token(&json!({ "custom:org": bob.tenant }));
    refused_to_nobody(&world, &token, "TEN_002", "two").await;
    assert_eq!(world.app.trail(bob.tenant).await, []);
}

#[tokio::test]
async fn k6_a_provider_whose_discovery_is_anothers_speaks_for_nobody() {
    let world = world("ES256", &json!({})).await;
    world.idp.provider.set_discovery(&json!({ "issuer": "https://idp.example.com" }));
    world.refused(&world.token(&json!({})), "AUTH_001", false, "another issuer").await;
}

#[tokio::test]
async fn an_issuer_that_nobody_has_registered_is_never_called() {
    let world = world("ES256", &json!({})).await;
    for (status, what) in [("inactive", "inactive")] {
        let stranger = TestIssuer::start("ES256");
        let token = stranger.sign(&stranger.claims(&world.app, world.ada.tenant, "s-1"));
        world.refused(&token, "AUTH_001", false, "unknown").await;
        let eve = world.app.tenant("evil").await;
        stranger.register(&world.app.database, eve.tenant, &json!({ "status": status })).await;
        world.refused(&token, "AUTH_001", false, what).await;
        assert_eq!(stranger.calls(), 0);
    }
}

#[tokio::test]
async fn a_provider_of_the_deployment_speaks_for_every_tenant_that_it_names() {
    for algorithm in ["RS256", "ES256"] {
        let idp = TestIssuer::start(algorithm);
        let mut settings = idp.settings(&json!({ "jit_provisioning": true }));
        settings.as_object_mut().unwrap().remove("status");
        let providers = json!([settings]).to_string();
        let keys = Arc::new(TestKeys::generate("test-key"));
        let setting = [ON_LOOPBACK, ("IDENTITY_PROVIDERS", &*providers)];
        let app = TestApp::start_with(todos::routes(), TestDatabase::create().await, keys, &setting).await;
        let (ada, bob) = (app.tenant("acme").await, app.tenant("bravo").await);
        for tenant in [ada.tenant, bob.tenant] {
            assert_eq!(get(&app, &idp.sign(&idp.claims(&app, tenant, "s-1"))).await.status, 200);
        }
        let mut claims = idp.claims(&app, ada.tenant, "s-1");
        claims.as_object_mut().unwrap().remove("tenant_id");
        assert_eq!(get(&app, &idp.sign(&claims)).await.code(), "TEN_001");
        claims["organization_id"] = json!(ada.tenant);
        assert_eq!(get(&app, &idp.sign(&claims)).await.code(), "TEN_001", "the other claim is not the configured one");
        claims["tenant_id"] = json!(bob.tenant);
        assert_eq!(get(&app, &idp.sign(&claims)).await.code(), "TEN_002");
        let nobody = idp.sign(&idp.claims(&app, Uuid::from_u128(7), "s-1"));
        assert_eq!(get(&app, &nobody).await.code(), "TEN_003");
        // A tenant's own registration of it changes nothing.
        idp.register(&app.database, bob.tenant, &json!({ "audiences": ["bravo"] })).await;
        assert_eq!(get(&app, &idp.sign(&idp.claims(&app, bob.tenant, "s-2"))).await.status, 200);
        sqlx::query("UPDATE tenants SET status = 'suspended' WHERE id = $1")
            .bind(bob.tenant)
            .execute(&mut app.superuser().await)
            .await
            .unwrap();
        for subject in ["s-1", "s-3"] {
            assert_eq!(get(&app, &idp.sign(&idp.claims(&app, bob.tenant, subject))).await.code(), "TEN_004");
        }
    }
}
