//! The limit of the group's POST routes, as its clients meet it.

use futures_util::future::join_all;
use http::Method;
use serde_json::Value;
use shared::{
    config,
    testing::{Event, TestApp, TestDatabase, TestKeys},
};
use time::Duration;

use crate::{
    Auth, AuthConfig,
    trial::{PASSWORD, login, refresh},
};

async fn limited(quota: &str, settings: &[(&str, &str)]) -> TestApp<Auth> {
    let keys = TestKeys::generate("test-key").into();
    let settings: Vec<_> =
        [("AUTH_RATE_LIMIT_PER_MINUTE", quota)].into_iter().chain(settings.iter().copied()).collect();
    TestApp::start_with(crate::routes(), TestDatabase::create().await, keys, &settings).await
}

/// A request that costs little beside its count.
fn cheap(address: &str) -> Event {
    refresh("forged").source_address(address)
}

async fn status(app: &TestApp<Auth>, event: Event) -> u16 {
    app.send(event).await.status.as_u16()
}

#[tokio::test]
async fn an_address_has_its_quota_a_minute_and_is_told_how_it_stands() {
    let app = limited("3", &[]).await;
    for left in ["2", "1", "0"] {
        let answer = app.send(cheap("203.0.113.7")).await;
        assert_eq!(answer.code(), "AUTH_007");
        assert_eq!(answer.rate_limit[0], "\"auth\";q=3;w=60");
        assert!(answer.rate_limit[1].starts_with(&format!("\"auth\";r={left};t=")), "{answer:?}");
    }
    let refused = app.send(cheap("203.0.113.7")).await;
    assert_eq!((refused.status.as_u16(), &*refused.code()), (429, "RATE_001"));
    let seconds: u16 = refused.header("retry-after").parse().unwrap();
    assert!((55..=60).contains(&seconds));
    assert_eq!(refused.rate_limit[1], format!("\"auth\";r=0;t={seconds}"));
    assert_eq!(refused.request_line()["rate_limited"], 1);
    assert_eq!(status(&app, cheap("203.0.113.8")).await, 401, "another address has its own");
    app.clock.advance(Duration::seconds(50));
    assert_eq!(status(&app, cheap("203.0.113.7")).await, 429, "going on does not help, nor does it extend the window");
    app.clock.advance(Duration::seconds(10));
    assert!(app.send(cheap("203.0.113.7")).await.rate_limit[1].starts_with("\"auth\";r=2;t="));
}

#[tokio::test]
async fn every_post_of_the_group_counts_whatever_comes_of_it_and_nothing_else_does() {
    let app = limited("100", &[]).await;
    let posts: Vec<_> = crate::routes().list().iter().filter(|route| route.method == Method::POST).cloned().collect();
    assert!(posts.len() >= 4);
    for (index, route) in posts.iter().enumerate() {
        let answer = app.send(Event::new(&Method::POST, route.path).body("text/plain", "no JSON")).await;
        let left = format!("\"auth\";r={};t=", 99 - index);
        assert!(answer.rate_limit[1].starts_with(&left), "{} {answer:?}", route.path);
        assert!(!answer.status.is_success());
    }
    let too_large = Event::post("/api/v1/auth/login", &Value::from("x".repeat(1024 * 1024)));
    let answer = app.send(too_large).await;
    assert_eq!(answer.status, 413);
    assert!(answer.rate_limit[1].starts_with(&format!("\"auth\";r={};t=", 99 - posts.len())), "{answer:?}");
    for event in [Event::get("/api/v1/auth/me"), Event::post("/api/v1/auth/unknown", &Value::Null)] {
        assert_eq!(app.send(event).await.rate_limit[0], "");
    }
}

#[tokio::test]
async fn an_ipv6_network_is_one_address_and_a_mapped_ipv4_address_is_itself() {
    let app = limited("1", &[]).await;
    assert_eq!(status(&app, cheap("2001:db8:1:2:3:4:5:6")).await, 401);
    assert_eq!(status(&app, cheap("2001:db8:1:2:ffff::1")).await, 429);
    assert_eq!(status(&app, cheap("2001:db8:1:3::1")).await, 401);
    assert_eq!(status(&app, cheap("::ffff:203.0.113.7")).await, 401);
    assert_eq!(status(&app, cheap("203.0.113.7")).await, 429);
}

#[tokio::test]
async fn requests_without_an_address_share_one() {
    let app = limited("1", &[]).await;
    assert_eq!(status(&app, cheap("")).await, 401);
    assert_eq!(status(&app, cheap("no address")).await, 429);
    let forwarded = cheap("").header("x-forwarded-for", "203.0.113.9");
    assert_eq!(status(&app, forwarded).await, 429, "a forwarded header is not believed");
}

#[tokio::test]
async fn environments_count_together_and_exactly() {
    let one = limited("7", &[("AWS_LAMBDA_MAX_CONCURRENCY", "10")]).await;
    let settings = [("AWS_LAMBDA_MAX_CONCURRENCY", "10"), ("AUTH_RATE_LIMIT_PER_MINUTE", "7")];
    let other: TestApp<Auth> =
        TestApp::start_with(crate::routes(), one.database.clone(), one.keys.clone(), &settings).await;
    let sent =
        (0..30).map(|index| if index % 2 == 0 { &one } else { &other }).map(|app| app.send(cheap("203.0.113.7")));
    let admitted = join_all(sent).await.into_iter().filter(|answer| answer.status == 401).count();
    assert_eq!(admitted, 7);
}

#[tokio::test]
async fn one_who_is_over_the_limit_costs_no_hash_and_no_attempt() {
    let app = limited("1", &[]).await;
    for expected in ["AUTH_005", "RATE_001", "RATE_001"] {
        assert_eq!(app.send(login("acme", "ada@acme.example", PASSWORD)).await.code(), expected);
    }
    let attempts = "SELECT cardinality(attempted_at) FROM app.sign_in_attempts";
    let attempts: i32 = sqlx::query_scalar(attempts).fetch_one(&mut app.superuser().await).await.unwrap();
    assert_eq!(attempts, 1);
}

#[tokio::test]
async fn without_the_database_nothing_is_let_through() {
    let app = limited("60", &[("DATABASE_PORT", "9")]).await;
    for route in crate::routes().list().iter().filter(|route| route.method == Method::POST) {
        let answer = app.send(Event::post(route.path, &Value::Null)).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (503, "SYS_002"), "{}", route.path);
        assert_eq!(answer.rate_limit, ["\"auth\";q=60;w=60", ""]);
    }
}

#[test]
fn a_quota_that_is_none_is_a_fault() {
    for (quota, faulty) in [("0", true), ("-1", true), ("many", true), ("1000001", true), ("1", false), ("", false)] {
        let faults =
            config::from_lookup::<AuthConfig>(&|name| (name == "AUTH_RATE_LIMIT_PER_MINUTE").then(|| quota.to_owned()));
        let faults = faults.err().map(|faults| faults.to_string()).unwrap_or_default();
        assert_eq!(faults.contains("AUTH_RATE_LIMIT_PER_MINUTE must be 1 to 1000000 requests"), faulty, "{quota}");
    }
}
