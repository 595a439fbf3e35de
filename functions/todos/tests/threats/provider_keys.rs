//! A provider's keys behind a real route: K1 to K4 of THREATS.

use serde_json::json;
use shared::testing::{
    TestIssuer,
    provider::{Behaviour, DISCOVERY, KEYS},
};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::{
    provider_tokens::{World, world},
    tokens::get,
};

fn by(world: &World, key: &shared::testing::ProviderKey, jti: &str) -> String {
    key.sign(world.idp.algorithm, &world.claims(&json!({ "jti": jti })))
}

#[tokio::test]
async fn k1_random_kids_in_bearer_tokens_cause_one_fetch_in_thirty_seconds() {
    let world = world("ES256", &json!({})).await;
    let token = world.token(&json!({}));
    world.accepted(&token, "before").await;
    for number in 0..300 {
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": format!("k-{number}") }).to_string();
        let token = world.idp.key.sign_raw("ES256", &header, &world.claims(&json!({})).to_string());
        assert_eq!(get(&world.app, &token).await.code(), "AUTH_001");
        if number == 150 {
            assert_eq!(world.idp.provider.count(KEYS), 1, "all within the cooldown of the first");
            world.app.clock.advance(Duration::seconds(30));
        }
    }
    assert_eq!((world.idp.provider.count(KEYS), world.idp.provider.count(DISCOVERY)), (2, 2));
    world.accepted(&token, "and a valid one").await;
}

#[tokio::test]
async fn k2_a_key_that_came_just_before_it_signed_is_accepted_the_first_time() {
    for algorithm in ["RS256", "ES256"] {
        let world = world(algorithm, &json!({})).await;
        world.accepted(&world.token(&json!({})), "before").await;
        world.app.clock.advance(Duration::seconds(31));
        let next = TestIssuer::key(algorithm, "k2");
        world.idp.provider.set_keys(&[world.idp.key.public_jwk(), next.public_jwk()]);
        world.accepted(&by(&world, &next, "new"), algorithm).await;
        assert_eq!(world.idp.provider.count(KEYS), 2);
    }
}

#[tokio::test]
async fn k3_a_token_that_was_known_is_refused_once_its_key_is_gone() {
    for algorithm in ["RS256", "ES256"] {
        let world = world(algorithm, &json!({})).await;
        let token = world.token(&json!({}));
        world.accepted(&token, "before").await;
        world.idp.provider.set_keys(&[TestIssuer::key(algorithm, "k2").public_jwk()]);
        world.app.clock.advance(Duration::seconds(590));
        world.accepted(&token, "within its maximum age").await;
        world.app.clock.advance(Duration::seconds(11));
        world.refused(&token, "AUTH_001", true, "a known token").await;
        assert_eq!(get(&world.app, &by(&world, &world.idp.key, "new")).await.code(), "AUTH_001");
        // The same name, another key: no token of the old one is good.
        world.idp.provider.set_keys(&[TestIssuer::key(algorithm, "k1").public_jwk()]);
        world.app.clock.advance(Duration::seconds(31));
        assert_eq!(get(&world.app, &token).await.code(), "AUTH_001");
    }
}

#[tokio::test]
async fn k4_an_outage_is_ridden_out_with_known_keys_and_is_503_without() {
    let world = world("ES256", &json!({})).await;
    world.idp.provider.behave(DISCOVERY, Behaviour::Html(500, "down".into()));
    let answer = get(&world.app, &world.token(&json!({}))).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (503, "SYS_003".into()));
    assert_eq!(answer.header("www-authenticate"), "", "it says nothing of the token");
    world.idp.provider.set_discovery(&json!({}));
    world.app.clock.advance(Duration::seconds(31));
    let token = world.token(&json!({}));
    world.accepted(&token, "the provider is back").await;
    for (step, behaviour) in [
        Behaviour::Html(500, "down".into()),
        Behaviour::Html(200, "<html>".into()),
        Behaviour::Redirect(302, world.idp.provider.url("/elsewhere")),
        Behaviour::Huge(50 * 1024 * 1024, false),
    ]
    .into_iter()
    .enumerate()
    {
        world.idp.provider.behave(KEYS, behaviour);
        world.app.clock.advance(Duration::seconds(if step == 0 { 601 } else { 31 }));
        world.accepted(&token, "known").await;
        world.accepted(&by(&world, &world.idp.key, &format!("fresh {step}")), "not known").await;
    }
    world.app.clock.advance(Duration::hours(1));
    let answer = get(&world.app, &by(&world, &world.idp.key, "late")).await;
    assert_eq!(answer.code(), "SYS_003", "past the stale limit");
    assert_eq!(world.idp.provider.count("/elsewhere"), 0);
}

/// When the function last asked the database for anything.
async fn last_statement(world: &World) -> OffsetDateTime {
    let sql = "SELECT query_start FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'local'";
    sqlx::query_scalar(sql).fetch_one(&mut world.app.superuser().await).await.unwrap()
}

#[tokio::test]
async fn k1_on_the_cooldown_unknown_kids_of_a_tenants_provider_cost_the_database_nothing() {
    let world = world("ES256", &json!({})).await;
    let token = world.token(&json!({}));
    let flood = |kid: &str| {
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": kid }).to_string();
        world.idp.key.sign_raw("ES256", &header, &world.claims(&json!({})).to_string())
    };
    world.accepted(&token, "before").await;
    let trails = [world.app.trail(world.ada.tenant).await.len(), world.app.trail(Uuid::nil()).await.len()];
    let before = last_statement(&world).await;
    for number in 0..50 {
        assert_eq!(get(&world.app, &flood(&format!("k-{number}"))).await.code(), "AUTH_001");
    }
    assert_eq!(last_statement(&world).await, before, "not even whose provider it is");
    assert_eq!(get(&world.app, &world.idp.key.sign("ES256", &world.claims(&json!({})))).await.status, 200);
    assert!(last_statement(&world).await > before, "a known kid is another matter");
    world.app.clock.advance(Duration::seconds(30));
    let before = last_statement(&world).await;
    assert_eq!(get(&world.app, &flood("off the cooldown")).await.code(), "AUTH_001");
    assert!(last_statement(&world).await > before, "it may be a new key");
    assert_eq!(world.idp.provider.count(KEYS), 2);
    assert_eq!(
        [world.app.trail(world.ada.tenant).await.len(), world.app.trail(Uuid::nil()).await.len()],
        trails,
        "what nobody has signed is recorded in no trail"
    );
}

#[tokio::test]
async fn k1_a_kid_that_no_key_can_have_costs_the_database_nothing_ever() {
    let world = world("ES256", &json!({})).await;
    world.accepted(&world.ada.token, "so that there is a connection").await;
    let before = last_statement(&world).await;
    for (alg, kid) in
        [("ES256", ""), ("ES256", "a\u{1}b"), ("ES256", &*"k".repeat(257)), ("HS256", "k1"), ("none", "k1")]
    {
        let header = json!({ "alg": alg, "typ": "JWT", "kid": kid }).to_string();
        let token = world.idp.key.sign_raw("ES256", &header, &world.claims(&json!({})).to_string());
        assert_eq!(get(&world.app, &token).await.code(), "AUTH_001", "{alg} {kid:?}");
    }
    assert_eq!(last_statement(&world).await, before);
    assert_eq!(world.idp.calls(), 0);
}
