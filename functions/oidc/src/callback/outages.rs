//! A provider that is down is 503, and nothing of what it says gets through.

use serde_json::json;
use shared::testing::{
    ClosedPort,
    provider::{Behaviour, DISCOVERY, KEYS, TOKEN},
};

use crate::trial::{Trial, assert_refused};

#[tokio::test]
async fn a_token_endpoint_that_has_no_answer_is_an_outage_and_not_a_refusal() {
    let trial = Trial::start().await;
    let words = "WORDS-OF-THEIRS";
    for behaviour in [
        Behaviour::Json(500, json!({ "error": "invalid_grant" })),
        Behaviour::Json(503, json!({ "error": words })),
        Behaviour::Json(429, json!({ "error": words })),
        Behaviour::Json(200, json!({ "nothing": words })),
        Behaviour::Json(200, json!([])),
        Behaviour::Html(200, words.to_owned()),
        Behaviour::Html(400, words.to_owned()),
        Behaviour::Huge(2 * 1024 * 1024, true),
        Behaviour::Redirect(302, trial.provider.url("/elsewhere")),
        Behaviour::Redirect(307, "http://169.254.169.254/latest".to_owned()),
    ] {
        let going = trial.begin().await;
        trial.provider.behave(TOKEN, behaviour.clone());
        let answer = trial.app.send(going.back()).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (503, "SYS_003"), "{behaviour:?}");
        assert!(!format!("{:?}{:?}", answer.log, answer.bytes).contains(words), "{:?}", answer.log);
    }
    assert_eq!((trial.provider.count("/elsewhere"), trial.sessions().await), (0, 0));
}

#[tokio::test]
async fn a_refused_code_is_a_refusal_whatever_the_provider_calls_it() {
    let trial = Trial::start().await;
    for error in ["invalid_grant", "invalid_client", "unauthorized_client", "WORDS-OF-THEIRS"] {
        let going = trial.begin().await;
        let refusal = json!({ "error": error, "error_description": "WORDS-OF-THEIRS" });
        trial.provider.behave(TOKEN, Behaviour::Json(400, refusal));
        assert_refused(&trial.app.send(going.back()).await, error);
    }
    let going = trial.begin().await;
    trial.provider.behave(TOKEN, Behaviour::Json(200, json!({ "access_token": "a", "token_type": "bearer" })));
    assert_refused(&trial.app.send(going.back()).await, "no ID token");
}

#[tokio::test]
async fn keys_that_cannot_be_had_are_an_outage() {
    let trial = Trial::start().await;
    trial.provider.behave(KEYS, Behaviour::Json(500, json!({})));
    let answer = trial.sign_in(&json!({})).await;
    assert_eq!((answer.status.as_u16(), &*answer.code()), (503, "SYS_003"));
}

#[tokio::test]
async fn a_configuration_that_cannot_be_had_or_is_not_sound_keeps_a_login_from_beginning() {
    let trial = Trial::start().await;
    let closed = ClosedPort::take();
    let login = async || trial.login(&[("tenant", "acme")]).await;
    let long = |with: &str| trial.provider.url(&format!("/authorize{}", with.repeat(3000)));
    for behaviour in [
        Behaviour::Json(500, json!({})),
        Behaviour::Html(200, "WORDS-OF-THEIRS".to_owned()),
        Behaviour::Redirect(302, trial.provider.url("/elsewhere")),
    ] {
        trial.provider.behave(DISCOVERY, behaviour);
        assert_eq!(login().await.code(), "SYS_003");
    }
    for changed in [
        json!({ "issuer": "https://evil.example" }),
        json!({ "authorization_endpoint": "javascript:alert(1)" }),
        json!({ "token_endpoint": "file:///etc/passwd" }),
        json!({ "end_session_endpoint": "data:text/html,x" }),
        json!({ "authorization_endpoint": long("a") }),
        json!({ "authorization_endpoint": long("\t") }),
        json!({ "token_endpoint": long("\n") }),
        json!({ "end_session_endpoint": long(" ") }),
    ] {
        trial.provider.set_discovery(&changed);
        let answer = login().await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (503, "SYS_003"), "{changed}");
    }
    trial.provider.set_discovery(&json!({}));
    assert_eq!(login().await.status, 302);
    let asked = trial.provider.count(DISCOVERY);
    assert_eq!((login().await.status.as_u16(), trial.provider.count(DISCOVERY)), (302, asked), "it is kept");
    trial.sql(&format!("UPDATE identity_providers SET issuer = 'http://{}'", closed.address())).await;
    assert_eq!(login().await.code(), "SYS_003");
}
