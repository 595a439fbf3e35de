//! A provider that speaks for every tenant: its ID tokens must say for which.

use serde_json::{Value, json};
use shared::testing::{Answer, Event};
use uuid::Uuid;

use crate::trial::{Going, Trial, assert_refused, changed_by};

/// The key of refresh tokens, which the function has for its secret there.
const SECRET: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA";

async fn sign_in(trial: &Trial, secret: Option<&str>, changed: &Value) -> Answer {
    let going = Going::of(&trial.login(&[]).await);
    let token = trial.key.sign("ES256", &changed_by(trial.claims(&going), changed));
    trial.grant_by(&going, &token, secret);
    trial.app.send(going.back()).await
}

#[tokio::test]
async fn the_tenant_is_the_one_that_its_id_token_names() {
    for secret in [None, Some(SECRET)] {
        let trial = Trial::of_deployment(secret).await;
        let eve = trial.app.tenant("evil").await;
        for tenant in [trial.ada.tenant, eve.tenant] {
            let answer = sign_in(&trial, secret, &json!({ "tenant_id": tenant })).await;
            assert_eq!(answer.status, 200, "{:?}", answer.log);
            let token = answer.json()["access_token"].as_str().unwrap().to_owned();
            let now = shared::clock::Clock::now(&*trial.app.clock);
            let subject = trial.app.group.app.verifier.verify(&token, now).await.unwrap();
            assert_eq!(subject.tenant.as_uuid(), tenant);
        }
        assert_eq!(trial.count("SELECT count(*) FROM federated_identities").await, 2);
        assert_eq!(
            trial.count("SELECT count(*) FROM sessions WHERE issuer IS NOT NULL AND provider_id IS NULL").await,
            2
        );
    }
}

#[tokio::test]
async fn t1_without_one_tenant_that_is_there_nobody_signs_in() {
    let trial = Trial::of_deployment(None).await;
    let eve = trial.app.tenant("evil").await;
    for (claims, status, code) in [
        (json!({}), 403, "TEN_001"),
        (json!({ "organization_id": trial.ada.tenant }), 403, "TEN_001"),
        (json!({ "tenant_id": "" }), 403, "TEN_001"),
        (json!({ "tenant_id": "acme" }), 403, "TEN_002"),
        (json!({ "tenant_id": [trial.ada.tenant] }), 403, "TEN_002"),
        (json!({ "tenant_id": trial.ada.tenant, "organization_id": eve.tenant }), 403, "TEN_002"),
        (json!({ "tenant_id": Uuid::from_u128(7) }), 400, "AUTH_010"),
        (json!({ "tenant_id": Uuid::nil() }), 400, "AUTH_010"),
    ] {
        let answer = sign_in(&trial, None, &claims).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (status, code), "{claims} {:?}", answer.log);
    }
    trial.sql("UPDATE tenants SET status = 'suspended'").await;
    assert_refused(&sign_in(&trial, None, &json!({ "tenant_id": trial.ada.tenant })).await, "suspended");
    assert_eq!((trial.sessions().await, trial.of_nobody().await), (0, 9), "in the trail of nobody");
}

/// A tenant had registered the issuer before the deployment came to trust it.
#[tokio::test]
async fn k6_what_a_tenant_had_registered_of_its_issuer_signs_nobody_in() {
    let trial = Trial::of_deployment(None).await;
    trial.register(trial.ada.tenant, "entra").await;
    assert_refused(&trial.login(&[("tenant", "acme")]).await, "acme's, of the deployment's issuer");
    assert_eq!(sign_in(&trial, None, &json!({ "tenant_id": trial.ada.tenant })).await.status, 200);
}

#[tokio::test]
async fn it_is_no_tenants_own_and_another_name_is_nobodys() {
    let trial = Trial::of_deployment(None).await;
    assert_refused(&trial.login(&[("tenant", "acme")]).await, "acme has registered none");
    let other = trial.app.send(Event::get("/api/v1/auth/oidc/other/login")).await;
    assert_refused(&other, "no such provider");
}
