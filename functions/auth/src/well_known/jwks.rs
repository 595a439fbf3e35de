//! `GET /api/v1/.well-known/jwks.json`

use axum::{extract::State, response::IntoResponse};
use serde::Serialize;
use shared::{auth::PublishedKey, extract::Json};

use super::CACHEABLE;
use crate::Auth;

/// A JWK Set (RFC 7517, 5).
#[derive(Serialize)]
struct KeySet {
    keys: Vec<PublishedKey>,
}

/// The public keys of our access tokens. Symmetric keys are not among them:
/// where they sign, nobody else can check, and the set may be empty.
pub(crate) async fn jwks(State(auth): State<Auth>) -> impl IntoResponse {
    (CACHEABLE, Json(KeySet { keys: auth.app.verifier.published_keys(auth.app.clock.now()).await }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::{
        auth::Algorithm::{EdDsa, Es256, Hs256},
        testing::{Event, TestApp, TestDatabase, TestKeys},
    };

    #[tokio::test]
    async fn everybody_gets_the_public_keys_and_may_keep_them_for_ten_minutes() {
        let [es256, eddsa, hs256] = [Es256, EdDsa, Hs256].map(|algorithm| TestKeys::of(algorithm, algorithm.name()));
        let expected = json!({ "keys": [es256.public_jwk(), eddsa.public_jwk()] });
        let (secret, d) = (hs256.public_jwk()["k"].clone(), es256.private_jwk()["d"].clone());
        let keys = es256.beside(hs256.public_jwk()).beside(eddsa.public_jwk());
        // A private set, put where the public one belongs, still tells nothing.
        let misplaced = [("TOKEN_PUBLIC_KEYS_SECRET_ID", "token-private-keys")];
        for (keys, settings, expected) in [
            (keys, &[][..], expected),
            (TestKeys::of(Hs256, "one"), &[][..], json!({ "keys": [] })),
            (TestKeys::of(Hs256, "one"), &misplaced[..], json!({ "keys": [] })),
        ] {
            let app = TestApp::start_with(crate::routes(), TestDatabase::create().await, keys.into(), settings).await;
            let answer = app.send(Event::from_file("auth-jwks")).await;
            assert_eq!((answer.status.as_u16(), answer.json()), (200, expected), "{:?}", answer.log);
            assert_eq!(answer.header("cache-control"), "public, max-age=600");
            assert_eq!(answer.header("content-type"), "application/json");
            let text = String::from_utf8(answer.bytes.to_vec()).unwrap();
            for secret in [&secret, &d] {
                assert!(!text.contains(secret.as_str().unwrap()));
            }
        }
        let es256 = TestKeys::generate("one");
        let expected = json!({ "keys": [es256.public_jwk()] });
        let app = TestApp::start_with(crate::routes(), TestDatabase::create().await, es256.into(), &misplaced).await;
        assert_eq!(app.send(Event::from_file("auth-jwks")).await.json(), expected);
    }

    #[tokio::test]
    async fn a_token_is_checked_with_nothing_but_the_documents() {
        let app = TestApp::start(crate::routes()).await;
        let token = crate::trial::acme(&app).await.access;
        let issuer = &app.send(Event::from_file("auth-discovery")).await.json()["issuer"];
        let set: jsonwebtoken::jwk::JwkSet =
            serde_json::from_value(app.send(Event::from_file("auth-jwks")).await.json()).unwrap();
        let header = jsonwebtoken::decode_header(&token).unwrap();
        let key = jsonwebtoken::DecodingKey::from_jwk(set.find(&header.kid.unwrap()).unwrap()).unwrap();
        let mut rules = jsonwebtoken::Validation::new(header.alg);
        rules.set_issuer(&[issuer.as_str().unwrap()]);
        rules.set_audience(&["tenantry"]);
        let claims = jsonwebtoken::decode::<serde_json::Value>(&token, &key, &rules).unwrap().claims;
        assert_eq!(claims["role"], "admin");
    }
}
