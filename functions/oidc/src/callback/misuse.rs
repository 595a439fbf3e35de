//! Sign-ins that are wrong: each is refused by one answer, which tells nothing.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use shared::testing::{ProviderKey, TestProvider};
use time::Duration;

use crate::trial::{Going, SECRET, Trial, assert_refused, callback, callback_at};

/// Makes a token of these claims that the provider did not.
type Forge<'a> = &'a dyn Fn(&Value) -> String;

async fn granted(trial: &Trial) -> Going {
    let going = trial.begin().await;
    trial.grant(&going, &trial.key.sign("ES256", &trial.claims(&going)));
    going
}

#[tokio::test]
async fn a_state_that_is_missing_foreign_or_given_twice_is_refused() {
    let trial = Trial::start().await;
    let (going, other) = (granted(&trial).await, trial.begin().await);
    let state = &*going.query["state"];
    for (what, query) in [
        ("none", vec![("code", "c-1")]),
        ("empty", vec![("code", "c-1"), ("state", "")]),
        ("another sign-in's", vec![("code", "c-1"), ("state", &*other.query["state"])]),
        ("cut", vec![("code", "c-1"), ("state", &state[1..])]),
        ("twice", vec![("code", "c-1"), ("state", state), ("state", state)]),
        ("two codes", vec![("code", "c-1"), ("code", "c-2"), ("state", state)]),
        ("two issuers", vec![("code", "c-1"), ("state", state), ("iss", "a"), ("iss", "b")]),
    ] {
        let answer = trial.app.send(going.back_with(&query)).await;
        assert_refused(&answer, what);
        assert_eq!(answer.header("set-cookie"), "", "{what}: a stranger's answer does not end what is under way");
    }
    assert_eq!((trial.provider.count("/token"), trial.sessions().await), (0, 0));
    let records = trial.trail().await;
    assert_eq!(records.len(), 7);
    assert!(records.iter().all(|record| record.0 == "auth.oidc.login" && record.1 == "failure"), "{records:?}");
    assert_eq!(trial.app.send(going.back()).await.status, 200, "the right one is still good");
}

#[tokio::test]
async fn a_state_is_used_once_also_where_the_sign_in_failed() {
    let trial = Trial::start().await;
    let going = granted(&trial).await;
    assert_eq!(trial.app.send(going.back()).await.status, 200);
    let again = trial.app.send(going.back()).await;
    assert_refused(&again, "replayed");
    let failed = trial.begin().await;
    trial.grant(&failed, "no token");
    assert_refused(&trial.app.send(failed.back()).await, "no token");
    trial.grant(&failed, &trial.key.sign("ES256", &trial.claims(&failed)));
    assert_refused(&trial.app.send(failed.back()).await, "another code for the same state");
    assert_eq!((trial.provider.count("/token"), trial.sessions().await), (2, 1));
}

#[tokio::test]
async fn a_sign_in_takes_ten_minutes_at_most() {
    let trial = Trial::start().await;
    let going = granted(&trial).await;
    trial.app.clock.advance(Duration::minutes(10));
    assert_refused(&trial.app.send(going.back()).await, "expired");
    assert_eq!((trial.of_nobody().await, trial.provider.count("/token")), (1, 0));
}

#[tokio::test]
async fn the_answer_is_the_browsers_that_began_and_its_cookie_is_sealed() {
    let trial = Trial::start().await;
    let (going, other) = (granted(&trial).await, trial.begin().await);
    let query = [("code", "c-1"), ("state", &*going.query["state"])];
    let send = async |cookies: &[String]| trial.app.send(callback(&query).cookies(cookies)).await;
    assert_refused(&send(&[]).await, "no cookie");
    assert_refused(&send(std::slice::from_ref(&other.cookie)).await, "another browser's");
    assert_refused(&send(&[going.cookie.clone(), other.cookie.clone()]).await, "two");
    let (name, value) = going.cookie.split_once('=').unwrap();
    assert!(!going.cookie.contains(&going.query["state"]) && name == "__Host-sign-in");
    for position in (0..value.len()).step_by(7) {
        let mut changed = value.as_bytes().to_vec();
        changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
        let changed = format!("{name}={}", String::from_utf8(changed).unwrap());
        assert_refused(&send(&[changed]).await, "altered");
    }
    let elsewhere = going.back().edit(|event| {
        let path = "/api/v1/auth/oidc/okta/callback";
        (event["rawPath"], event["requestContext"]["http"]["path"]) = (path.into(), path.into());
    });
    assert_refused(&trial.app.send(elsewhere).await, "another provider's callback");
    assert_eq!((trial.provider.count("/token"), trial.sessions().await), (0, 0));
    assert_eq!(send(std::slice::from_ref(&going.cookie)).await.status, 200);
}

#[tokio::test]
async fn the_issuer_of_the_answer_is_checked_as_rfc_9207_has_it() {
    let trial = Trial::start().await;
    let issuer = trial.provider.issuer();
    let send = async |iss: Option<&str>| {
        let going = granted(&trial).await;
        let mut query = vec![("code", "c-1"), ("state", &*going.query["state"])];
        query.extend(iss.map(|iss| ("iss", iss)));
        trial.app.send(going.back_with(&query)).await
    };
    assert_eq!((send(Some(&issuer)).await.status.as_u16(), send(None).await.status.as_u16()), (200, 200));
    for other in ["https://evil.example", "", &format!("{issuer}/")] {
        assert_refused(&send(Some(other)).await, other);
    }
    trial.provider.set_discovery(&json!({ "authorization_response_iss_parameter_supported": true }));
    trial.app.clock.advance(Duration::minutes(11));
    assert_refused(&send(None).await, "left out where it is promised");
    assert_eq!(send(Some(&issuer)).await.status, 200);
    assert_eq!(trial.provider.count("/token"), 3, "a code is never sent to another than who gave it");
}

/// A mix-up (RFC 9700, 4.4): another tenant registers a provider by the same
/// name, which sends its visitors on to acme's. Most providers state no `iss`, so
/// it is the redirect URI that tells whose the code is.
#[tokio::test]
async fn k6_a_code_of_one_tenants_provider_is_never_sent_to_another_tenants_of_that_name() {
    let trial = Trial::start().await;
    let eve = trial.app.tenant("evil").await;
    let evil = TestProvider::start(&[ProviderKey::p256("k-1").public_jwk()]);
    trial.register(eve.tenant, "entra").await;
    let of_eve = "UPDATE identity_providers SET issuer = $2 WHERE tenant_id = $1";
    let of_eve = sqlx::query(of_eve).bind(eve.tenant).bind(evil.issuer());
    of_eve.execute(&mut trial.app.superuser().await).await.unwrap();
    // Eve's own sign-in at acme's provider, with the challenge that she needs the code for.
    let eves = granted(&trial).await;
    let victims = Going::of(&trial.login(&[("tenant", "evil")]).await);
    assert!(victims.url.starts_with(&evil.url("/authorize?")));
    let query = [("code", "c-1"), ("state", &*victims.query["state"])];
    let answer = callback_at(&eves.query["redirect_uri"], &query).cookies(std::slice::from_ref(&victims.cookie));
    assert_refused(&trial.app.send(answer).await, "acme's code, in a sign-in at evil's");
    assert_eq!((evil.count("/token"), trial.provider.count("/token")), (0, 0));
    // What eve may have instead is a redirect URI that acme's provider does not know.
    assert_ne!(victims.query["redirect_uri"], eves.query["redirect_uri"]);
    assert_eq!(trial.app.send(eves.back()).await.status, 200);
}

#[tokio::test]
async fn an_error_of_the_provider_is_told_to_nobody() {
    let trial = Trial::start().await;
    for error in ["access_denied", "login_required", "<script>WORDS-OF-THEIRS</script>"] {
        let going = granted(&trial).await;
        let query = [("error", error), ("error_description", "WORDS-OF-THEIRS"), ("state", &going.query["state"])];
        let answer = trial.app.send(going.back_with(&query)).await;
        assert_refused(&answer, error);
        assert!(answer.header("set-cookie").starts_with("__Host-sign-in=; "), "it is over");
    }
    let going = granted(&trial).await;
    assert_refused(&trial.app.send(going.back_with(&[("state", &going.query["state"])])).await, "no code");
    assert_eq!(trial.provider.count("/token"), 0);
}

#[tokio::test]
async fn a_code_is_worth_nothing_without_the_verifier_it_was_asked_for_with() {
    let trial = Trial::start().await;
    let (going, other) = (trial.begin().await, trial.begin().await);
    // The provider gave the code out to the other browser, and checks.
    trial.grant(&other, &trial.key.sign("ES256", &trial.claims(&going)));
    assert_refused(&trial.app.send(going.back()).await, "another browser's code");
    assert_eq!((trial.provider.count("/token"), trial.sessions().await), (1, 0));
}

#[tokio::test]
async fn an_id_token_that_is_not_for_this_sign_in_is_refused() {
    let trial = Trial::start().await;
    let now = shared::clock::Clock::now(&*trial.app.clock).unix_timestamp();
    for changed in [
        json!({ "nonce": "another" }),
        json!({ "nonce": null }),
        json!({ "nonce": 7 }),
        json!({ "iss": "https://evil.example" }),
        json!({ "iss": format!("{}/", trial.provider.issuer()) }),
        json!({ "iss": [trial.provider.issuer()] }),
        json!({ "aud": "client-2" }),
        json!({ "aud": "api://tenantry" }),
        json!({ "aud": null }),
        json!({ "aud": [] }),
        json!({ "aud": ["client-1", 7] }),
        json!({ "aud": ["client-1", "client-2"] }),
        json!({ "aud": ["client-1", "client-2"], "azp": "client-2" }),
        json!({ "azp": "client-2" }),
        json!({ "exp": now - 1 }),
        json!({ "exp": null }),
        json!({ "exp": "soon" }),
        json!({ "iat": now + 120 }),
        json!({ "iat": now - 720 }),
        json!({ "iat": null }),
        json!({ "nbf": now + 120 }),
        json!({ "at_hash": "AAAAAAAAAAAAAAAAAAAAAA" }),
        json!({ "sub": "" }),
        json!({ "sub": null }),
        json!({ "sub": "a\u{0}b" }),
        json!({ "sub": "x".repeat(256) }),
        json!({ "events": {} }),
    ] {
        assert_refused(&trial.sign_in(&changed).await, &changed.to_string());
    }
    assert_eq!(trial.sessions().await, 0);
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"THEIR-ACCESS-TOKEN");
    let good = json!({ "aud": ["client-1", "other"], "azp": "client-1", "at_hash": URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16]) });
    assert_eq!(trial.sign_in(&good).await.status, 200);
}

#[tokio::test]
async fn an_id_token_that_the_provider_did_not_sign_is_refused() {
    let trial = Trial::start().await;
    let (stranger, rsa) = (ProviderKey::p256("k-1"), ProviderKey::p256("k-9"));
    let raw = |header: Value, claims: &Value| {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}", part(&header), part(claims))
    };
    let hmac_by = |secret: &[u8], message: &str| {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
    };
    let forged: [(&str, Forge<'_>); 10] = [
        ("none", &|claims| format!("{}.", raw(json!({ "alg": "none" }), claims))),
        ("none with a kid", &|claims| format!("{}.", raw(json!({ "alg": "none", "kid": "k-1" }), claims))),
        ("HS256 by the client secret", &|claims| {
            hmac_by(SECRET.as_bytes(), &raw(json!({ "alg": "HS256", "kid": "k-1" }), claims))
        }),
        ("HS256 by the public key", &|claims| {
            hmac_by(&trial.key.public_der(), &raw(json!({ "alg": "HS256", "kid": "k-1" }), claims))
        }),
        ("a stranger's key", &|claims| stranger.sign("ES256", claims)),
        ("an unknown kid", &|claims| rsa.sign("ES256", claims)),
        ("a key of its own", &|claims| {
            let header = json!({ "alg": "ES256", "kid": "k-1", "jwk": stranger.public_jwk() });
            stranger.sign_raw("ES256", &header.to_string(), &claims.to_string())
        }),
        ("crit", &|claims| {
            trial.key.sign_raw("ES256", r#"{"alg":"ES256","kid":"k-1","crit":["exp"]}"#, &claims.to_string())
        }),
        ("an access token", &|claims| {
            trial.key.sign_raw("ES256", r#"{"alg":"ES256","kid":"k-1","typ":"at+jwt"}"#, &claims.to_string())
        }),
        ("a claim twice", &|claims| {
            let twice = claims.to_string().replacen('{', r#"{"nonce":"x","#, 1);
            trial.key.sign_raw("ES256", r#"{"alg":"ES256","kid":"k-1"}"#, &twice)
        }),
    ];
    for (what, forge) in forged {
        let going = trial.begin().await;
        trial.grant(&going, &forge(&trial.claims(&going)));
        assert_refused(&trial.app.send(going.back()).await, what);
    }
    trial.sql("UPDATE identity_providers SET allowed_algorithms = '{RS256}'").await;
    assert_refused(&trial.sign_in(&json!({})).await, "an algorithm that is not allowed");
    for text in ["", "a", "a.b", "a.b.c", "...", &"a".repeat(20_000)] {
        let going = trial.begin().await;
        trial.grant(&going, text);
        assert_refused(&trial.app.send(going.back()).await, text);
    }
    assert_eq!(trial.sessions().await, 0);
}

#[tokio::test]
async fn k6_a_tenants_provider_may_not_speak_for_another_tenant() {
    let trial = Trial::start().await;
    let eve = trial.app.tenant("evil").await;
    for claims in [
        json!({ "tenant_id": eve.tenant }),
        json!({ "organization_id": eve.tenant }),
        json!({ "tenant_id": trial.ada.tenant, "organization_id": eve.tenant }),
        json!({ "tenant_id": [trial.ada.tenant] }),
        json!({ "tenant_id": "" }),
    ] {
        let answer = trial.sign_in(&claims).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (403, "TEN_003"), "{claims}");
    }
    let denied = trial.trail().await.into_iter().filter(|record| record.2.as_deref() == Some("TEN_003"));
    assert_eq!((denied.count(), trial.sessions().await), (5, 0));
    assert_eq!(trial.sign_in(&json!({ "tenant_id": trial.ada.tenant })).await.status, 200);
    trial.sql("UPDATE identity_providers SET tenant_claim = 'custom:tenant_id'").await;
    assert_eq!(trial.sign_in(&json!({ "tenant_id": eve.tenant })).await.status, 200, "which is not the claim");
    assert_eq!(trial.sign_in(&json!({ "custom:tenant_id": eve.tenant })).await.code(), "TEN_003");
}

#[tokio::test]
async fn a_provider_that_was_changed_or_a_tenant_that_was_suspended_meanwhile_ends_the_sign_in() {
    let trial = Trial::start().await;
    for change in [
        "UPDATE identity_providers SET issuer = 'https://other.example.com'",
        "UPDATE identity_providers SET status = 'inactive'",
        "UPDATE tenants SET status = 'suspended' WHERE slug = 'acme'",
    ] {
        let going = granted(&trial).await;
        trial.sql(change).await;
        assert_refused(&trial.app.send(going.back()).await, change);
        let issuer = trial.provider.issuer();
        trial.sql(&format!("UPDATE identity_providers SET issuer = '{issuer}', status = 'active'")).await;
    }
    assert_eq!(trial.provider.count("/token"), 0);
}
