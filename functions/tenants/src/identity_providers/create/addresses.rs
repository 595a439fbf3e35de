//! K7: which hosts an issuer may name.

use serde_json::json;
use shared::{
    auth::provider::Issuer,
    testing::{Event, TestApp},
};

use crate::{
    PROVIDERS,
    identity_providers::trial::{entra, get, least, local, patch, post, registered, with},
};

#[tokio::test]
async fn k7_an_issuer_that_may_not_be_called_is_refused_and_tells_nothing_of_our_network() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let public = "must name a host that is found on the public internet";
    for (issuer, message) in [
        ("https://127.0.0.1", public),
        ("https://localhost/realms/acme", public),
        ("https://10.0.0.1", public),
        ("https://192.168.1.1:8443/x", public),
        ("https://169.254.169.254/latest/meta-data", public),
        ("https://[::1]", public),
        ("https://[::ffff:169.254.169.254]", public),
        ("https://[fd00:ec2::254]", public),
        ("http://127.0.0.1:9400", Issuer::FORM),
    ] {
        let answer = post(&app, &ada, &with(entra(), "issuer", json!(issuer))).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (422, "VAL_001"), "{issuer}");
        assert_eq!(answer.json()["error"]["fields"], json!([{ "field": "issuer", "message": message }]), "{issuer}");
    }
    let (_, target) = registered(&app, &ada, &entra()).await;
    let answer = app.send(patch(&target, &ada, "*", &json!({ "issuer": "https://10.0.0.1" }))).await;
    assert_eq!(answer.json()["error"]["fields"], json!([{ "field": "issuer", "message": public }]));
    assert_eq!(get(&app, &ada, &target).await.json()["version"], 1);
}

#[tokio::test]
async fn loopback_is_let_in_where_the_configuration_says_so() {
    let app = local().await;
    let ada = app.tenant("acme").await;
    for (name, issuer) in [("one", "http://127.0.0.1:9400"), ("two", "https://localhost/realms/acme")] {
        registered(&app, &ada, &with(least(name), "issuer", json!(issuer))).await;
    }
    let answer = post(&app, &ada, &with(entra(), "issuer", json!("https://10.0.0.1"))).await;
    assert_eq!(answer.code(), "VAL_001", "what is private stays out");
}

#[tokio::test]
async fn a_replay_tells_what_was_answered_even_if_the_host_may_no_longer_be_called() {
    let app = local().await;
    let ada = app.tenant("acme").await;
    let body = with(entra(), "issuer", json!("http://127.0.0.1:9400"));
    let event = Event::post(PROVIDERS, &body).bearer(&ada.token).header("idempotency-key", "key-1");
    let first = app.send(event.clone()).await;
    assert_eq!(first.status, 201, "{:?}", first.log);
    let strict = app.another(crate::routes()).await;
    assert_eq!(strict.send(event.clone()).await.bytes, first.bytes);
    assert_eq!(strict.send(event.header("idempotency-key", "key-2")).await.code(), "VAL_001");
}
