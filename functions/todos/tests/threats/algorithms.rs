//! Keys of several algorithms side by side: J1, J2 and J12 of THREATS.

use std::{collections::BTreeMap, sync::Arc};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use shared::{
    auth::Algorithm::{EdDsa, Es256, Hs256},
    testing::{Member, TestApp, TestDatabase, TestKeys},
};

use crate::tokens::{get, refused};

/// DER of a `SubjectPublicKeyInfo` up to the point (RFC 5480, RFC 8410).
const P256_INFO: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04";
const ED25519_INFO: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

struct Setting {
    app: TestApp<todos::Todos>,
    ada: Member,
    keys: BTreeMap<&'static str, Arc<TestKeys>>,
}

/// A function whose set has a key of each algorithm, under its name as `kid`.
async fn setting() -> Setting {
    let [es256, eddsa, hs256] = [Es256, EdDsa, Hs256].map(|algorithm| TestKeys::of(algorithm, algorithm.name()));
    let keys = [es256.beside(eddsa.public_jwk()).beside(hs256.public_jwk()), eddsa, hs256].map(Arc::new);
    let app = TestApp::start_with(todos::routes(), TestDatabase::create().await, keys[0].clone(), &[]).await;
    let ada = app.tenant("acme").await;
    Setting { app, ada, keys: keys.map(|key| (key.algorithm().name(), key)).into() }
}

fn header(alg: &str, kid: &str) -> String {
    json!({ "alg": alg, "typ": "at+jwt", "kid": kid }).to_string()
}

#[tokio::test]
async fn each_key_takes_its_own_algorithm_and_refuses_every_other() {
    let Setting { app, ada, keys } = setting().await;
    let claims = app.claims(&ada).to_string();
    for kid in keys.keys() {
        for (signed_by, key) in &keys {
            for named in keys.keys().copied().chain(["none", "", "ES384", "RS256", "eddsa", "Ed25519", "HS512"]) {
                let token = key.sign_raw(&header(named, kid), &claims);
                let what = format!("{kid} for {named} signed by {signed_by}");
                if kid == signed_by && kid == &named {
                    assert_eq!(get(&app, &token).await.status, 200, "{what}");
                } else {
                    refused(&app, &ada, &token, "AUTH_001", false, &what).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn j2_a_public_key_is_no_secret_in_any_of_its_forms() {
    let Setting { app, ada, keys } = setting().await;
    let claims = app.claims(&ada).to_string();
    for (kid, info) in [("ES256", P256_INFO), ("EdDSA", ED25519_INFO)] {
        let jwk = keys[kid].public_jwk();
        let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap_or_default()).unwrap();
        let point = [coordinate("x"), coordinate("y")].concat();
        let der = [info, &point].concat();
        let base64 = STANDARD.encode(&der);
        let lines: Vec<_> = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", lines.join("\n"));
        let forms: [(&str, Vec<u8>); 8] = [
            ("PEM", pem.clone().into()),
            ("PEM with its last line break", format!("{pem}\n").into()),
            ("DER", der),
            ("base64 of DER", base64.into()),
            ("the uncompressed point", [&[0x04], &point[..]].concat()),
            ("the bare point", point),
            ("JWK", jwk.to_string().into()),
            ("x of the JWK", jwk["x"].as_str().unwrap().into()),
        ];
        for (form, bytes) in forms {
            let hmac = TestKeys::of_secret(kid, bytes);
            for named in ["HS256", kid] {
                let token = hmac.sign_raw(&header(named, kid), &claims);
                refused(&app, &ada, &token, "AUTH_001", false, &format!("{named} with the {form} of {kid}")).await;
            }
        }
    }
}

#[tokio::test]
async fn j12_a_signature_of_zeros_is_refused_by_every_key() {
    let Setting { app, ada, keys } = setting().await;
    let claims = app.claims(&ada).to_string();
    for (kid, key) in &keys {
        let token = key.sign_raw(&header(kid, kid), &claims);
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let half = signature.len() / 2;
        for (zeroed, what) in [(0..half, "r"), (half..2 * half, "s"), (0..2 * half, "both")] {
            let mut changed = signature.clone();
            changed[zeroed].fill(0);
            let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(changed));
            refused(&app, &ada, &token, "AUTH_001", false, &format!("{kid}, {what} of zero")).await;
        }
    }
}

#[tokio::test]
async fn an_algorithm_that_is_no_text_is_refused() {
    let Setting { app, ada, keys } = setting().await;
    let claims = app.claims(&ada).to_string();
    for alg in [json!(null), json!(["HS256"]), json!({ "alg": "HS256" }), json!(256), Value::Bool(true)] {
        let header = json!({ "alg": alg, "typ": "at+jwt", "kid": "HS256" }).to_string();
        refused(&app, &ada, &keys["HS256"].sign_raw(&header, &claims), "AUTH_001", false, &alg.to_string()).await;
    }
}
