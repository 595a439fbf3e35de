//! K2, K3, K5 and K6, J3, J4 and J11: which keys are given, and for how long.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm::{self, ES256, EdDSA, HS256, PS256, RS256};
use serde_json::{Value, json};
use shared::{
    Code,
    testing::{ProviderKey, TestProvider, provider},
};

use crate::environment::{World, ask, fetches, key};

/// Whether `token` was signed by the key that the provider has for its header.
async fn verifies(keys: &shared::auth::ProviderKeys, issuer: &str, token: &str) -> Result<bool, Code> {
    let (message, signature) = token.rsplit_once('.').unwrap();
    let header = URL_SAFE_NO_PAD.decode(message.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    let alg: Algorithm = header["alg"].as_str().unwrap().parse().unwrap();
    let key = key(keys, issuer, header["kid"].as_str().unwrap(), alg).await?;
    Ok(jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, alg).unwrap_or(false))
}

#[tokio::test]
async fn tokens_of_every_kind_of_key_verify_and_the_keys_are_fetched_once() {
    let pairs = [ProviderKey::rsa("r"), ProviderKey::p256("p"), ProviderKey::ed25519("e")];
    let provider = TestProvider::start(&pairs.each_ref().map(ProviderKey::public_jwk));
    let world = World::new().await;
    let keys = world.environment().await;
    for (pair, alg) in [(&pairs[0], "RS256"), (&pairs[0], "PS256"), (&pairs[1], "ES256"), (&pairs[2], "EdDSA")] {
        let token = pair.sign(alg, &json!({ "sub": "ada" }));
        assert_eq!(verifies(&keys, &provider.issuer(), &token).await, Ok(true), "{alg}");
    }
    assert_eq!(ask(&keys, &provider.issuer(), "r", ES256).await, Err(Code::InvalidToken));
    assert_eq!(ask(&keys, &provider.issuer(), "p", RS256).await, Err(Code::InvalidToken));
    assert_eq!(fetches(&provider), (1, 1));
}

#[tokio::test]
async fn j3_a_key_of_the_tokens_own_is_ignored_and_nobody_is_called_for_it() {
    let (own, foreign) = (ProviderKey::p256("k"), ProviderKey::p256("k"));
    let provider = TestProvider::start(&[own.public_jwk()]);
    let attacker = TestProvider::start(&[foreign.public_jwk()]);
    let world = World::new().await;
    let keys = world.environment().await;
    for extra in [
        json!({ "jwk": foreign.public_jwk() }),
        json!({ "jku": attacker.url(provider::KEYS) }),
        json!({ "x5u": attacker.url("/certificate") }),
        json!({ "x5c": [attacker.url("/certificate")] }),
    ] {
        let mut header = json!({ "alg": "ES256", "kid": "k" });
        header.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let token = foreign.sign_raw("ES256", &header.to_string(), "{}");
        assert_eq!(verifies(&keys, &provider.issuer(), &token).await, Ok(false), "{extra}");
    }
    assert!(attacker.received().is_empty());
}

#[tokio::test]
async fn j4_a_kid_of_a_form_that_no_provider_has_causes_no_look_up_at_all() {
    let provider = TestProvider::start(&[ProviderKey::p256("k").public_jwk()]);
    let world = World::new().await;
    let keys = world.environment().await;
    for kid in ["", "\0", "k\0", "k\n", "\u{1b}[31m", "\u{85}", &"k".repeat(257), &"k".repeat(10_000)] {
        assert_eq!(ask(&keys, &provider.issuer(), kid, ES256).await, Err(Code::InvalidToken));
    }
    assert_eq!(ask(&keys, &provider.issuer(), "k", HS256).await, Err(Code::InvalidToken));
    assert!(provider.received().is_empty());
    let rows = "SELECT count(*) FROM app.provider_keys";
    let rows: i64 = sqlx::query_scalar(rows).fetch_one(&mut world.database.superuser().await).await.unwrap();
    assert_eq!(rows, 0, "not even the shared copy is asked");
    // What looks like a path or SQL is a name like any other: unknown.
    for kid in ["../../k", "' OR 1=1 --", "/etc/passwd", "https://evil.example/k"] {
        assert_eq!(ask(&keys, &provider.issuer(), kid, ES256).await, Err(Code::InvalidToken));
    }
    assert_eq!(fetches(&provider), (1, 1));
}

#[tokio::test]
async fn j11_k5_one_unreadable_key_among_good_ones_costs_nobody_anything() {
    let (good, other) = (ProviderKey::p256("good"), ProviderKey::ed25519("other"));
    let mut small = ProviderKey::rsa("small").public_jwk();
    small["n"] = URL_SAFE_NO_PAD.encode([0xff; 128]).into();
    let mut off_curve = ProviderKey::p256("off-curve").public_jwk();
    off_curve["y"] = off_curve["x"].clone();
    let (twice, again) = (ProviderKey::p256("twice").public_jwk(), ProviderKey::p256("twice").public_jwk());
    let mut encryption = ProviderKey::p256("encryption").public_jwk();
    encryption["use"] = "enc".into();
    let set = [json!("?"), small, good.public_jwk(), off_curve, twice, encryption, again, other.public_jwk()];
    let provider = TestProvider::start(&set);
    let world = World::new().await;
    for keys in [world.environment().await, world.environment().await] {
        assert_eq!(verifies(&keys, &provider.issuer(), &good.sign("ES256", &json!({}))).await, Ok(true));
        assert_eq!(verifies(&keys, &provider.issuer(), &other.sign("EdDSA", &json!({}))).await, Ok(true));
        for (kid, alg) in
            [("small", RS256), ("small", PS256), ("off-curve", ES256), ("twice", ES256), ("encryption", ES256)]
        {
            assert_eq!(ask(&keys, &provider.issuer(), kid, alg).await, Err(Code::InvalidToken), "{kid}");
        }
    }
    assert_eq!(fetches(&provider), (1, 1));
}

#[tokio::test]
async fn k2_a_key_that_was_rotated_in_just_before_is_accepted_the_first_time_off_the_cooldown() {
    let (old, new) = (ProviderKey::p256("old"), ProviderKey::p256("new"));
    let provider = TestProvider::start(&[old.public_jwk()]);
    let (world, issuer) = (World::new().await, provider.issuer());
    let (one, other) = (world.environment().await, world.environment().await);
    assert_eq!(verifies(&one, &issuer, &old.sign("ES256", &json!({}))).await, Ok(true));
    assert_eq!(verifies(&other, &issuer, &old.sign("ES256", &json!({}))).await, Ok(true));
    provider.set_keys(&[old.public_jwk(), new.public_jwk()]);
    let token = new.sign("ES256", &json!({}));
    world.wait_seconds(29);
    for keys in [&one, &other] {
        assert_eq!(verifies(keys, &issuer, &token).await, Err(Code::InvalidToken), "on the cooldown");
    }
    assert_eq!(fetches(&provider), (1, 1));
    world.wait_seconds(1);
    for keys in [&one, &other, &world.environment().await] {
        assert_eq!(verifies(keys, &issuer, &token).await, Ok(true));
    }
    assert_eq!(fetches(&provider), (2, 2), "the others have it from the shared copy");
}

#[tokio::test]
async fn k3_a_key_that_was_taken_from_the_set_is_refused_after_ten_minutes_everywhere() {
    let (stolen, kept) = (ProviderKey::p256("stolen").public_jwk(), ProviderKey::p256("kept").public_jwk());
    let provider = TestProvider::start(&[stolen, kept.clone()]);
    let (world, issuer) = (World::new().await, provider.issuer());
    let (one, other) = (world.environment().await, world.environment().await);
    assert_eq!(ask(&one, &issuer, "stolen", ES256).await, Ok(()));
    provider.set_keys(&[kept]);
    world.wait_seconds(5 * 60);
    assert_eq!(ask(&other, &issuer, "stolen", ES256).await, Ok(()), "from the shared copy, with the age that it has");
    world.wait_seconds(5 * 60 - 5);
    assert_eq!(ask(&one, &issuer, "stolen", ES256).await, Ok(()));
    assert_eq!(fetches(&provider), (1, 1));
    world.wait_seconds(5);
    for keys in [&other, &one, &world.environment().await] {
        assert_eq!(ask(keys, &issuer, "stolen", ES256).await, Err(Code::InvalidToken));
        assert_eq!(ask(keys, &issuer, "kept", ES256).await, Ok(()));
    }
    assert_eq!(fetches(&provider), (2, 2));
}

#[tokio::test]
async fn k6_who_names_another_issuer_in_its_configuration_has_no_keys_until_that_is_mended() {
    let provider = TestProvider::start(&[ProviderKey::p256("k").public_jwk()]);
    let (world, issuer) = (World::new().await, provider.issuer());
    let keys = world.environment().await;
    assert_eq!(ask(&keys, &issuer, "k", ES256).await, Ok(()));
    for other in [format!("{issuer}/"), issuer.to_uppercase(), issuer.replace("127.0.0.1", "localhost"), String::new()]
    {
        provider.set_discovery(&json!({ "issuer": other }));
        world.wait_seconds(10 * 60);
        for keys in [&keys, &world.environment().await] {
            assert_eq!(ask(keys, &issuer, "k", ES256).await, Err(Code::InvalidToken), "{other}");
        }
    }
    assert_eq!(fetches(&provider), (5, 1), "the keys of another are not even fetched");
    provider.set_discovery(&json!({}));
    world.wait_seconds(30);
    assert_eq!(ask(&keys, &issuer, "k", ES256).await, Ok(()));
}

#[tokio::test]
async fn an_issuer_with_a_trailing_slash_is_another_one_and_its_configuration_is_found() {
    let provider = TestProvider::start(&[ProviderKey::p256("k").public_jwk()]);
    let (world, issuer) = (World::new().await, format!("{}/", provider.issuer()));
    provider.set_discovery(&json!({ "issuer": issuer }));
    let keys = world.environment().await;
    assert_eq!(ask(&keys, &issuer, "k", ES256).await, Ok(()));
    assert_eq!(ask(&keys, &provider.issuer(), "k", ES256).await, Err(Code::InvalidToken));
}

#[tokio::test]
async fn two_issuers_never_share_keys() {
    let (ours, theirs) = (ProviderKey::ed25519("k"), ProviderKey::ed25519("k"));
    let a = TestProvider::start(&[ours.public_jwk(), ProviderKey::p256("only-a").public_jwk()]);
    let b = TestProvider::start(&[theirs.public_jwk()]);
    let world = World::new().await;
    for keys in [world.environment().await, world.environment().await] {
        let token = ours.sign("EdDSA", &json!({}));
        assert_eq!(verifies(&keys, &a.issuer(), &token).await, Ok(true));
        assert_eq!(verifies(&keys, &b.issuer(), &token).await, Ok(false));
        assert_eq!(verifies(&keys, &b.issuer(), &theirs.sign("EdDSA", &json!({}))).await, Ok(true));
        assert_eq!(ask(&keys, &b.issuer(), "only-a", ES256).await, Err(Code::InvalidToken));
        assert_eq!(ask(&keys, &a.issuer(), "k", EdDSA).await, Ok(()));
    }
    assert_eq!((fetches(&a), fetches(&b)), ((1, 1), (1, 1)));
}
