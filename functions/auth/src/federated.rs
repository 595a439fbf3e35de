//! Providers' tokens at the routes of sessions, and beside a locked account.

use http::Method;
use serde_json::{Value, json};
use shared::testing::{Answer, Event, TestApp, TestDatabase, TestIssuer, TestKeys, federated::ON_LOOPBACK};
use uuid::Uuid;

use crate::{Auth, trial::me};

struct World {
    app: TestApp<Auth>,
    tenant: Uuid,
    idp: TestIssuer,
}

async fn world() -> World {
    let keys = std::sync::Arc::new(TestKeys::generate("test-key"));
    let app = TestApp::start_with(crate::routes(), TestDatabase::create().await, keys, &[ON_LOOPBACK]).await;
    let (tenant, idp) = (app.tenant("acme").await.tenant, TestIssuer::start("ES256"));
    idp.register(&app.database, tenant, &json!({})).await;
    World { app, tenant, idp }
}

impl World {
    fn token(&self, changes: &Value) -> String {
        let mut claims = self.idp.claims(&self.app, self.tenant, "s-1");
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        self.idp.sign(&claims)
    }

    async fn sessions(&self, token: &str) -> Answer {
        self.app.send(Event::get("/api/v1/auth/sessions").bearer(token)).await
    }

    async fn form(&self, path: &str, caller: Option<&str>, token: &str) -> Answer {
        let event = Event::new(&Method::POST, path).form(&[("token", token)]);
        let event = caller.map_or(event.clone(), |caller| event.bearer(caller));
        self.app.send(event).await
    }
}

#[tokio::test]
async fn signing_out_ends_the_session_of_a_providers_token() {
    let world = world().await;
    let (one, two) = (world.token(&json!({ "sid": "one" })), world.token(&json!({ "sid": "two" })));
    for token in [&one, &two] {
        assert_eq!(me(&world.app, token).await, "none");
    }
    let logout = Event::post("/api/v1/auth/logout", &Value::Null).bearer(&one);
    assert_eq!(world.app.send(logout).await.status, 204);
    let again = world.token(&json!({ "sid": "one", "jti": "another" }));
    for (token, code) in [(&one, "AUTH_006"), (&again, "AUTH_006"), (&one, "AUTH_006"), (&two, "none")] {
        assert_eq!(me(&world.app, token).await, code);
    }
    let global = Event::post("/api/v1/auth/logout?scope=global", &Value::Null).bearer(&two);
    assert_eq!(world.app.send(global).await.status, 204);
    assert_eq!(me(&world.app, &two).await, "AUTH_006");
}

/// A change of role ends the sessions of providers' tokens so that they may
/// begin others. Who then signs out everywhere is out with those too.
#[tokio::test]
async fn signing_out_everywhere_takes_the_sessions_that_a_change_of_role_had_ended() {
    for scope in ["global", "others"] {
        let world = world().await;
        let (one, two) = (world.token(&json!({ "sid": "one" })), world.token(&json!({ "sid": "two" })));
        for token in [&one, &two] {
            assert_eq!(me(&world.app, token).await, "none");
        }
        let superseded = "UPDATE sessions SET superseded = true, ended_at = now() WHERE bearer_key IS NOT NULL";
        sqlx::query(superseded).execute(&mut world.app.superuser().await).await.unwrap();
        assert_eq!((&*me(&world.app, &two).await, &*me(&world.app, &two).await), ("AUTH_006", "none"));
        let logout = Event::post(&format!("/api/v1/auth/logout?scope={scope}"), &Value::Null).bearer(&two);
        assert_eq!(world.app.send(logout).await.status, 204);
        for _ in 0..2 {
            assert_eq!(me(&world.app, &one).await, "AUTH_006", "{scope}");
        }
        assert_eq!(me(&world.app, &two).await, if scope == "global" { "AUTH_006" } else { "none" });
    }
}

#[tokio::test]
async fn the_list_shows_the_session_and_one_can_be_ended_from_another() {
    let world = world().await;
    let (one, two) = (world.token(&json!({ "sid": "one" })), world.token(&json!({ "sid": "two" })));
    for token in [&one, &two] {
        assert_eq!(me(&world.app, token).await, "none");
    }
    let list = world.sessions(&two).await.json();
    let current: Vec<_> = list["items"].as_array().unwrap().iter().map(|session| &session["current"]).collect();
    assert_eq!(current, [true, false], "newest first: {list}");
    let target = format!("/api/v1/auth/sessions/{}", list["items"][1]["id"].as_str().unwrap());
    assert_eq!(world.app.send(Event::new(&Method::DELETE, &target).bearer(&two)).await.status, 204);
    assert_eq!((me(&world.app, &one).await, me(&world.app, &two).await), ("AUTH_006".into(), "none".into()));
}

#[tokio::test]
async fn introspection_and_revocation_are_for_tokens_of_ours() {
    let world = world().await;
    let token = world.token(&json!({}));
    assert_eq!(me(&world.app, &token).await, "none");
    let ada = world.app.member(world.tenant, shared::auth::Role::Admin).await;
    let answer = world.form("/api/v1/auth/introspect", Some(&ada.token), &token).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({ "active": false })));
    assert_eq!(world.form("/api/v1/auth/revoke", None, &token).await.status, 200);
    assert_eq!(me(&world.app, &token).await, "none", "nothing happened");
}

#[tokio::test]
async fn a3_a_locked_account_is_open_to_its_providers_tokens() {
    let world = world().await;
    let token = world.token(&json!({ "email": "ada@example.org", "email_verified": true }));
    assert_eq!(me(&world.app, &token).await, "none");
    let wrong = json!({ "tenant": "acme", "email": "ada@example.org", "password": "not the password" });
    for attempt in 0..6 {
        let code = world.app.send(Event::post("/api/v1/auth/login", &wrong)).await.code();
        assert_eq!(code, if attempt < 5 { "AUTH_005" } else { "AUTH_008" });
    }
    for token in [token, world.token(&json!({ "jti": "another" }))] {
        assert_eq!(me(&world.app, &token).await, "none");
    }
}
