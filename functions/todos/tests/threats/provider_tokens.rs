//! J1 to J13 of THREATS for access tokens of identity providers, but for what
//! stands in their claims (`provider_claims`).

use std::sync::Arc;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use shared::testing::{
    Event, Member, TestApp, TestDatabase, TestIssuer, TestKeys,
    federated::ON_LOOPBACK,
    provider::{DISCOVERY, KEYS},
};

use crate::tokens::{get, refused};

/// Every algorithm that a provider may sign by.
pub(crate) const ALGORITHMS: [&str; 4] = ["RS256", "PS256", "ES256", "EdDSA"];

pub(crate) struct World {
    pub(crate) app: TestApp<todos::Todos>,
    pub(crate) ada: Member,
    pub(crate) idp: TestIssuer,
}

/// A tenant that trusts a provider which signs by `algorithm`.
pub(crate) async fn world(algorithm: &'static str, changes: &Value) -> World {
    let keys = Arc::new(TestKeys::generate("test-key"));
    let app = TestApp::start_with(todos::routes(), TestDatabase::create().await, keys, &[ON_LOOPBACK]).await;
    let ada = app.tenant("acme").await;
    let idp = TestIssuer::start(algorithm);
    idp.register(&app.database, ada.tenant, changes).await;
    World { app, ada, idp }
}

impl World {
    /// The claims of a good token, with one claim changed, or taken away by null.
    pub(crate) fn claims(&self, changes: &Value) -> Value {
        let mut claims = self.idp.claims(&self.app, self.ada.tenant, "s-1");
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    pub(crate) fn without(&self, name: &str) -> Value {
        let mut claims = self.claims(&json!({}));
        claims.as_object_mut().unwrap().remove(name);
        claims
    }

    pub(crate) fn token(&self, changes: &Value) -> String {
        self.idp.sign(&self.claims(changes))
    }

    pub(crate) fn header(&self) -> String {
        json!({ "alg": self.idp.algorithm, "typ": "at+jwt", "kid": "k1" }).to_string()
    }

    pub(crate) fn raw(&self, header: &str, claims: &str) -> String {
        self.idp.key.sign_raw(self.idp.algorithm, header, claims)
    }

    pub(crate) async fn accepted(&self, token: &str, what: &str) {
        let answer = get(&self.app, token).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (200, "none".into()), "{what}: {:?}", answer.log);
    }

    /// Whether refused, and recorded in the tenant's trail if `recorded`.
    pub(crate) async fn refused(&self, token: &str, code: &str, recorded: bool, what: &str) {
        refused(&self.app, &self.ada, token, code, recorded, what).await;
    }
}

#[tokio::test]
async fn a_token_of_each_algorithm_is_accepted_and_its_caller_is_like_any_other() {
    for algorithm in ALGORITHMS {
        let world = world(algorithm, &json!({})).await;
        let token = world.token(&json!({}));
        world.accepted(&token, algorithm).await;
        let body = json!({ "title": "from outside" });
        let post = Event::post("/api/v1/todos", &body).bearer(&token).header("idempotency-key", "one");
        let created = world.app.send(post).await;
        assert_eq!(created.status, 201, "{:?}", created.log);
        let seen = get(&world.app, &token).await.json();
        assert_eq!(seen["items"][0]["title"], "from outside");
        assert_eq!(get(&world.app, &world.ada.token).await.json()["items"], json!([]), "another user's are not seen");
        assert_eq!(world.idp.calls(), 2, "discovery and keys, once");
    }
}

#[tokio::test]
async fn an_algorithm_that_is_not_allowed_is_refused_though_the_key_could() {
    let world = world("RS256", &json!({ "allowed_algorithms": ["PS256", "ES256"] })).await;
    world.refused(&world.token(&json!({})), "AUTH_001", false, "RS256").await;
    assert_eq!(world.idp.calls(), 0);
    let pss = world.idp.key.sign("PS256", &world.claims(&json!({})));
    world.accepted(&pss, "PS256").await;
}

#[tokio::test]
async fn j1_j12_a_signature_that_is_none_not_whole_or_zero_is_refused() {
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let world = world(algorithm, &json!({})).await;
        let token = world.token(&json!({}));
        let (message, signature) = token.rsplit_once('.').unwrap();
        let flipped = if signature.starts_with('A') { "B" } else { "A" };
        for (token, what) in [
            (format!("{message}."), "empty"),
            (message.to_owned(), "absent"),
            (format!("{message}.{}", &signature[..signature.len() - 4]), "short"),
            (format!("{message}.{signature}AAAA"), "too long"),
            (format!("{message}.{signature}="), "padded"),
            (format!("{message}.{flipped}{}", &signature[1..]), "changed"),
            (format!("{message}.{}", "A".repeat(signature.len())), "of zeros"),
            (
                format!("{message}.{}{}", "A".repeat(signature.len() / 2), &signature[signature.len() / 2..]),
                "r of zero",
            ),
        ] {
            world.refused(&token, "AUTH_001", false, &format!("{algorithm} {what}")).await;
        }
        for alg in ["none", "None", "NONE", "", "nOnE"] {
            let header = json!({ "alg": alg, "typ": "at+jwt", "kid": "k1" }).to_string();
            let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
            let message = format!("{}.{}", part(&header), part(&world.claims(&json!({})).to_string()));
            world.refused(&format!("{message}."), "AUTH_001", false, alg).await;
            world.refused(&format!("{message}.{signature}"), "AUTH_001", false, alg).await;
        }
        let stranger = TestIssuer::key(algorithm, "k1").sign(algorithm, &world.claims(&json!({})));
        world.refused(&stranger, "AUTH_001", false, "another key by the same name").await;
        world.accepted(&token, algorithm).await;
    }
}

#[tokio::test]
async fn j2_a_providers_public_key_is_no_secret_in_any_of_its_forms() {
    for algorithm in ["RS256", "ES256"] {
        let world = world(algorithm, &json!({})).await;
        world.accepted(&world.token(&json!({})), algorithm).await;
        let der = world.idp.key.public_der();
        let base64 = STANDARD.encode(&der);
        let jwk = world.idp.key.public_jwk();
        let number = jwk["n"].as_str().or(jwk["x"].as_str()).unwrap().to_owned();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{base64}\n-----END PUBLIC KEY-----\n");
        let claims = world.claims(&json!({})).to_string();
        for bytes in [der, base64.into(), pem.into(), jwk.to_string().into(), number.into()] {
            let hmac = TestKeys::of_secret("k1", bytes);
            for alg in ["HS256", algorithm] {
                let header = json!({ "alg": alg, "typ": "at+jwt", "kid": "k1" }).to_string();
                world.refused(&hmac.sign_raw(&header, &claims), "AUTH_001", false, alg).await;
            }
        }
    }
}

#[tokio::test]
async fn j3_j4_no_header_leads_anywhere_but_to_the_providers_own_keys() {
    for algorithm in ["RS256", "ES256"] {
        let world = world(algorithm, &json!({})).await;
        let elsewhere = TestIssuer::start(algorithm);
        let jwk = elsewhere.key.public_jwk();
        let claims = world.claims(&json!({})).to_string();
        for (name, value) in [
            ("jwk", jwk),
            ("jku", json!(elsewhere.provider.url(KEYS))),
            ("x5u", json!(elsewhere.provider.url("/x5u"))),
            ("x5c", json!(["MIIB"])),
        ] {
            let mut header = json!({ "alg": algorithm, "typ": "at+jwt", "kid": "k1" });
            header[name] = value;
            let forged = elsewhere.key.sign_raw(algorithm, &header.to_string(), &claims);
            world.refused(&forged, "AUTH_001", false, name).await;
            world.accepted(&world.raw(&header.to_string(), &claims), name).await;
        }
        for kid in
            [json!("../../keys"), json!("' OR 1=1 --"), json!("k\0"), json!("k".repeat(5_000)), json!(7), json!("")]
        {
            let header = json!({ "alg": algorithm, "typ": "at+jwt", "kid": kid }).to_string();
            world.refused(&world.raw(&header, &claims), "AUTH_001", false, &header).await;
        }
        assert_eq!(elsewhere.calls(), 0);
        let paths: Vec<_> = world.idp.provider.received().into_iter().map(|request| request.path).collect();
        assert_eq!(paths, [DISCOVERY, KEYS]);
    }
}

#[tokio::test]
async fn j5_j6_j9_a_header_that_asks_for_more_or_says_something_else_is_refused() {
    for algorithm in ["RS256", "ES256"] {
        let world = world(algorithm, &json!({})).await;
        let claims = world.claims(&json!({})).to_string();
        let with = |name: &str, value: Value| {
            let mut header = json!({ "alg": algorithm, "kid": "k1" });
            header[name] = value;
            header.to_string()
        };
        for header in [
            with("crit", json!(["exp"])),
            with("crit", json!([])),
            with("crit", json!(null)),
            with("b64", json!(false)),
            with("b64", json!(true)),
            with("typ", json!("id+jwt")),
            with("typ", json!("logout+jwt")),
            with("typ", json!("dpop+jwt")),
            with("typ", json!("")),
        ] {
            world.refused(&world.raw(&header, &claims), "AUTH_001", true, &header).await;
        }
        for header in [
            format!(r#"{{"alg":"{algorithm}","kid":"k1","alg":"{algorithm}"}}"#),
            format!(r#"{{"alg":"{algorithm}","kid":"k1","\u006bid":"k1"}}"#),
            format!(r#"{{"alg":"{algorithm}"}}"#),
        ] {
            world.refused(&world.raw(&header, &claims), "AUTH_001", false, &header).await;
        }
        for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "JWT"] {
            world.accepted(&world.raw(&with("typ", json!(typ)), &claims), typ).await;
        }
        world.accepted(&world.raw(&json!({ "alg": algorithm, "kid": "k1" }).to_string(), &claims), "no typ").await;
    }
}

#[tokio::test]
async fn j10_a_providers_token_that_is_too_large_or_too_deep_is_refused_at_once() {
    let world = world("ES256", &json!({})).await;
    let claims = world.claims(&json!({})).to_string();
    let open = claims.strip_suffix('}').unwrap();
    let large = world.raw(&world.header(), &format!("{open},\"pad\":\"{}\"}}", "x".repeat(8_000)));
    let deep = |depth| format!("{open},\"x\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
    let deep = world.raw(&world.header(), &deep(2_500));
    for (token, what) in [(large, "large"), (deep, "deep")] {
        let mut fastest = f64::MAX;
        for _ in 0..5 {
            let answer = get(&world.app, &token).await;
            assert_eq!(answer.code(), "AUTH_001", "{what}");
            fastest = fastest.min(answer.request_line()["duration_ms"].as_f64().unwrap());
        }
        assert!(fastest < 5.0, "{what}: {fastest} ms");
    }
    assert_eq!(world.idp.calls(), 0);
}

#[tokio::test]
async fn j11_an_unsound_key_is_as_if_it_were_not_there_and_its_siblings_work() {
    let world = world("ES256", &json!({})).await;
    let (sound, twice) = (world.idp.key.public_jwk(), TestIssuer::key("ES256", "twice"));
    let mut for_encryption = TestIssuer::key("ES256", "enc");
    let mut enc = for_encryption.public_jwk();
    enc["use"] = json!("enc");
    let mut off = TestIssuer::key("ES256", "off").public_jwk();
    off["y"] = off["x"].clone();
    world.idp.provider.set_keys(&[json!(7), off, enc, twice.public_jwk(), twice.public_jwk(), sound]);
    world.accepted(&world.token(&json!({})), "the sound one").await;
    for key in [&mut for_encryption, &mut TestIssuer::key("ES256", "off"), &mut { twice }] {
        world.refused(&key.sign("ES256", &world.claims(&json!({}))), "AUTH_001", false, "unsound").await;
    }
}

#[tokio::test]
async fn j13_two_tokens_of_a_provider_are_a_malformed_request() {
    let world = world("ES256", &json!({})).await;
    let token = world.token(&json!({}));
    for value in [format!("Bearer {token}, Bearer {token}"), format!("Bearer {token},Bearer {}", world.ada.token)] {
        let answer = world.app.send(Event::get("/api/v1/todos").header("authorization", &value)).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "REQ_001".into()));
    }
    assert_eq!(world.idp.calls(), 0);
}
