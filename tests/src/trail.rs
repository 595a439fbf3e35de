//! One trail under every function at once.

use std::sync::Arc;

use futures_util::{FutureExt, future::join_all};
use serde_json::{Value, json};
use shared::testing::{Event, TestApp, TestDatabase, TestKeys};

const PROVIDERS: &str = "/api/v1/tenants/current/identity-providers";

#[tokio::test]
async fn l2_fifty_writers_of_five_kinds_make_one_chain_that_the_api_verifies() {
    let (database, keys) = (Arc::new(TestDatabase::create().await), Arc::new(TestKeys::generate("test-key")));
    // Twelve connections: as many more as there are writers take their time on a busy machine.
    let settings = [("AWS_LAMBDA_MAX_CONCURRENCY", "3")];
    let audit = TestApp::start_with(audit::routes(), database.clone(), keys.clone(), &settings).await;
    let auth = TestApp::start_with(auth::routes(), database.clone(), keys.clone(), &settings).await;
    let tenants = TestApp::start_with(tenants::routes(), database.clone(), keys.clone(), &settings).await;
    let todos = TestApp::start_with(todos::routes(), database, keys, &settings).await;
    let ada = audit.tenant("acme").await;
    let provider = json!({ "name": "entra", "issuer": "https://93.184.215.14", "audiences": ["a"], "client_id": "c" });
    let provider = tenants.send(Event::post(PROVIDERS, &provider).bearer(&ada.token)).await;
    assert_eq!(provider.status, 201, "{:?}", provider.log);

    // A change, one with details known late, a protected read, one that takes
    // records out, and a refusal: each locks the head of the trail its own way.
    let answers = (0..50).map(|number| match number % 5 {
        0 => todos.send(Event::post("/api/v1/todos", &json!({ "title": "Call" })).bearer(&ada.token)).boxed_local(),
        1 => auth.send(Event::post("/api/v1/auth/logout?scope=others", &Value::Null).bearer(&ada.token)).boxed_local(),
        2 => tenants.send(Event::get(provider.header("location")).bearer(&ada.token)).boxed_local(),
        3 => audit.send(Event::get("/api/v1/audit/export").bearer(&ada.token)).boxed_local(),
        _ => todos.send(Event::post("/api/v1/todos", &json!({ "title": "" })).bearer(&ada.token)).boxed_local(),
    });
    for (number, answer) in join_all(answers).await.into_iter().enumerate() {
        let expected = [201, 204, 200, 200, 422][number % 5];
        assert_eq!(answer.status, expected, "{number}: {:?}", answer.log);
    }
    let verified = audit.send(Event::get("/api/v1/audit/verify").bearer(&ada.token)).await.json();
    assert_eq!((&verified["valid"], &verified["checked"]), (&json!(true), &json!(51)), "{verified}");
}
