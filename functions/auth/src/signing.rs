//! Tests: which keys sign the group's tokens.

mod kms;

use std::sync::Arc;

use shared::{
    auth::Algorithm,
    testing::{TestApp, TestDatabase, TestKeys},
};
use time::Duration;

use crate::{
    Auth,
    trial::{PASSWORD, Pair, acme, another_session, login, me},
};

pub(crate) const ALGORITHMS: [Algorithm; 3] = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Hs256];

async fn start(database: &Arc<TestDatabase>, keys: TestKeys, settings: &[(&str, &str)]) -> TestApp<Auth> {
    TestApp::start_with(crate::routes(), database.clone(), keys.into(), settings).await
}

#[tokio::test]
async fn a_key_of_each_algorithm_signs_tokens_that_its_own_set_accepts() {
    for algorithm in ALGORITHMS {
        let database = TestDatabase::create().await.into();
        // One secret for both is how HS256 has to be; the others may.
        for settings in [&[][..], &[("TOKEN_PUBLIC_KEYS_SECRET_ID", "token-private-keys")]] {
            let app = start(&database, TestKeys::of(algorithm, "one"), settings).await;
            let token = if settings.is_empty() { acme(&app).await.access } else { another_session(&app).await.access };
            assert_eq!(me(&app, &token).await, "none", "{algorithm:?}");
            for other in ALGORITHMS {
                let others = start(&database, TestKeys::of(other, "one"), &[]).await;
                assert_eq!(me(&others, &token).await, "AUTH_001", "{algorithm:?} for {other:?}");
            }
        }
    }
}

/// The kid of the key that signs at this moment.
async fn kid(app: &TestApp<Auth>) -> String {
    let token = another_session(app).await.access;
    jsonwebtoken::decode_header(&token).unwrap().kid.unwrap()
}

fn public_set(keys: &[&TestKeys]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| key.public_jwk()).collect();
    serde_json::json!({ "keys": keys }).to_string()
}

fn private_set(keys: &[&TestKeys]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| key.private_jwk()).collect();
    serde_json::json!({ "keys": keys }).to_string()
}

#[tokio::test]
async fn the_next_key_signs_after_five_minutes_and_costs_no_request() {
    let app = TestApp::start(crate::routes()).await;
    let before = acme(&app).await.access;
    let next = TestKeys::of(Algorithm::EdDsa, "next");
    app.secrets.set("token-public-keys", public_set(&[&next, &app.keys]));
    app.secrets.set("token-private-keys", private_set(&[&next, &app.keys]));
    app.clock.advance(Duration::seconds(290));
    assert_eq!(kid(&app).await, "test-key");
    app.clock.advance(Duration::seconds(11));
    let after = another_session(&app).await.access;
    assert_eq!(jsonwebtoken::decode_header(&after).unwrap().kid.unwrap(), "next");
    assert_eq!([me(&app, &before).await, me(&app, &after).await], ["none", "none"]);
    assert_eq!(app.secrets.reads("token-private-keys"), 2);
}

#[tokio::test]
async fn while_no_other_key_can_be_had_the_old_one_signs_on() {
    let app = TestApp::start(crate::routes()).await;
    acme(&app).await;
    let next = TestKeys::generate("next");
    let (good, unpublished) = (app.keys.private_set(), private_set(&[&next]));
    for (away, set, cause) in [
        (false, r#"{"keys":[{"kid":"s3cret"}]}"#, "the secret token-private-keys is not a JWK Set"),
        (false, &unpublished, "the secret token-public-keys lacks the key of the secret token-private-keys"),
        (true, &good, "the secrets are away"),
    ] {
        app.secrets.set("token-private-keys", set);
        app.secrets.set_away(away);
        app.clock.advance(Duration::minutes(5));
        let answer = app.send(login("acme", "ada@acme.example", PASSWORD)).await;
        let warning = answer.log.iter().find(|line| line["signing_keys_not_read"] == 1).expect("a warning");
        assert!(warning["cause"].as_str().unwrap().contains(cause), "{warning}");
        assert_eq!(me(&app, &Pair::of(&answer).access).await, "none");
        let reads = app.secrets.reads("token-private-keys");
        assert_eq!((kid(&app).await.as_str(), app.secrets.reads("token-private-keys")), ("test-key", reads));
    }
}
