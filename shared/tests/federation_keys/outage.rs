//! K4 and K7: the provider does not answer, or not as it should, or from where
//! it must not.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jsonwebtoken::Algorithm::ES256;
use serde_json::json;
use shared::{
    Code,
    fetch::{Fetch, FetchConfig},
    testing::{
        ProviderKey, TestProvider,
        provider::{Behaviour, DISCOVERY, KEYS},
    },
};

use crate::environment::{World, ask, environment, fetches};

fn provider() -> TestProvider {
    TestProvider::start(&[ProviderKey::p256("k").public_jwk()])
}

/// What a provider may do instead of answering.
fn faults() -> Vec<Behaviour> {
    let html = "<!doctype html><title>Down for maintenance</title>".to_owned();
    vec![
        Behaviour::Hang,
        Behaviour::Json(500, json!({})),
        Behaviour::Json(404, json!({})),
        Behaviour::Json(200, json!({ "unrelated": true })),
        Behaviour::Html(200, html.clone()),
        Behaviour::Html(503, html),
        Behaviour::Huge(50 * 1024 * 1024, true),
        Behaviour::Huge(50 * 1024 * 1024, false),
        Behaviour::Redirect(302, "https://example.com/".to_owned()),
        Behaviour::Slow(Duration::from_secs(1), json!({ "keys": [] })),
    ]
}

#[tokio::test]
async fn k4_whatever_the_provider_does_known_keys_are_served_on_for_an_hour_and_unknown_ones_are_503() {
    let world = &World::new().await;
    let cases = faults().into_iter().flat_map(|fault| [(DISCOVERY, fault.clone()), (KEYS, fault)]);
    let cases: Vec<_> = join_all(cases.map(|(path, fault)| async move {
        let (provider, keys) = (provider(), world.environment().await);
        assert_eq!(ask(&keys, &provider.issuer(), "k", ES256).await, Ok(()));
        provider.behave(path, fault.clone());
        (provider, keys, format!("{path} {fault:?}"))
    }))
    .await;
    world.wait_seconds(10 * 60);
    join_all(cases.iter().map(|(provider, keys, what)| async move {
        let issuer = provider.issuer();
        assert_eq!(ask(keys, &issuer, "k", ES256).await, Ok(()), "{what}");
        assert_eq!(ask(keys, &issuer, "k", ES256).await, Ok(()), "{what}");
        assert_eq!(ask(keys, &issuer, "new", ES256).await, Err(Code::ProviderUnavailable), "{what}");
        let cold = world.environment().await;
        assert_eq!(ask(&cold, &issuer, "k", ES256).await, Ok(()), "{what}: from the shared copy");
        assert_eq!(ask(&cold, &issuer, "new", ES256).await, Err(Code::ProviderUnavailable), "{what}");
        assert_eq!(provider.count(DISCOVERY), 2, "{what}: one attempt in 30 seconds");
    }))
    .await;
    world.wait_seconds(50 * 60);
    join_all(cases.iter().map(|(provider, keys, what)| async move {
        for keys in [keys, &world.environment().await] {
            let asked = ask(keys, &provider.issuer(), "k", ES256).await;
            assert_eq!(asked, Err(Code::ProviderUnavailable), "{what}: after an hour");
        }
    }))
    .await;
    // None known at all.
    join_all(faults().into_iter().map(|fault| async move {
        let (provider, keys) = (provider(), world.environment().await);
        provider.behave(KEYS, fault.clone());
        assert_eq!(ask(&keys, &provider.issuer(), "k", ES256).await, Err(Code::ProviderUnavailable), "{fault:?}");
    }))
    .await;
}

#[tokio::test]
async fn k4_an_outage_is_over_with_the_first_attempt_after_it() {
    let (world, provider) = (World::new().await, provider());
    let keys = world.environment().await;
    provider.behave(DISCOVERY, Behaviour::Json(503, json!({})));
    assert_eq!(ask(&keys, &provider.issuer(), "k", ES256).await, Err(Code::ProviderUnavailable));
    provider.set_discovery(&json!({}));
    assert_eq!(ask(&keys, &provider.issuer(), "k", ES256).await, Err(Code::ProviderUnavailable), "on the cooldown");
    assert_eq!(fetches(&provider), (1, 0));
    world.wait_seconds(30);
    assert_eq!(ask(&keys, &provider.issuer(), "k", ES256).await, Ok(()));
}

#[tokio::test]
async fn k4_at_a_cold_start_while_the_provider_is_down_the_shared_copy_serves_for_an_hour() {
    let (world, provider) = (World::new().await, provider());
    assert_eq!(ask(&world.environment().await, &provider.issuer(), "k", ES256).await, Ok(()));
    provider.behave(DISCOVERY, Behaviour::Json(500, json!({})));
    world.wait_seconds(59 * 60);
    let cold = world.environment().await;
    assert_eq!(ask(&cold, &provider.issuer(), "k", ES256).await, Ok(()));
    assert_eq!(fetches(&provider), (2, 1), "the provider was tried first");
    world.wait_seconds(60);
    assert_eq!(ask(&cold, &provider.issuer(), "k", ES256).await, Err(Code::ProviderUnavailable));
    assert_eq!(ask(&world.environment().await, &provider.issuer(), "k", ES256).await, Err(Code::ProviderUnavailable));
}

#[tokio::test]
async fn k4_in_an_outage_that_is_known_valid_tokens_do_not_wait_for_the_next_attempt() {
    let (world, provider) = (World::new().await, provider());
    let (one, other) = (world.environment().await, world.environment().await);
    assert_eq!(ask(&one, &provider.issuer(), "k", ES256).await, Ok(()));
    provider.behave(DISCOVERY, Behaviour::Json(500, json!({})));
    world.wait_seconds(11 * 60);
    for keys in [&one, &other] {
        assert_eq!(ask(keys, &provider.issuer(), "k", ES256).await, Ok(()));
    }
    provider.behave(DISCOVERY, Behaviour::Hang);
    world.wait_seconds(30);
    let issuer = provider.issuer();
    let trying = ask(&one, &issuer, "k", ES256);
    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let start = Instant::now();
        for keys in [&one, &other] {
            assert_eq!(ask(keys, &issuer, "k", ES256).await, Ok(()));
        }
        start.elapsed()
    };
    let (tried, elapsed) = tokio::join!(trying, meanwhile);
    assert_eq!(tried, Ok(()), "nor is the one that tried refused");
    assert!(elapsed < Duration::from_secs(2), "{elapsed:?}");
    assert_eq!(fetches(&provider), (3, 1));
}

#[tokio::test]
async fn k4_who_waits_for_a_slow_provider_waits_a_second_and_no_other_providers_tokens_wait() {
    let world = World::new().await;
    let (slow, sound, first, other) = (provider(), provider(), world.environment().await, world.environment().await);
    slow.behave(DISCOVERY, Behaviour::Hang);
    let (slow, sound) = (slow.issuer(), sound.issuer());
    let asking = ask(&first, &slow, "k", ES256);
    let waiting = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let start = Instant::now();
        for keys in [&first, &other] {
            assert_eq!(ask(keys, &sound, "k", ES256).await, Ok(()));
        }
        let unhindered = start.elapsed();
        let waiters = [&first, &first, &other, &other].map(|keys| ask(keys, &slow, "k", ES256));
        for waited in join_all(waiters).await {
            assert_eq!(waited, Err(Code::ProviderUnavailable));
        }
        (unhindered, start.elapsed())
    };
    let (asked, (unhindered, waited)) = tokio::join!(asking, waiting);
    assert_eq!(asked, Err(Code::ProviderUnavailable));
    assert!(unhindered < Duration::from_secs(1), "{unhindered:?}");
    assert!((Duration::from_secs(1)..Duration::from_secs(3)).contains(&waited), "{waited:?}");
}

#[tokio::test]
async fn an_environment_that_died_in_its_fetch_holds_nobody_up_for_longer_than_others_wait() {
    let (world, provider) = (World::new().await, provider());
    provider.behave(DISCOVERY, Behaviour::Hang);
    let issuer = provider.issuer();
    let doomed = world.environment().await;
    let _ = tokio::time::timeout(Duration::from_secs(1), ask(&doomed, &issuer, "k", ES256)).await.unwrap_err();
    drop(doomed);
    provider.set_discovery(&json!({}));
    let (heir, start) = (world.environment().await, Instant::now());
    assert_eq!(ask(&heir, &issuer, "k", ES256).await, Err(Code::ProviderUnavailable));
    assert!((0.9..3.0).contains(&start.elapsed().as_secs_f64()), "{:?}", start.elapsed());
    assert_eq!(provider.count(DISCOVERY), 1);
    world.wait_seconds(30);
    assert_eq!(ask(&heir, &issuer, "k", ES256).await, Ok(()));
}

#[tokio::test]
async fn k7_keys_that_stand_where_nobody_may_call_are_not_fetched() {
    let (world, elsewhere) = (World::new().await, provider());
    for uri in [
        "https://169.254.169.254/latest/meta-data",
        "http://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/keys",
        "https://[fd00:ec2::254]/keys",
        "https://[::ffff:192.168.0.1]/keys",
        "http://example.com/keys",
        "file:///etc/passwd",
        "/keys",
        "",
    ] {
        let provider = provider();
        provider.set_discovery(&json!({ "jwks_uri": uri }));
        let asked = ask(&world.environment().await, &provider.issuer(), "k", ES256).await;
        assert_eq!(asked, Err(Code::ProviderUnavailable), "{uri}");
    }
    let provider = provider();
    for path in [DISCOVERY, KEYS] {
        provider.behave(path, Behaviour::Redirect(307, elsewhere.url(path)));
        let asked = ask(&world.environment().await, &provider.issuer(), "k", ES256).await;
        assert_eq!(asked, Err(Code::ProviderUnavailable));
        world.wait_seconds(30);
    }
    assert!(elsewhere.received().is_empty());
}

#[tokio::test]
async fn k7_an_issuer_that_leads_to_loopback_is_not_called_where_that_is_not_configured() {
    let (world, provider) = (World::new().await, provider());
    let strict = Fetch::new(FetchConfig::default());
    let keys = environment(world.database.address(), world.clock.clone(), strict).await;
    let issuers = [
        provider.issuer(),
        provider.issuer().replace("http:", "https:"),
        format!("https://localhost:{}", provider.port()),
    ];
    for issuer in issuers {
        assert_eq!(ask(&keys, &issuer, "k", ES256).await, Err(Code::ProviderUnavailable), "{issuer}");
    }
    assert!(provider.received().is_empty());
}
