//! The claims of access tokens: J7 and J8 of THREATS, and our own.

use serde_json::{Value, json};
use shared::{
    Code,
    app::Group,
    testing::{Member, TestApp},
};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::tokens::{get, refused};

/// `member`'s claims with `change` made to them.
fn claims(app: &TestApp<todos::Todos>, member: &Member, change: impl FnOnce(&mut Value)) -> Value {
    let mut claims = app.claims(member);
    change(&mut claims);
    claims
}

#[tokio::test]
async fn j7_j8_a_claim_that_does_not_fit_is_refused() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let now = app.claims(&ada)["iat"].as_i64().unwrap();
    // Whether the tenant is known: not where the claims cannot be read, and
    // not by the word of another issuer.
    for (name, value, recorded) in [
        ("exp", json!("9999999999"), false),
        ("exp", json!(null), false),
        ("exp", json!(1e18), false),
        ("exp", json!(1_000_000_000_000_000_000_i64), true),
        ("exp", json!(i64::MAX), true),
        ("iat", json!(now.to_string()), false),
        ("iat", json!(null), false),
        ("iat", json!(now + 60), true),
        ("iat", json!(i64::MIN), true),
        ("nbf", json!("0"), false),
        ("nbf", json!(null), false),
        ("nbf", json!(1e18), false),
        ("nbf", json!(now + 60), true),
        ("aud", json!("another"), true),
        ("aud", json!(7), false),
        ("aud", json!(["tenantry", 7]), false),
        ("aud", json!(["tenantry"]), false),
        ("iss", json!("https://auth.example.com/api/v1/"), false),
        ("iss", json!("https://evil.example"), false),
        ("iss", json!(["https://auth.example.com/api/v1"]), false),
        ("sub", json!(""), false),
        ("sub", json!("ada"), false),
        ("sid", json!(null), false),
        ("jti", json!(7), false),
        ("role", json!("owner"), false),
        ("role", json!(["admin"]), false),
    ] {
        let token = app.keys.sign(&claims(&app, &ada, |claims| claims[name] = value.clone()));
        refused(&app, &ada, &token, "AUTH_001", recorded, &format!("{name} {value}")).await;
    }
    for name in ["iss", "sub", "aud", "exp", "iat", "jti", "sid", "role"] {
        let token = app.keys.sign(&claims(&app, &ada, |claims| {
            claims.as_object_mut().unwrap().remove(name);
        }));
        refused(&app, &ada, &token, "AUTH_001", false, name).await;
    }
}

#[tokio::test]
async fn j7_a_token_ends_to_the_second_and_lives_an_hour_at_most() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let hour =
        app.keys.sign(&claims(&app, &ada, |claims| claims["exp"] = (claims["iat"].as_i64().unwrap() + 3600).into()));
    assert_eq!(get(&app, &hour).await.status, 200);
    let longer =
        app.keys.sign(&claims(&app, &ada, |claims| claims["exp"] = (claims["iat"].as_i64().unwrap() + 3601).into()));
    refused(&app, &ada, &longer, "AUTH_004", true, "61 minutes").await;
    let now = app.keys.sign(&claims(&app, &ada, |claims| claims["exp"] = claims["iat"].clone()));
    refused(&app, &ada, &now, "AUTH_002", true, "exp equal to now").await;
    app.clock.advance(Duration::seconds(890));
    assert_eq!(get(&app, &ada.token).await.status, 200);
    app.clock.advance(Duration::seconds(11));
    let answer = get(&app, &ada.token).await;
    let exp = app.claims(&ada)["exp"].clone();
    assert!(
        exp.is_i64()
            && answer.json()["error"]["detail"].as_str().unwrap().starts_with("The access token expired at 20")
    );
    refused(&app, &ada, &ada.token, "AUTH_002", true, "expired").await;
}

#[tokio::test]
async fn the_second_of_exp_is_past_it() {
    let app = TestApp::start(todos::routes()).await;
    let start = OffsetDateTime::from_unix_timestamp(1_795_255_200).unwrap();
    let id = Uuid::nil();
    let claims = |iat: i64| {
        json!({ "iss": "https://auth.example.com/api/v1", "aud": "tenantry", "sub": id, "sid": id, "jti": id, "tenant_id": id,
                "role": "viewer", "iat": iat, "nbf": iat, "exp": iat + 900 })
    };
    let token = app.keys.sign(&claims(start.unix_timestamp()));
    let code = async |now| {
        app.group.app().unwrap().verifier.verify(&token, now).await.err().map(|refused| refused.error.code())
    };
    let (end, instant) = (start + Duration::seconds(900), Duration::microseconds(1));
    assert_eq!(code(end - instant).await, None);
    assert_eq!(code(end).await, Some(Code::TokenExpired));
    // Two environments' clocks may stand five seconds apart.
    assert_eq!(code(start - Duration::seconds(5)).await, None);
    assert_eq!(code(start - Duration::seconds(5) - instant).await, Some(Code::InvalidToken));
}
