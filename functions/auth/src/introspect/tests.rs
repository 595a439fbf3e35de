use http::Method;
use serde_json::{Value, json};
use shared::{
    auth::{Permission, Role},
    testing::{Event, Member, TestApp, TestKeys},
};

use crate::{
    Auth,
    trial::{Pair, acme, another_session, refresh, sql},
};

fn asked(access: &str, pairs: &[(&str, &str)]) -> Event {
    Event::new(&Method::POST, "/api/v1/auth/introspect").form(pairs).bearer(access)
}

async fn introspect(app: &TestApp<Auth>, access: &str, token: &str) -> Value {
    let answer = app.send(asked(access, &[("token", token)])).await;
    assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (200, "no-store"), "{:?}", answer.log);
    answer.json()
}

fn inactive() -> Value {
    json!({ "active": false })
}

#[tokio::test]
async fn a_good_access_token_is_described_by_its_claims() {
    let app = TestApp::start(crate::routes()).await;
    let admin = app.tenant("acme").await;
    let member = app.member(admin.tenant, Role::Viewer).await;
    let claims = app.claims(&member);
    let token = app.keys.sign(&claims);
    let expected = json!({
        "active": true, "token_use": "access_token", "token_type": "Bearer",
        "scope": Role::Viewer.permissions().map(Permission::as_str).collect::<Vec<_>>().join(" "),
        "iss": claims["iss"], "aud": claims["aud"], "jti": claims["jti"], "sub": member.user, "iat": claims["iat"],
        "exp": claims["exp"], "sid": member.session, "tenant_id": member.tenant, "role": "viewer",
    });
    for hint in ["access_token", "refresh_token", "nonsense", ""] {
        let pairs = [("token", &*token), ("token_type_hint", hint)];
        assert_eq!(app.send(asked(&admin.token, &pairs)).await.json(), expected, "{hint}");
    }
}

#[tokio::test]
async fn a_refresh_token_is_active_while_it_may_be_used_and_says_that_it_is_one() {
    let app = TestApp::start(crate::routes()).await;
    let pair = acme(&app).await;
    let answer = introspect(&app, &pair.access, &pair.refresh).await;
    let (active, kind) = (&answer["active"], &answer["token_use"]);
    assert_eq!((active, kind, answer.get("token_type")), (&json!(true), &json!("refresh_token"), None));
    assert_eq!(answer["exp"].as_i64().unwrap() - answer["iat"].as_i64().unwrap(), 604_800);
    let next = Pair::of(&app.send(refresh(&pair.refresh)).await);
    assert_eq!(introspect(&app, &pair.access, &pair.refresh).await, inactive(), "it was rotated");
    assert_eq!(introspect(&app, &pair.access, &next.refresh).await["active"], true);
    sql(&app, "UPDATE refresh_tokens SET expires_at = now()").await;
    assert_eq!(introspect(&app, &pair.access, &next.refresh).await, inactive(), "it has expired");
}

#[tokio::test]
async fn of_a_token_that_is_not_good_only_that_is_said() {
    let app = TestApp::start(crate::routes()).await;
    let (own, other) = (acme(&app).await, another_session(&app).await);
    let stranger = app.tenant("other").await;
    let expired = |member: &Member| {
        let mut claims = app.claims(member);
        claims["exp"] = claims["iat"].clone();
        app.keys.sign(&claims)
    };
    for token in ["", "a", "a.b.c", &*expired(&stranger), &stranger.token, &own.access[..own.access.len() - 4]] {
        let pairs = if token.is_empty() { [("token", "x")] } else { [("token", token)] };
        assert_eq!(app.send(asked(&own.access, &pairs)).await.json(), inactive(), "{token}");
    }
    for token in [&other.access, &other.refresh] {
        assert_eq!(introspect(&app, &own.access, token).await["active"], true);
    }
    let logout = Event::post("/api/v1/auth/logout?scope=others", &Value::Null).bearer(&own.access);
    assert_eq!(app.send(logout).await.status, 204);
    for token in [&other.access, &other.refresh] {
        assert_eq!(introspect(&app, &own.access, token).await, inactive(), "at once");
    }
}

#[tokio::test]
async fn an_ended_user_has_no_active_token() {
    let app = TestApp::start(crate::routes()).await;
    let admin = app.tenant("acme").await;
    let member = app.member(admin.tenant, Role::Analyst).await;
    assert_eq!(introspect(&app, &admin.token, &member.token).await["active"], true);
    let change = "UPDATE users SET status = 'inactive' WHERE id = $1";
    sqlx::query(change).bind(member.user).execute(&mut app.superuser().await).await.unwrap();
    assert_eq!(introspect(&app, &admin.token, &member.token).await, inactive());
}

#[tokio::test]
async fn only_a_live_caller_may_ask_and_only_by_a_form() {
    let app = TestApp::start(crate::routes()).await;
    let pair = acme(&app).await;
    let event = asked(&pair.access, &[("token", &pair.access)]);
    assert_eq!(app.send(event.clone().header("authorization", "")).await.code(), "AUTH_003");
    for bad in [asked(&pair.access, &[]), asked(&pair.access, &[("token", "a"), ("token", "b")])] {
        assert_eq!(app.send(bad).await.code(), "VAL_001");
    }
    assert_eq!(app.send(event.clone().json(&json!({ "token": pair.access }))).await.code(), "REQ_003");
    sql(&app, "UPDATE sessions SET ended_at = now()").await;
    assert_eq!(app.send(event).await.code(), "AUTH_006", "whatever it asks about");
    assert_eq!(app.send(asked(&pair.access, &[("token", "x")])).await.code(), "AUTH_006");
}

#[tokio::test]
async fn what_cannot_be_known_while_the_keys_cannot_be_read_is_503_and_never_inactive() {
    let app = TestApp::start(crate::routes()).await;
    let admin = app.tenant("acme").await;
    let next = TestKeys::generate("next").sign(&app.claims(&admin));
    for (away, expected) in [(true, (503, "SYS_004")), (false, (200, "none"))] {
        app.secrets.set_away(away);
        app.clock.advance(time::Duration::seconds(30));
        let revoke = Event::new(&Method::POST, "/api/v1/auth/revoke").form(&[("token", &*next)]);
        for event in [asked(&admin.token, &[("token", &next)]), revoke] {
            let answer = app.send(event).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), expected, "{:?}", answer.log);
        }
    }
}
