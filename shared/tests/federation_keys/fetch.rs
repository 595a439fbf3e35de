//! One fetch: what is asked, and which answers are taken.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use shared::{
    config,
    fetch::{Fetch, FetchConfig, FetchError, SIZE_LIMIT},
    testing::{ClosedPort, TestProvider, provider::Behaviour},
};

pub(crate) fn fetch() -> Fetch {
    Fetch::new(FetchConfig { allow_loopback: true })
}

/// Gets what a provider behaves so with.
async fn get(behaviour: Behaviour) -> Result<Value, FetchError> {
    let provider = TestProvider::start(&[]);
    provider.behave("/thing", behaviour);
    fetch().get(&provider.url("/thing")).await
}

#[tokio::test]
async fn json_is_asked_for_and_taken() {
    let provider = TestProvider::start(&[]);
    provider.behave("/thing", Behaviour::Json(200, json!({ "a": 1 })));
    assert_eq!(fetch().get::<Value>(&provider.url("/thing?b=c")).await, Ok(json!({ "a": 1 })));
    let [request] = &provider.received()[..] else { panic!("one request") };
    assert_eq!((&request.method, &*request.path), (&Method::GET, "/thing?b=c"));
    assert_eq!(request.headers["host"], format!("127.0.0.1:{}", provider.port()));
    assert_eq!(request.headers["accept"], "application/json");
    assert!(request.headers.get("authorization").is_none() && request.headers.get("cookie").is_none());
}

#[tokio::test]
async fn a_form_is_posted_and_its_answer_taken() {
    let provider = TestProvider::start(&[]);
    provider.behave("/token", Behaviour::Json(200, json!({ "access_token": "t" })));
    let form = [("grant_type", "authorization_code"), ("code", "a b&c=d")];
    assert_eq!(fetch().post_form::<Value>(&provider.url("/token"), &form).await.unwrap()["access_token"], "t");
    let [request] = &provider.received()[..] else { panic!("one request") };
    assert_eq!(request.method, Method::POST);
    assert_eq!(request.headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(request.headers["content-length"], "46");
    assert_eq!(request.body, "grant_type=authorization_code&code=a+b%26c%3Dd");
}

#[tokio::test]
async fn a_request_of_ones_own_goes_out_as_it_stands_and_its_answer_is_the_callers_to_judge() {
    let provider = TestProvider::start(&[]);
    provider.behave("/token", Behaviour::Json(400, json!({ "error": "invalid_grant" })));
    let request = Request::post(provider.url("/token")).header("authorization", "Basic eA==").body(b"x".to_vec());
    let answer = fetch().send(request.unwrap()).await.unwrap();
    assert_eq!((answer.status(), &answer.body()[..]), (StatusCode::BAD_REQUEST, &br#"{"error":"invalid_grant"}"#[..]));
    assert_eq!(provider.received()[0].headers["authorization"], "Basic eA==");
}

#[tokio::test]
async fn k4_a_status_that_is_no_success_and_what_is_no_json_are_errors() {
    for status in [201, 204, 400, 401, 404, 429, 500, 503] {
        let error = FetchError::Status(StatusCode::from_u16(status).unwrap());
        assert_eq!(get(Behaviour::Json(status, json!({}))).await, Err(error));
    }
    for text in ["<!doctype html><title>Sign in</title>", "", "{", "{} {}"] {
        assert_eq!(get(Behaviour::Html(200, text.to_owned())).await, Err(FetchError::NotJson), "{text}");
    }
}

#[tokio::test]
async fn k4_no_redirect_is_followed() {
    let elsewhere = TestProvider::start(&[]);
    for status in [300, 301, 302, 303, 304, 307, 308] {
        let behaviour = Behaviour::Redirect(status, elsewhere.url("/thing"));
        assert_eq!(get(behaviour).await, Err(FetchError::Redirected), "{status}");
    }
    assert!(elsewhere.received().is_empty());
}

#[tokio::test]
async fn k4_at_most_1_mib_is_read_however_it_is_sent() {
    assert!(get(Behaviour::Huge(SIZE_LIMIT, true)).await.is_ok());
    assert_eq!(get(Behaviour::Huge(SIZE_LIMIT + 1, true)).await, Err(FetchError::TooLarge));
    for announced in [true, false] {
        let start = Instant::now();
        assert_eq!(get(Behaviour::Huge(50 * SIZE_LIMIT, announced)).await, Err(FetchError::TooLarge));
        assert!(start.elapsed() < Duration::from_secs(4));
    }
}

#[tokio::test]
async fn k4_five_seconds_are_all_it_gets() {
    // Takes connections and never says a word: not even TLS begins.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("https://127.0.0.1:{}", silent.local_addr().unwrap().port());
    let start = Instant::now();
    let slow = Behaviour::Slow(Duration::from_millis(300), json!({ "keys": ["not in five seconds"] }));
    let silent = async { fetch().get::<Value>(&silent).await };
    let (late, slow, no_tls) = tokio::join!(get(Behaviour::Hang), get(slow), silent);
    assert_eq!((late, slow, no_tls), (Err(FetchError::TimedOut), Err(FetchError::TimedOut), Err(FetchError::TimedOut)));
    assert!((4.9..7.0).contains(&start.elapsed().as_secs_f64()), "{:?}", start.elapsed());
    let brisk = Behaviour::Slow(Duration::from_millis(10), json!([1, 2]));
    assert_eq!(get(brisk).await, Ok(json!([1, 2])));
}

#[tokio::test]
async fn a_host_that_is_not_there_is_an_error_of_its_own() {
    let closed = ClosedPort::take();
    let urls = [format!("http://{}", closed.address()), "https://nowhere.invalid".to_owned()];
    let errors = join_all(urls.iter().map(|url| async { fetch().get::<Value>(url).await.unwrap_err() })).await;
    assert_eq!(errors, [FetchError::Unreachable, FetchError::Unresolved]);
}

#[test]
fn loopback_is_let_through_by_one_word_only() {
    let read = |value: Option<&str>| config::from_lookup::<FetchConfig>(&|_| value.map(str::to_owned));
    for (value, allowed) in [(None, false), (Some(""), false), (Some("off"), false), (Some("on"), true)] {
        assert_eq!(read(value).unwrap().allow_loopback, allowed, "{value:?}");
    }
    for value in ["true", "1", "ON"] {
        assert!(read(Some(value)).is_err_and(|faults| faults.to_string().contains("FEDERATION_ALLOW_LOOPBACK")));
    }
}
