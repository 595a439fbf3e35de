use serde_json::{Value, json};

use super::*;
use crate::testing::TestKeys;

const ALGORITHMS: [Algorithm; 3] = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Hs256];

fn set(keys: &[Value]) -> secrecy::SecretString {
    json!({ "keys": keys }).to_string().into()
}

/// What is wrong with a set as a private and as a public one.
fn faults(keys: &[Value]) -> [String; 2] {
    let fault = |fault: Option<KeyFault>| fault.map(|fault| fault.to_string()).unwrap_or_default();
    [fault(LocalKey::first_of(&set(keys)).err()), fault(VerifyingKeys::read(&set(keys)).err())]
}

fn with(key: &Value, name: &str, value: Value) -> Value {
    let mut key = key.clone();
    key[name] = value;
    key
}

#[tokio::test]
async fn a_set_may_hold_keys_of_every_algorithm_and_its_first_one_signs() {
    for first in ALGORITHMS {
        let keys: Vec<_> = [first].into_iter().chain(ALGORITHMS.into_iter().filter(|other| *other != first)).collect();
        let keys: Vec<_> = keys.into_iter().map(|algorithm| TestKeys::of(algorithm, algorithm.name())).collect();
        let mut private: Vec<_> = keys.iter().map(TestKeys::private_jwk).collect();
        // Members that only others know are theirs.
        private[0]["note"] = json!({ "d": 7 });
        let rotating = json!({ "keys": private, "rotation": { "keys": [] } }).to_string().into();
        let key = LocalKey::first_of(&rotating).unwrap();
        assert_eq!((key.kid(), key.algorithm()), (first.name(), first));
        let verifying = VerifyingKeys::read(&rotating).unwrap();
        for other in ALGORITHMS {
            let message = b"what is signed";
            let signature = base64::Engine::encode(
                &base64::engine::general_purpose::URL_SAFE_NO_PAD,
                key.sign(message).await.unwrap(),
            );
            let accepted = verifying.get(other.name()).unwrap().accepts(message, &signature);
            assert_eq!(accepted, other == first, "{first:?} for {other:?}");
        }
    }
}

#[test]
fn j11_a_bad_key_anywhere_in_a_set_is_named_as_the_sets_fault() {
    let [es256, eddsa, hs256] = ALGORITHMS.map(|algorithm| TestKeys::of(algorithm, algorithm.name()).private_jwk());
    let stranger = TestKeys::of(Algorithm::Es256, "other").private_jwk();
    let good = TestKeys::generate("good").private_jwk();
    let form = "has a key that is none of EC P-256, OKP Ed25519 and oct";
    let alg = "has a key whose alg is not the one of its kind (ES256, EdDSA, HS256)";
    let kid = "has a key whose kid is not 1 to 64 of A-Z, a-z, 0-9, - and _";
    let coordinate = "has a coordinate that is not 32 bytes of base64url";
    let short = "has a k that is not base64url of 32 bytes or more";
    for (bad, fault) in [
        (with(&es256, "kty", json!("RSA")), form),
        (with(&es256, "crv", json!("P-384")), form),
        (with(&es256, "crv", Value::Null), form),
        (with(&eddsa, "crv", json!("X25519")), form),
        (with(&hs256, "crv", json!("P-256")), form),
        (with(&es256, "alg", json!("HS256")), alg),
        (with(&hs256, "alg", json!("ES256")), alg),
        (with(&eddsa, "alg", json!("ES256")), alg),
        (with(&es256, "use", json!("enc")), "has a key whose use is not sig"),
        (with(&es256, "kid", json!("")), kid),
        (with(&es256, "kid", json!("../keys")), kid),
        (with(&es256, "kid", json!("k".repeat(65))), kid),
        (with(&es256, "x", json!("AAAA")), coordinate),
        (with(&es256, "y", Value::Null), coordinate),
        (with(&eddsa, "x", json!("=")), coordinate),
        (with(&es256, "d", json!("AAAA")), "has a d that is not 32 bytes of base64url"),
        (with(&hs256, "k", json!("czNjcmV0")), short),
        (with(&hs256, "k", Value::Null), short),
        (json!("s3cret"), "is not a JWK Set"),
        (json!({ "kty": "oct" }), "is not a JWK Set"),
    ] {
        assert_eq!(faults(&[good.clone(), bad.clone()]), [fault, fault], "{bad}");
    }
    // What only one of the two looks at.
    let off_the_curve = with(&es256, "x", eddsa["x"].clone());
    let fault = "has a key whose point is not on its curve";
    assert_eq!(faults(&[good.clone(), off_the_curve]), ["has a d that does not fit its public key", fault]);
    for (key, other) in [(&es256, &stranger), (&eddsa, &es256)] {
        let torn = with(key, "d", other["d"].clone());
        assert_eq!(faults(&[good.clone(), torn]), ["has a d that does not fit its public key", ""]);
    }
    let public = TestKeys::generate("public").public_jwk();
    assert_eq!(faults(&[good.clone(), public]), ["has a key without its private member d", ""]);
    assert_eq!(faults(&[]), ["has no key"; 2]);
    assert_eq!(faults(&[good.clone(), with(&hs256, "kid", json!("good"))]), ["has two keys with the same kid"; 2]);
}

#[test]
fn what_is_published_has_no_secret_member_and_no_symmetric_key() {
    let keys = ALGORITHMS.map(|algorithm| TestKeys::of(algorithm, algorithm.name()));
    // A private set, put where the public one belongs.
    let verifying = VerifyingKeys::read(&set(&keys.each_ref().map(TestKeys::private_jwk))).unwrap();
    let published = serde_json::to_value(verifying.published()).unwrap();
    assert_eq!(published, json!([keys[0].public_jwk(), keys[1].public_jwk()]));
}
