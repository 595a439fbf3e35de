//! Keys that come and go under a warm function: J4, and K1 to K4 as far as
//! they are our own keys.

use serde_json::json;
use shared::{
    clock::Clock,
    testing::{Answer, Member, TestApp, TestKeys},
};
use time::Duration;

use crate::tokens::{get, refused};

const KEYS: &str = "token-public-keys";

/// A token of `member`'s, good for 15 minutes from now.
fn token(app: &TestApp<todos::Todos>, member: &Member, keys: &TestKeys) -> String {
    keys.sign(&app.claims(member))
}

/// The warning that the keys could not be read, where there is one.
fn warning(answer: &Answer) -> Option<&serde_json::Value> {
    answer.log.iter().find(|line| line["level"] == "WARN")
}

#[tokio::test]
async fn a_key_that_has_just_come_is_accepted_the_first_time() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    for kid in ["second", "third"] {
        let next = TestKeys::generate(kid);
        refused(&app, &ada, &token(&app, &ada, &TestKeys::generate(kid)), "AUTH_001", false, "before it has come")
            .await;
        app.clock.advance(Duration::seconds(30));
        app.secrets.set(KEYS, TestKeys::generate("test-key").beside(next.public_jwk()).public_set());
        assert_eq!(get(&app, &token(&app, &ada, &next)).await.status, 200, "{kid}");
    }
    assert_eq!(app.secrets.reads(KEYS), 4, "the start's, the first stranger's, and one for each that came");
}

#[tokio::test]
async fn a_key_that_has_gone_is_refused_after_ten_minutes() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let other = TestKeys::generate("other");
    app.secrets.set(KEYS, other.public_set());
    let used = ada.token.clone();
    assert_eq!(get(&app, &used).await.status, 200);
    app.clock.advance(Duration::seconds(590));
    assert_eq!((get(&app, &used).await.status.as_u16(), app.secrets.reads(KEYS)), (200, 1));
    app.clock.advance(Duration::seconds(11));
    // One that was known to be good, and one that was not yet seen.
    for token in [used, token(&app, &ada, &app.keys)] {
        refused(&app, &ada, &token, "AUTH_001", false, "signed with a key that has gone").await;
    }
    assert_eq!(get(&app, &token(&app, &ada, &other)).await.status, 200);
    assert_eq!(app.secrets.reads(KEYS), 2);
}

#[tokio::test]
async fn a_key_that_was_changed_under_its_kid_is_another() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    assert_eq!(get(&app, &ada.token).await.status, 200);
    let changed = TestKeys::generate("test-key");
    app.secrets.set(KEYS, changed.public_set());
    app.clock.advance(Duration::minutes(10));
    refused(&app, &ada, &ada.token, "AUTH_001", false, "found good by the key before").await;
    assert_eq!(get(&app, &token(&app, &ada, &changed)).await.status, 200);
}

#[tokio::test]
async fn a_flood_of_unknown_kids_has_the_keys_read_once_in_thirty_seconds() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let begin = app.clock.now();
    for round in 0..3 {
        for number in 0..25 {
            let stranger = TestKeys::generate(&format!("kid-{round}-{number}"));
            refused(&app, &ada, &token(&app, &ada, &stranger), "AUTH_001", false, "unknown").await;
            assert_eq!(get(&app, &ada.token).await.status, 200);
            let half_minutes = (app.clock.now() - begin).whole_seconds() / 30;
            let reads = app.secrets.reads(KEYS) - 1;
            assert!(i64::try_from(reads).unwrap() <= half_minutes + 1, "{reads} reads in {half_minutes} half minutes");
        }
        app.clock.advance(Duration::seconds(15));
    }
    assert!(app.secrets.reads(KEYS) > 2, "the start's, and one in each half minute");
}

#[tokio::test]
async fn what_no_key_of_ours_can_have_signed_has_none_read() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let claims = app.claims(&ada).to_string();
    // The keys are old, and whoever is let through would have them read.
    app.clock.advance(Duration::minutes(20));
    for kid in [
        "",
        " ",
        "../../etc/passwd",
        "/proc/self/environ",
        "' OR 1=1 --",
        "a\0b",
        "a\nb",
        "kéy",
        "a.b",
        "a/b",
        "k=",
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:x",
        "http://169.254.169.254/",
        &"k".repeat(65),
        &"k".repeat(5_000),
    ] {
        refused(&app, &ada, &TestKeys::generate(kid).sign_raw(&header(&json!(kid)), &claims), "AUTH_001", false, kid)
            .await;
    }
    for kid in [json!(null), json!(7), json!(["a"]), json!({ "a": "b" })] {
        let token = app.keys.sign_raw(&header(&kid), &claims);
        refused(&app, &ada, &token, "AUTH_001", false, &kid.to_string()).await;
    }
    let good = TestKeys::generate("new").sign_raw(&header(&json!("new")), &claims);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (start, payload) = message.split_once('.').unwrap();
    let ten_kb = TestKeys::generate("new").sign_raw(&header(&json!("k".repeat(10_000))), &claims);
    let other_alg = json!({ "alg": "none", "typ": "at+jwt", "kid": "new" }).to_string();
    for (token, what) in [
        (ten_kb, "10 kB of kid"),
        (format!("{message}."), "no signature"),
        (format!("{message}.!!!"), "a signature that is no base64url"),
        (format!("{start}.%%%.{signature}"), "claims that are no base64url"),
        (format!("e30.{payload}.{signature}"), "an empty header"),
        (format!("{start}.{signature}"), "two parts"),
        ("x".to_owned(), "one part"),
        (TestKeys::generate("new").sign_raw(&other_alg, &claims), "no algorithm of ours"),
        (format!("{good}{}", "A".repeat(8_192)), "over 8 kB"),
    ] {
        refused(&app, &ada, &token, "AUTH_001", false, what).await;
    }
    assert_eq!(app.secrets.reads(KEYS), 1, "the start's own");
    refused(&app, &ada, &good, "AUTH_001", false, "in form, and unknown").await;
    assert_eq!(app.secrets.reads(KEYS), 2);
}

fn header(kid: &serde_json::Value) -> String {
    json!({ "alg": "ES256", "typ": "at+jwt", "kid": kid }).to_string()
}

#[tokio::test]
async fn while_the_keys_cannot_be_read_the_old_ones_serve_on() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let next = TestKeys::generate("next");
    let bad_set = json!({ "keys": [next.public_jwk(), { "kty": "RSA", "kid": "s3cret", "n": "s3cret" }] }).to_string();
    for (away, set) in [(true, TestKeys::generate("next").public_set()), (false, bad_set), (false, String::new())] {
        app.secrets.set_away(away);
        app.secrets.set(KEYS, set);
        let reads = app.secrets.reads(KEYS);
        app.clock.advance(Duration::minutes(11));
        let answer = get(&app, &token(&app, &ada, &app.keys)).await;
        assert_eq!(answer.status, 200, "{:?}", answer.log);
        let warning = warning(&answer).expect("a warning");
        assert_eq!(
            (&warning["token_keys_not_read"], &warning["message"]),
            (&json!(1), &json!("keys not read again, the old ones serve on"))
        );
        assert_eq!(
            warning["_aws"]["CloudWatchMetrics"][0]["Metrics"],
            json!([{ "Name": "token_keys_not_read", "Unit": "Count" }])
        );
        assert_eq!(warning["cause"].as_str().unwrap().contains(KEYS), !away, "{warning}");
        assert!(!warning.to_string().contains("s3cret"));
        for _ in 0..5 {
            let answer = get(&app, &token(&app, &ada, &app.keys)).await;
            assert_eq!((answer.status.as_u16(), answer.log.len(), app.secrets.reads(KEYS)), (200, 1, reads + 1));
        }
        // It may be a key of today: an outage is never a 401.
        let unknown = get(&app, &token(&app, &ada, &next)).await;
        assert_eq!((unknown.status.as_u16(), unknown.code().as_str()), (503, "SYS_004"));
        assert_eq!((unknown.header("www-authenticate"), app.secrets.reads(KEYS)), ("", reads + 1));
    }
    app.secrets.set_away(false);
    app.secrets.set(KEYS, TestKeys::generate("test-key").beside(next.public_jwk()).public_set());
    app.clock.advance(Duration::seconds(30));
    assert_eq!(get(&app, &token(&app, &ada, &next)).await.status, 200);
    let stranger = TestKeys::generate("stranger");
    refused(&app, &ada, &token(&app, &ada, &stranger), "AUTH_001", false, "when all is well again").await;
}
