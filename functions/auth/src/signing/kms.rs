use serde_json::Value;
use shared::testing::{EmulatedKey, TestApp, TestDatabase, TestKeys, setting};
use time::Duration;

use super::{another_session, kid};
use crate::{
    Auth,
    trial::{PASSWORD, Pair, acme, login, me},
};

async fn start(key_id: &str, public: &[&Value]) -> TestApp<Auth> {
    let mut keys = TestKeys::generate("test-key");
    for jwk in public {
        keys = keys.beside((*jwk).clone());
    }
    let endpoint = setting("AWS_ENDPOINT_URL");
    let settings =
        [("TOKEN_SIGNING_KMS_KEY_ID", key_id), ("TOKEN_PRIVATE_KEYS_SECRET_ID", ""), ("AWS_ENDPOINT_URL", &endpoint)];
    TestApp::start_with(crate::routes(), TestDatabase::create().await, keys.into(), &settings).await
}

#[tokio::test]
async fn a_token_that_kms_signed_is_accepted_and_names_its_keys_thumbprint() {
    let key = EmulatedKey::create("ECC_NIST_P256").await;
    let public = key.public_jwk().await;
    let app = start(key.id(), &[&public]).await;
    let pair = acme(&app).await;
    assert_eq!(me(&app, &pair.access).await, "none");
    let header = jsonwebtoken::decode_header(&pair.access).unwrap();
    assert_eq!((header.alg, header.kid.as_deref()), (jsonwebtoken::Algorithm::ES256, public["kid"].as_str()));
    let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(public).unwrap();
    assert_eq!(jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap(), header.kid.unwrap());
    // Integers with and without a leading zero, and shorter ones.
    for _ in 0..20 {
        assert_eq!(me(&app, &another_session(&app).await.access).await, "none");
    }
    assert_eq!(app.secrets.reads("token-private-keys"), 0);
}

#[tokio::test]
async fn an_alias_that_moves_is_followed_within_five_minutes_and_only_to_a_published_key() {
    let alias = format!("alias/test-{}", TestKeys::generate("any").public_jwk()["x"].as_str().unwrap());
    let keys = [(); 3].map(|()| EmulatedKey::create("ECC_NIST_P256"));
    let [one, two, unpublished] = futures_util::future::join_all(keys).await.try_into().ok().unwrap();
    let (first, second) = (one.public_jwk().await, two.public_jwk().await);
    one.take(&alias).await;
    let app = start(&alias, &[&first, &second]).await;
    let before = acme(&app).await.access;

    two.take(&alias).await;
    // Signed by the key that its kid names, wherever the alias is by now.
    let meanwhile = another_session(&app).await.access;
    assert_eq!(
        (kid(&app).await.as_str(), me(&app, &meanwhile).await.as_str()),
        (first["kid"].as_str().unwrap(), "none")
    );
    app.clock.advance(Duration::minutes(5));
    let after = another_session(&app).await.access;
    assert_eq!(jsonwebtoken::decode_header(&after).unwrap().kid.as_deref(), second["kid"].as_str());
    assert_eq!([me(&app, &before).await, me(&app, &after).await], ["none", "none"]);

    unpublished.take(&alias).await;
    app.clock.advance(Duration::minutes(5));
    let answer = app.send(login("acme", "ada@acme.example", PASSWORD)).await;
    let warning = answer.log.iter().find(|line| line["signing_keys_not_read"] == 1).expect("a warning");
    let cause = "the secret token-public-keys lacks the key of TOKEN_SIGNING_KMS_KEY_ID";
    assert!(warning["cause"].as_str().unwrap().contains(cause), "{warning}");
    let token = Pair::of(&answer).access;
    assert_eq!(jsonwebtoken::decode_header(&token).unwrap().kid.as_deref(), second["kid"].as_str());
    assert_eq!(me(&app, &token).await, "none");
}
