//! C1 of THREATS, and the refresh token as browsers keep it.

use http::Method;
use serde_json::{Value, json};
use shared::testing::{Answer, Event, TestApp, TestDatabase, TestKeys};

use crate::{
    Auth,
    trial::{PASSWORD, Pair, acme, me, refresh, refusals, signup, sql},
};

const PAGE: &str = "https://app.example.com";

async fn start() -> TestApp<Auth> {
    let keys = TestKeys::generate("test-key").into();
    let settings = [("ALLOWED_ORIGINS", "https://app.example.com,http://127.0.0.1:3000")];
    TestApp::start_with(crate::routes(), TestDatabase::create().await, keys, &settings).await
}

fn login() -> Event {
    let credentials =
        json!({ "tenant": "acme", "email": "ada@acme.example", "password": PASSWORD, "transport": "cookie" });
    Event::post("/api/v1/auth/login", &credentials)
}

/// A refresh with this cookie and no body.
fn with_cookie(token: &str) -> Event {
    Event::new(&Method::POST, "/api/v1/auth/refresh").cookies(&[format!("__Host-refresh={token}")])
}

/// The token in the cookie that an answer sets.
fn token(answer: &Answer) -> String {
    let cookie = answer.header("set-cookie");
    let token = cookie.strip_prefix("__Host-refresh=").and_then(|rest| rest.split(';').next());
    token.unwrap_or_else(|| panic!("{cookie}")).to_owned()
}

/// Ada, signed in by her browser.
async fn signed_in(app: &TestApp<Auth>) -> String {
    acme(app).await;
    token(&app.send(login().header("origin", PAGE)).await)
}

const FORGOTTEN: &str = "__Host-refresh=; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=0";

#[tokio::test]
async fn a_browser_keeps_the_refresh_token_out_of_its_pages_reach() {
    let app = start().await;
    acme(&app).await;
    let answer = app.send(login().header("origin", PAGE)).await;
    assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (200, "no-store"));
    let first = token(&answer);
    let expected = format!("__Host-refresh={first}; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=604800");
    assert_eq!(answer.header("set-cookie"), expected);
    let body = answer.json();
    assert_eq!((&body["refresh_token"], &body["refresh_expires_in"]), (&Value::Null, &json!(604_800)));
    assert!(body.get("refresh_token").is_none() && !body.to_string().contains(&first));

    for body in [None, Some(json!({}))] {
        let event = with_cookie(&first).header("origin", PAGE);
        let answer = app.send(body.map_or(event.clone(), |body| event.json(&body))).await;
        assert_eq!(answer.status, 200, "{:?}", answer.log);
        let second = token(&answer);
        assert!(second != first && answer.json().get("refresh_token").is_none());
        assert_eq!(me(&app, answer.json()["access_token"].as_str().unwrap()).await, "none");
    }
}

#[tokio::test]
async fn sign_up_gives_a_cookie_too() {
    let app = start().await;
    let mut body = signup("acme");
    body["transport"] = "cookie".into();
    let event = Event::post("/api/v1/auth/signup", &body);
    assert_eq!(app.send(event.clone()).await.code(), "AUTH_011");
    let answer = app.send(event.header("origin", PAGE)).await;
    assert_eq!(answer.status, 201);
    assert!(answer.json().get("refresh_token").is_none());
    assert_eq!(app.send(with_cookie(&token(&answer)).header("origin", PAGE)).await.status, 200);
}

#[tokio::test]
async fn c1_a_cookie_from_a_foreign_null_or_look_alike_origin_is_refused() {
    let app = start().await;
    let cookie = signed_in(&app).await;
    let foreign = [
        "",
        "null",
        "https://evil.example",
        "http://app.example.com",
        "https://app.example.com.evil.example",
        "https://app.example.com:8443",
        "https://app.example.com/",
        "https://App.example.com",
        "https://xapp.example.com",
        "https://user@app.example.com",
        "https://app.example.com,https://evil.example",
        " https://app.example.com",
        "https://api.example.com",
        "http://127.0.0.1:30000",
    ];
    for origin in foreign {
        for event in [with_cookie(&cookie), login()] {
            let answer = app.send(event.header("origin", origin)).await;
            assert_eq!((answer.status.as_u16(), &*answer.code()), (403, "AUTH_011"), "{origin}");
            assert_eq!(answer.header("set-cookie"), "", "{origin}");
        }
    }
    let answer = app.send(with_cookie(&cookie).header("referer", PAGE).header("host", "app.example.com")).await;
    assert_eq!(answer.code(), "AUTH_011", "without an origin");
    let forged = app.send(with_cookie("forged").header("origin", "https://evil.example")).await;
    assert_eq!((&*forged.code(), forged.header("set-cookie")), ("AUTH_011", ""), "whatever the cookie holds");
    // Each one of the token's tenant is in its trail; where none was known yet, in that of nobody.
    assert_eq!(refusals(&app, "auth.refresh").await, vec!["AUTH_011"; foreign.len() + 2]);
    assert_eq!(refusals(&app, "auth.login").await, vec!["AUTH_011"; foreign.len()]);
    assert_eq!(app.trail(uuid::Uuid::nil()).await.len(), foreign.len() + 1);
    for origin in [PAGE, "http://127.0.0.1:3000"] {
        assert_eq!(app.send(with_cookie(&cookie).header("origin", origin)).await.status, 200, "the token is unused");
    }
}

#[tokio::test]
async fn where_no_origin_is_configured_no_page_may() {
    let app = TestApp::start(crate::routes()).await;
    let pair = acme(&app).await;
    assert_eq!(app.send(with_cookie(&pair.refresh).header("origin", PAGE)).await.code(), "AUTH_011");
    assert_eq!(app.send(login().header("origin", PAGE)).await.code(), "AUTH_011");
}

#[tokio::test]
async fn a_token_in_the_body_goes_before_a_cookie_and_needs_no_origin() {
    let app = start().await;
    let cookie = signed_in(&app).await;
    let own = Pair::of(&app.send(crate::trial::login("acme", "ada@acme.example", PASSWORD)).await);
    let answer = app.send(refresh(&own.refresh).cookies(&[format!("__Host-refresh={cookie}")])).await;
    assert_eq!((answer.status.as_u16(), answer.header("set-cookie")), (200, ""));
    assert!(answer.json()["refresh_token"].is_string());
    let unused = app.send(with_cookie(&cookie).header("origin", PAGE)).await;
    assert_eq!(unused.status, 200);
}

#[tokio::test]
async fn only_the_one_cookie_of_the_name_is_read() {
    let app = start().await;
    let cookie = signed_in(&app).await;
    let send = async |cookies: &[String]| {
        let event = with_cookie("").cookies(cookies).header("origin", PAGE);
        app.send(event).await.code()
    };
    for none in [vec![], vec![format!("refresh={cookie}")], vec![format!("__host-refresh={cookie}")]] {
        assert_eq!(send(&none).await, "VAL_001", "{none:?}");
    }
    let twice = [format!("__Host-refresh={cookie}"), "__Host-refresh=other".to_owned()];
    assert_eq!(send(&twice).await, "VAL_001");
    assert_eq!(send(&["__Host-refresh=forged".to_owned()]).await, "AUTH_007");
    assert_eq!(send(&["theme=dark".to_owned(), format!("__Host-refresh={cookie}"), "a".to_owned()]).await, "none");
}

/// A browser sends what any page below the domain has set, as it was set.
#[tokio::test]
async fn a_neighbours_cookie_hides_ours_in_no_spelling_and_is_not_taken_for_it() {
    let app = start().await;
    let mut cookie = signed_in(&app).await;
    for neighbour in ["city=Zürich", "=", "__Host-refresh", "\u{2000}__Host-refresh=x", "\u{a0}__Host-refresh=x"] {
        let cookies = [neighbour.to_owned(), format!("__Host-refresh={cookie}")];
        let answer = app.send(with_cookie("").cookies(&cookies).header("origin", PAGE)).await;
        assert_eq!(answer.status, 200, "{neighbour:?} {:?}", answer.log);
        cookie = token(&answer);
    }
}

#[tokio::test]
async fn a_cookie_that_is_good_for_nothing_is_forgotten() {
    let app = start().await;
    let cookie = signed_in(&app).await;
    let refreshed = app.send(with_cookie(&cookie).header("origin", PAGE)).await;
    let access = refreshed.json()["access_token"].as_str().unwrap().to_owned();
    for (query, expected) in [("?scope=others", ""), ("", FORGOTTEN)] {
        let logout = Event::post(&format!("/api/v1/auth/logout{query}"), &Value::Null).bearer(&access);
        let answer = app.send(logout.cookies(&[format!("__Host-refresh={cookie}")])).await;
        assert_eq!((answer.status.as_u16(), answer.header("set-cookie")), (204, expected), "{query}");
    }
    let answer = app.send(with_cookie(&token(&refreshed)).header("origin", PAGE)).await;
    assert_eq!((&*answer.code(), answer.header("set-cookie")), ("AUTH_007", FORGOTTEN));
    sql(&app, "ALTER TABLE sessions RENAME TO gone").await;
    let answer = app.send(with_cookie(&cookie).header("origin", PAGE)).await;
    assert_eq!((answer.status.as_u16(), answer.header("set-cookie")), (500, ""), "what is our fault costs no session");
}

#[tokio::test]
async fn an_unknown_transport_is_a_fault_of_the_request() {
    let app = start().await;
    let event = login().edit(|event| {
        let body = event["body"].as_str().unwrap().replace("\"cookie\"", "\"header\"");
        event["body"] = body.into();
    });
    let answer = app.send(event.header("origin", PAGE)).await;
    assert_eq!((&*answer.code(), &answer.json()["error"]["fields"][0]["field"]), ("VAL_001", &json!("transport")));
}
