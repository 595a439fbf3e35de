//! K1: what everybody does at once costs the provider one fetch.

use std::{
    io::Read,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use jsonwebtoken::Algorithm::ES256;
use serde_json::{Value, json};
use shared::{
    Code,
    auth::ProviderKeys,
    testing::{
        ProviderKey, TestClock, TestDatabase, TestProvider,
        provider::{Behaviour, KEYS},
        setting,
    },
};
use uuid::Uuid;

use crate::{
    environment::{World, ask, environment, fetches},
    fetch::fetch,
};

async fn random(keys: &ProviderKeys, issuer: &str, count: usize) {
    let asked = join_all((0..count).map(|_| async {
        let kid = Uuid::from_u128(rand()).to_string();
        keys.key(issuer, &kid, ES256).await.map(drop).map_err(|error| error.code())
    }));
    // Who has waited for a second is told that it is not known.
    let refused = [Err(Code::InvalidToken), Err(Code::ProviderUnavailable)];
    assert!(asked.await.iter().all(|asked| refused.contains(asked)));
}

fn rand() -> u128 {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    u128::from_be_bytes(bytes)
}

/// Asks for a known key now and then for a while; the longest that it took.
async fn valid(keys: &ProviderKeys, issuer: &str) -> Duration {
    let mut longest = Duration::ZERO;
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let start = Instant::now();
        assert_eq!(ask(keys, issuer, "k", ES256).await, Ok(()));
        longest = longest.max(start.elapsed());
    }
    longest
}

#[tokio::test]
async fn k1_ten_thousand_random_kids_over_four_environments_are_one_fetch_in_30_seconds_and_valid_tokens_go_on() {
    let known = ProviderKey::p256("k").public_jwk();
    let provider = TestProvider::start(std::slice::from_ref(&known));
    let (world, issuer) = (World::new().await, provider.issuer());
    let environments: Vec<_> = join_all((0..4).map(|_| world.environment())).await;
    for keys in &environments {
        assert_eq!(ask(keys, &issuer, "k", ES256).await, Ok(()));
    }
    assert_eq!(fetches(&provider), (1, 1), "four cold starts");
    world.wait_seconds(30);
    // The one fetch of the flood takes a while, so that whoever waited for it would be seen.
    provider.behave(KEYS, Behaviour::Slow(Duration::from_millis(8), json!({ "keys": [known] })));
    let flood = join_all(environments.iter().map(|keys| random(keys, &issuer, 2500)));
    let valid = join_all(environments.iter().map(|keys| valid(keys, &issuer)));
    let start = Instant::now();
    let (_, longest) = tokio::join!(flood, valid);
    assert!(start.elapsed() > Duration::from_secs(1), "the fetch was slow");
    let longest = longest.into_iter().max().unwrap();
    assert!(longest < Duration::from_millis(500), "a valid token waited {longest:?}");
    assert_eq!(fetches(&provider), (2, 2));
    world.wait_seconds(25);
    join_all(environments.iter().map(|keys| random(keys, &issuer, 1000))).await;
    assert_eq!(fetches(&provider), (2, 2), "on the cooldown");
    world.wait_seconds(5);
    join_all(environments.iter().map(|keys| random(keys, &issuer, 1000))).await;
    assert_eq!(fetches(&provider), (3, 3));
}

#[tokio::test]
async fn k1_on_the_cooldown_a_refusal_is_known_without_asking_and_off_it_nothing_is_known() {
    let provider = TestProvider::start(&[ProviderKey::p256("k").public_jwk()]);
    let (world, issuer) = (World::new().await, provider.issuer());
    let keys = world.environment().await;
    let refusal = |kid: &str| keys.refusal(&issuer, kid, ES256).map(|error| error.code());
    assert_eq!((refusal("k"), refusal("other"), refusal("\0")), (None, None, Some(Code::InvalidToken)), "never asked");
    assert_eq!(ask(&keys, &issuer, "k", ES256).await, Ok(()));
    assert_eq!((refusal("k"), refusal("other")), (None, Some(Code::InvalidToken)));
    assert!(keys.refusal("https://idp.example", "other", ES256).is_none(), "another issuer");
    world.wait_seconds(30);
    assert_eq!((refusal("k"), refusal("other")), (None, None), "it may be a new one (K2)");
    provider.behave(KEYS, Behaviour::Json(500, json!({})));
    assert_eq!(ask(&keys, &issuer, "other", ES256).await, Err(Code::ProviderUnavailable));
    assert_eq!((refusal("k"), refusal("other")), (None, Some(Code::ProviderUnavailable)), "an outage is no refusal");
    assert_eq!(fetches(&provider), (2, 2));
}

#[tokio::test]
async fn k1_a_cold_start_with_a_fresh_shared_copy_asks_the_provider_nothing() {
    let provider = TestProvider::start(&[ProviderKey::p256("k").public_jwk()]);
    let (world, issuer) = (World::new().await, provider.issuer());
    assert_eq!(ask(&world.environment().await, &issuer, "k", ES256).await, Ok(()));
    provider.behave(KEYS, Behaviour::Hang);
    world.wait_seconds(10 * 60 - 5);
    for _ in 0..3 {
        let (keys, start) = (world.environment().await, Instant::now());
        assert_eq!(ask(&keys, &issuer, "k", ES256).await, Ok(()));
        assert!(start.elapsed() < Duration::from_secs(3));
    }
    assert_eq!(fetches(&provider), (1, 1));
}

#[tokio::test]
async fn k1_many_cold_starts_at_once_are_one_fetch_and_nobody_is_refused() {
    let known = ProviderKey::p256("k").public_jwk();
    let provider = TestProvider::start(std::slice::from_ref(&known));
    provider.behave(KEYS, Behaviour::Slow(Duration::from_millis(1), json!({ "keys": [known] })));
    let (world, issuer) = (World::new().await, provider.issuer());
    let environments = join_all((0..6).map(|_| world.environment())).await;
    let asked = environments.iter().flat_map(|keys| (0..5).map(|_| ask(keys, &issuer, "k", ES256)));
    assert!(join_all(asked).await.into_iter().all(|asked| asked == Ok(())));
    assert_eq!(fetches(&provider), (1, 1));
}

/// One of the processes of the next test: asks for random kids and for the
/// known one, and ends well if it was answered as it should be.
#[tokio::test]
#[ignore = "run by k1_processes_of_their_own_are_one_fetch_too, in a process of its own"]
async fn one_process_of_the_flood() {
    let place: Value = serde_json::from_str(&setting("FLOOD")).unwrap();
    let port = place["port"].as_u64().unwrap().try_into().unwrap();
    let text = |name: &str| place[name].as_str().unwrap().to_owned();
    let keys = environment((text("host"), port, text("name")), Arc::<TestClock>::default(), fetch()).await;
    assert_eq!(ask(&keys, &text("issuer"), "k", ES256).await, Ok(()));
    random(&keys, &text("issuer"), 500).await;
    assert_eq!(ask(&keys, &text("issuer"), "k", ES256).await, Ok(()));
}

#[tokio::test]
async fn k1_processes_of_their_own_are_one_fetch_too() {
    let provider = TestProvider::start(&[ProviderKey::p256("k").public_jwk()]);
    let database = TestDatabase::create().await;
    let (host, port, name) = database.address();
    let place = json!({ "host": host, "port": port, "name": name, "issuer": provider.issuer() }).to_string();
    let start = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "flood::one_process_of_the_flood"]).env("FLOOD", &place);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut lines = 0;
    for mut process in (0..4).map(|_| start()).collect::<Vec<_>>() {
        let (mut said, mut failed) = (String::new(), String::new());
        process.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        process.stderr.take().unwrap().read_to_string(&mut failed).unwrap();
        assert!(process.wait().unwrap().success() && said.contains("1 passed"), "{said}{failed}");
        lines += said.matches("fetched the keys of an identity provider").count();
    }
    assert_eq!(fetches(&provider), (1, 1));
    assert_eq!(lines, 1, "and one line tells of it");
}
