use serde_json::json;
use shared::testing::Event;

use crate::trial::{Going, PAGE, Trial, assert_refused};

#[tokio::test]
async fn a_browser_is_sent_to_the_provider_with_pkce_state_and_nonce() {
    let trial = Trial::start().await;
    let answer = trial.login(&[("tenant", "acme")]).await;
    let going = Going::of(&answer);
    assert!(going.url.starts_with(&trial.provider.url("/authorize?")), "{}", going.url);
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "client-1"),
        ("scope", "openid email profile"),
        ("code_challenge_method", "S256"),
        ("redirect_uri", "https://auth.example.com/api/v1/auth/oidc/entra/callback?tenant=acme"),
    ] {
        assert_eq!(going.query[name], value, "{name}");
    }
    assert!(going.query["state"].len() >= 22 && going.query["nonce"].len() >= 22);
    assert_eq!(going.query["code_challenge"].len(), 43);
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("__Host-sign-in="), "{cookie}");
    assert!(cookie.ends_with("; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=600"), "{cookie}");
    assert_eq!((answer.header("cache-control"), answer.bytes.len()), ("no-store", 0));
    let other = trial.begin().await;
    for name in ["state", "nonce", "code_challenge"] {
        assert_ne!(going.query[name], other.query[name], "{name}");
    }
    assert_eq!((trial.trail().await.len(), trial.provider.count("/token")), (0, 0));
}

#[tokio::test]
async fn an_unknown_tenant_or_provider_is_one_answer_with_an_inactive_and_a_suspended_one() {
    let trial = Trial::start().await;
    let mut answers = Vec::new();
    for tenant in ["nobody-here", "-nobody-", "", "ACME", "acme'--", "a\u{0}b"] {
        answers.push(trial.login(&[("tenant", tenant)]).await);
    }
    answers.push(trial.login(&[]).await);
    assert_eq!(trial.of_nobody().await, 7, "each is in the trail of nobody");
    for name in ["okta", "ENTRA", "%00", "a%2Fb"] {
        answers.push(trial.app.send(Event::get(&format!("/api/v1/auth/oidc/{name}/login?tenant=acme"))).await);
    }
    trial.sql("UPDATE identity_providers SET status = 'inactive'").await;
    answers.push(trial.login(&[("tenant", "acme")]).await);
    trial.sql("UPDATE identity_providers SET status = 'active'; UPDATE tenants SET status = 'suspended'").await;
    answers.push(trial.login(&[("tenant", "acme")]).await);
    let first = {
        let mut error = answers[0].json()["error"].clone();
        error["request_id"] = json!(null);
        error
    };
    for answer in &answers {
        assert_refused(answer, "unknown");
        let mut error = answer.json()["error"].clone();
        error["request_id"] = json!(null);
        assert_eq!((error, answer.header("set-cookie")), (first.clone(), ""));
    }
    let records = trial.trail().await;
    assert_eq!(records.len(), 6, "the tenant's own are in its trail");
    assert!(records.iter().all(|record| record.0 == "auth.oidc.start" && record.1 == "failure"), "{records:?}");
    assert_eq!(trial.provider.received().len(), 0);
}

#[tokio::test]
async fn a_browser_is_never_sent_on_to_a_page_that_is_not_ours() {
    let trial = Trial::start().await;
    for target in [
        "",
        "/",
        "//evil.example",
        "evil.example",
        "https://evil.example",
        "https://evil.example/https://app.example.com",
        "https://app.example.com.evil.example",
        "https://app.example.com@evil.example",
        "https://app.example.com:443/",
        "https://app.example.com:8443/",
        "https://app.example.com%2eevil.example",
        "https://app.example.com\\.evil.example",
        "https://app.example.com\\@evil.example/",
        "https://app.example.com/\\evil",
        "https://app.example.com#@evil.example",
        "https://app.example.com/#x",
        "https://app.example.com/\r\nset-cookie: a=b",
        "https://app.example.com /",
        " https://app.example.com/",
        "https:/app.example.com/",
        "https:app.example.com",
        "http://app.example.com/",
        "HTTPS://app.example.com/",
        "https://APP.example.com/",
        "https://user@app.example.com/",
        "https://xapp.example.com/",
        "javascript://app.example.com/%0aalert(1)",
        "data:text/html,x",
        "https://app.example.com/\u{202e}",
        &format!("https://app.example.com/{}", "a".repeat(2048)),
    ] {
        // Whatever the tenant: that is not looked at before.
        for tenant in ["acme", "nobody-here"] {
            let answer = trial.login(&[("tenant", tenant), ("redirect_uri", target)]).await;
            assert_eq!((answer.status.as_u16(), &*answer.code()), (422, "VAL_001"), "{target:?}");
            assert_eq!(answer.json()["error"]["fields"][0]["field"], "redirect_uri");
            assert_eq!(answer.header("location"), "");
        }
    }
    for target in
        [PAGE, "https://app.example.com", "https://app.example.com/?a=b", "https://app.example.com//evil.example"]
    {
        assert_eq!(trial.login(&[("tenant", "acme"), ("redirect_uri", target)]).await.status, 302, "{target}");
    }
}

#[tokio::test]
async fn where_pages_are_named_no_other_page_is_taken() {
    let pages = [("SIGN_IN_REDIRECT_URIS", "https://app.example.com/signed-in,https://app.example.com/")];
    let trial = Trial::start_with(&pages).await;
    for (target, status) in [
        (PAGE, 302),
        ("https://app.example.com/signed-in?from=login", 302),
        ("https://app.example.com/", 302),
        ("https://app.example.com", 422),
        ("https://app.example.com/signed-in/", 422),
        ("https://app.example.com/other", 422),
        ("https://app.example.com/signed-in/../other", 422),
    ] {
        assert_eq!(trial.login(&[("tenant", "acme"), ("redirect_uri", target)]).await.status, status, "{target}");
    }
}

#[tokio::test]
async fn reads_count_towards_the_limit_of_an_address_too() {
    let trial = Trial::start_with(&[("AUTH_RATE_LIMIT_PER_MINUTE", "2")]).await;
    for expected in [302, 302, 429] {
        assert_eq!(trial.login(&[("tenant", "acme")]).await.status, expected);
    }
}

/// Login CSRF: a page of somebody else's has a browser sign in at a provider of
/// theirs, which asks nothing, and its user goes on as theirs.
#[tokio::test]
async fn a_foreign_page_begins_no_sign_in_that_ends_with_a_cookie() {
    let trial = Trial::start().await;
    let query = format!("tenant=acme&redirect_uri={}", PAGE.replace(':', "%3A"));
    let begin = async |site: &str, query: &str| {
        let event = Event::get(&format!("/api/v1/auth/oidc/entra/login?{query}"));
        trial.app.send(event.header("sec-fetch-site", site)).await
    };
    for site in ["cross-site", "Cross-Site", "", "same-site,cross-site", "other"] {
        let answer = begin(site, &query).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (403, "AUTH_011"), "{site:?}");
        assert_eq!((answer.header("location"), answer.header("set-cookie")), ("", ""), "{site:?}");
    }
    let denied = ("auth.oidc.start".to_owned(), "denied".to_owned(), Some("AUTH_011".to_owned()));
    assert_eq!(trial.trail().await, vec![denied; 5]);
    assert_eq!(trial.provider.received().len(), 0);
    for site in ["same-origin", "same-site", "none"] {
        assert_eq!(begin(site, &query).await.status, 302, "{site}");
    }
    // Whoever has no page gets the tokens in the body, and no cookie that was there is replaced.
    assert_eq!(begin("cross-site", "tenant=acme").await.status, 302);
}
