use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use shared::testing::{
    Answer, Event, Member, ProviderKey, TestApp, TestProvider,
    provider::{Behaviour, DISCOVERY, KEYS},
};

use crate::{
    Tenants,
    identity_providers::trial::{entra, get, least, local, registered, with},
};

fn test(target: &str, member: &Member) -> Event {
    Event::new(&Method::POST, &format!("{target}/test")).bearer(&member.token)
}

/// A tenant that has registered `provider`, and the provider's path.
async fn acme(provider: &TestProvider) -> (TestApp<Tenants>, Member, String) {
    let app = local().await;
    let ada = app.tenant("acme").await;
    let body = with(entra(), "issuer", json!(provider.issuer()));
    let (_, target) = registered(&app, &ada, &body).await;
    (app, ada, target)
}

async fn tested(app: &TestApp<Tenants>, member: &Member, target: &str) -> Value {
    let answer: Answer = app.send(test(target, member)).await;
    assert_eq!(answer.status, 200, "{:?}", answer.log);
    answer.json()
}

#[tokio::test]
async fn a_sound_provider_has_no_findings_and_its_test_is_recorded() {
    let key = ProviderKey::p256("one");
    let provider = TestProvider::start(&[key.public_jwk()]);
    let (app, ada, target) = acme(&provider).await;
    let found = tested(&app, &ada, &target).await;
    let one = json!({ "kid": "one", "kty": "EC", "alg": null, "usable": true });
    assert_eq!(
        found,
        json!({
            "issuer_matches": true, "jwks_uri": provider.url(KEYS), "keys": [one], "findings": [],
            "checked_at": found["checked_at"],
        })
    );
    assert!(found["checked_at"].as_str().unwrap().ends_with('Z'));
    let id = target.rsplit('/').next().unwrap().parse().ok();
    assert_eq!(app.trail(ada.tenant).await[1], ("identity_providers.test".into(), "success".into(), None, id));
    // What is looked at is what is there, not what was kept.
    provider.set_keys(&[]);
    assert_eq!(tested(&app, &ada, &target).await["keys"], json!([]));
    assert_eq!((provider.count(DISCOVERY), provider.count(KEYS)), (2, 2));
    assert_eq!(get(&app, &ada, &target).await.json()["version"], 1);
}

#[tokio::test]
async fn each_key_is_told_with_the_reason_why_it_is_not_usable() {
    let [p256, p384, ed] =
        [ProviderKey::p256("k"), ProviderKey::p384("k"), ProviderKey::ed25519("k")].map(|key| key.public_jwk());
    let named = |kid: &str, key: &Value| with(key.clone(), "kid", json!(kid));
    let but = |kid: &str, field: &str, value: Value| with(named(kid, &p256), field, value);
    let mut nameless = p256.clone();
    nameless.as_object_mut().unwrap().remove("kid");
    let unsound = "is not sound: RSA needs 2048 to 8192 bits, and other keys a point on their curve";
    let unused = "is of a type or curve that is not used here";
    let no_name = "has no kid of 1 to 256 bytes without control characters";
    let cases = [
        (named("good", &p256), None),
        (but("stated", "alg", json!("ES256")), None),
        (nameless, Some(no_name)),
        (named("a\u{1b}[31m", &p256), Some(no_name)),
        (named("same", &p256), Some("shares its kid with another key")),
        (named("same", &ed), Some("shares its kid with another key")),
        (but("enc", "use", json!("enc")), Some("is not for signatures, its use says")),
        (but("sign", "key_ops", json!(["sign"])), Some("is not for verification, its key_ops say")),
        (but("oct", "kty", json!("oct")), Some(unused)),
        (but("k1", "crv", json!("secp256k1")), Some(unused)),
        (json!("text"), Some(no_name)),
        (named("p384", &p384), Some("fits none of allowed_algorithms")),
        (named("ed", &ed), Some("fits none of allowed_algorithms")),
        (but("rs", "alg", json!("RS256")), Some("names an alg that is none of its type's")),
        (but("off", "y", p256["x"].clone()), Some(unsound)),
        (json!({ "kty": "RSA", "kid": "short", "n": "wQ", "e": "AQAB" }), Some(unsound)),
    ];
    let provider = TestProvider::start(&cases.clone().map(|(key, _)| key));
    let (app, ada, target) = acme(&provider).await;
    let found = tested(&app, &ada, &target).await;
    for (index, (key, reason)) in cases.iter().enumerate() {
        let found = &found["keys"][index];
        assert_eq!((&found["usable"], found["reason"].as_str()), (&json!(reason.is_none()), *reason), "{key}");
        assert!(found["kid"] == key["kid"] || *reason == Some(no_name), "{found}");
    }
    assert_eq!((found["keys"].as_array().unwrap().len(), &found["findings"]), (cases.len(), &json!([])));
}

#[tokio::test]
async fn k4_whatever_is_wrong_with_the_provider_is_a_finding_and_never_our_failure() {
    let provider = TestProvider::start(&[ProviderKey::p256("one").public_jwk()]);
    let (app, ada, target) = acme(&provider).await;
    let slow = || Behaviour::Slow(Duration::from_millis(500), json!({ "keys": [] }));
    for (path, behaviour, at, why) in [
        (DISCOVERY, Behaviour::Json(500, json!({})), "configuration", "is answered with the status 500."),
        (DISCOVERY, Behaviour::Html(200, "<html>".into()), "configuration", "is not the JSON that it should be."),
        (DISCOVERY, Behaviour::Json(200, json!({})), "configuration", "is not the JSON that it should be."),
        (DISCOVERY, Behaviour::Huge(2 << 20, false), "configuration", "is larger than 1 MiB."),
        (
            DISCOVERY,
            Behaviour::Redirect(302, provider.url(KEYS)),
            "configuration",
            "leads elsewhere, and redirects are not followed.",
        ),
        (DISCOVERY, Behaviour::Hang, "configuration", "takes too long."),
        (KEYS, Behaviour::Json(404, json!({})), "keys", "is answered with the status 404."),
        (KEYS, Behaviour::Json(200, json!({ "keys": {} })), "keys", "is not the JSON that it should be."),
        (KEYS, slow(), "keys", "takes too long."),
        (
            KEYS,
            Behaviour::Json(200, json!({ "keys": [] })),
            "keys",
            "No key is usable: no token of this provider can be checked.",
        ),
    ] {
        provider.set_discovery(&json!({}));
        provider.behave(path, behaviour.clone());
        let found = tested(&app, &ada, &target).await;
        let [finding] = found["findings"].as_array().unwrap().as_slice() else { panic!("{behaviour:?}: {found}") };
        assert_eq!(finding["at"], at, "{behaviour:?}");
        assert!(finding["message"].as_str().unwrap().ends_with(why), "{behaviour:?}: {finding}");
        assert_eq!(found["issuer_matches"], if at == "keys" { json!(true) } else { Value::Null }, "{behaviour:?}");
    }
}

#[tokio::test]
async fn k6_another_issuer_is_a_finding_and_its_keys_are_not_asked_for() {
    let provider = TestProvider::start(&[ProviderKey::p256("one").public_jwk()]);
    let (app, ada, target) = acme(&provider).await;
    let slash = format!("{}/", provider.issuer());
    for (stated, told) in [(slash.as_str(), format!(", but {slash}.")), ("a b", ".".to_owned())] {
        provider.set_discovery(&json!({ "issuer": stated }));
        let found = tested(&app, &ada, &target).await;
        let message = format!("The configuration does not state this issuer{told}");
        assert_eq!(found["findings"], json!([{ "at": "issuer", "message": message }]));
        assert_eq!((&found["issuer_matches"], &found["keys"]), (&json!(false), &json!([])));
    }
    assert_eq!(provider.count(KEYS), 0);
}

#[tokio::test]
async fn k7_keys_in_our_network_are_not_fetched_and_nothing_is_told_of_it() {
    let provider = TestProvider::start(&[]);
    let (app, ada, target) = acme(&provider).await;
    for host in ["10.0.0.1", "169.254.169.254", "[fd00:ec2::254]"] {
        provider.set_discovery(&json!({ "jwks_uri": format!("https://{host}/keys") }));
        let message = "The provider's key set is on a host that is not found on the public internet.";
        let found = tested(&app, &ada, &target).await;
        assert_eq!(found["findings"], json!([{ "at": "keys", "message": message }]), "{host}");
    }
    provider.set_discovery(&json!({ "jwks_uri": "file:///etc/passwd" }));
    let message = "The provider's key set has a URL that is not https, or holds what it may not.";
    assert_eq!(tested(&app, &ada, &target).await["findings"], json!([{ "at": "keys", "message": message }]));
    // Where loopback is closed, what was registered while it was open is called no more.
    let strict = app.another(crate::routes()).await;
    let before = provider.count(DISCOVERY);
    let found = tested(&strict, &ada, &target).await;
    assert_eq!((&found["findings"][0]["at"], provider.count(DISCOVERY)), (&json!("configuration"), before));
}

#[tokio::test]
async fn an_inactive_provider_is_tested_too_and_a_flood_of_tests_is_limited() {
    let provider = TestProvider::start(&[ProviderKey::p256("one").public_jwk()]);
    let app = local().await;
    let ada = app.tenant("acme").await;
    let body = with(with(least("off"), "issuer", json!(provider.issuer())), "status", json!("inactive"));
    let (_, target) = registered(&app, &ada, &body).await;
    for _ in 0..59 {
        assert_eq!(tested(&app, &ada, &target).await["findings"], json!([]));
    }
    let answer = app.send(test(&target, &ada)).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (429, "RATE_001"));
    assert_eq!(provider.count(DISCOVERY), 59);
}
