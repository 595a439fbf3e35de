//! J6 to J9 of THREATS for the claims of identity providers' access tokens.

use serde_json::{Value, json};
use time::Duration;

use crate::provider_tokens::world;

#[tokio::test]
async fn j6_a_claim_that_stands_twice_is_refused_in_any_spelling() {
    let world = world("ES256", &json!({})).await;
    let eve = world.app.tenant("evil").await;
    let claims = world.claims(&json!({})).to_string();
    let open = claims.strip_suffix('}').unwrap();
    for (name, value) in [
        ("tenant_id", json!(eve.tenant)),
        ("tenant_id", json!(world.ada.tenant)),
        ("tenan\\u0074_id", json!(eve.tenant)),
        ("iss", json!(world.idp.provider.issuer())),
        ("sub", json!("s-2")),
        ("\\u0065xp", json!(9_999_999_999_i64)),
        ("anything\":1,\"anything", json!(1)),
    ] {
        let token = world.raw(&world.header(), &format!("{open},\"{name}\":{value}}}"));
        world.refused(&token, "AUTH_001", false, name).await;
    }
    assert_eq!((world.app.trail(eve.tenant).await, world.idp.calls()), (vec![], 0));
}

#[tokio::test]
async fn j7_j8_a_claim_that_does_not_fit_is_refused() {
    for algorithm in ["RS256", "ES256"] {
        let world = world(algorithm, &json!({})).await;
        let now = world.claims(&json!({}))["iat"].as_i64().unwrap();
        for (name, value) in [
            ("exp", json!("9999999999")),
            ("exp", json!(null)),
            ("exp", json!(1e18)),
            ("exp", json!(i64::MAX)),
            ("exp", json!(4e9)),
            ("iat", json!(now.to_string())),
            ("iat", json!(null)),
            ("iat", json!(now + 60)),
            ("nbf", json!("0")),
            ("nbf", json!(null)),
            ("nbf", json!(now + 60)),
            ("aud", json!("another")),
            ("aud", json!(7)),
            ("aud", json!(null)),
            ("aud", json!([])),
            ("aud", json!(["api://tenantry", 7])),
            ("aud", json!("api://tenantry/")),
            ("sub", json!("")),
            ("sub", json!(null)),
            ("sub", json!(7)),
            ("sub", json!("s\0")),
            ("sub", json!("s".repeat(256))),
            ("sid", json!(7)),
            ("jti", json!(["x"])),
        ] {
            world.refused(&world.token(&json!({ name: value })), "AUTH_001", true, &format!("{name} {value}")).await;
        }
        for name in ["sub", "aud", "exp", "iat"] {
            world.refused(&world.idp.sign(&world.without(name)), "AUTH_001", true, name).await;
        }
        // Nobody is asked on behalf of an issuer that is not there.
        let calls = world.idp.calls();
        let issuer = world.idp.provider.issuer();
        for iss in [json!([issuer]), json!(format!("{issuer}/")), json!("https://evil.example"), json!(null), json!("")]
        {
            world.refused(&world.token(&json!({ "iss": iss })), "AUTH_001", false, &iss.to_string()).await;
        }
        assert_eq!(world.idp.calls(), calls);
        let audiences = json!({ "aud": ["other", "api://tenantry"], "jti": "several" });
        world.accepted(&world.token(&audiences), "one audience of several").await;
    }
}

#[tokio::test]
async fn j7_a_providers_token_ends_to_the_second_and_lives_an_hour_at_most() {
    for algorithm in ["RS256", "ES256"] {
        let world = world(algorithm, &json!({})).await;
        let now = world.claims(&json!({}))["iat"].as_i64().unwrap();
        world.accepted(&world.token(&json!({ "iat": now, "exp": now + 3600 })), "60 minutes").await;
        world.refused(&world.token(&json!({ "iat": now, "exp": now + 3601 })), "AUTH_004", true, "61 minutes").await;
        world.refused(&world.token(&json!({ "exp": now })), "AUTH_002", true, "exp equal to now").await;
        let token = world.token(&json!({}));
        world.accepted(&token, "now").await;
        world.app.clock.advance(Duration::seconds(901));
        world.refused(&token, "AUTH_002", true, "one that was known").await;
    }
}

#[tokio::test]
async fn j9_an_id_refresh_or_logout_token_is_no_access_token() {
    for algorithm in ["RS256", "ES256"] {
        let world = world(algorithm, &json!({})).await;
        for changes in [
            json!({ "token_use": "id" }),
            json!({ "token_use": "refresh" }),
            json!({ "token_use": null }),
            json!({ "typ": "ID" }),
            json!({ "typ": "Refresh" }),
            json!({ "typ": "Offline" }),
            json!({ "typ": "Logout" }),
            json!({ "nonce": "n" }),
            json!({ "nonce": null }),
            json!({ "at_hash": "h" }),
            json!({ "c_hash": "h" }),
            json!({ "events": { "http://schemas.openid.net/event/backchannel-logout": {} } }),
        ] {
            world.refused(&world.token(&changes), "AUTH_001", true, &changes.to_string()).await;
        }
        world.accepted(&world.token(&json!({ "typ": "Bearer", "token_use": "access" })), "Keycloak's, Cognito's").await;
    }
}

#[tokio::test]
async fn j9_a_token_for_our_own_client_must_say_that_it_is_an_access_token() {
    // One registration for the client and the API: its ID tokens are for the same audience.
    let world = world("RS256", &json!({ "audiences": ["client-1"], "client_id": "client-1" })).await;
    let typed = |typ: Option<&str>, changes: &Value| {
        let mut header = json!({ "alg": "RS256", "kid": "k1" });
        if let Some(typ) = typ {
            header["typ"] = json!(typ);
        }
        world.raw(&header.to_string(), &world.claims(changes).to_string())
    };
    for audience in [json!("client-1"), json!(["client-1"]), json!(["another", "client-1"])] {
        for typ in [None, Some("JWT")] {
            let changes = json!({ "aud": audience, "azp": "client-1" });
            world.refused(&typed(typ, &changes), "AUTH_001", true, &format!("{typ:?} {audience}")).await;
        }
        world.accepted(&typed(Some("at+jwt"), &json!({ "aud": audience })), "by its type").await;
    }
    for said in
        [json!({ "scope": "read" }), json!({ "scp": "read" }), json!({ "typ": "Bearer" }), json!({ "client_id": "c" })]
    {
        let mut changes = said.clone();
        changes["aud"] = json!("client-1");
        world.accepted(&typed(Some("JWT"), &changes), &said.to_string()).await;
    }
}

#[tokio::test]
async fn j8_an_access_token_without_an_audience_is_cognitos_and_names_the_client() {
    let world = world("RS256", &json!({ "audiences": ["client-1"] })).await;
    let cognito = |changes: &Value| {
        let mut claims = world.without("aud");
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        world.idp.sign(&claims)
    };
    world.accepted(&cognito(&json!({ "client_id": "client-1", "token_use": "access" })), "Cognito").await;
    for changes in [
        json!({ "client_id": "client-1" }),
        json!({ "token_use": "access" }),
        json!({ "client_id": "client-2", "token_use": "access" }),
        json!({ "client_id": ["client-1"], "token_use": "access" }),
        json!({ "client_id": "client-1", "token_use": "id" }),
    ] {
        world.refused(&cognito(&changes), "AUTH_001", true, &changes.to_string()).await;
    }
}
