//! The sessions of providers' tokens: who they are, and what ends them.

use serde_json::{Value, json};
use shared::{
    clock::Clock,
    testing::{TestApp, TestIssuer, federated::ON_LOOPBACK},
};
use time::Duration;

use crate::{
    provider_tokens::{World, world},
    tokens::get,
};

async fn sql(world: &World, statement: &'static str) {
    let mut superuser = world.app.superuser().await;
    sqlx::query(statement).bind(world.ada.tenant).execute(&mut superuser).await.unwrap();
}

async fn number(world: &World, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(&mut world.app.superuser().await).await.unwrap()
}

/// Another execution environment over the same database.
async fn another(world: &World) -> TestApp<todos::Todos> {
    TestApp::start_with(todos::routes(), world.app.database.clone(), world.app.keys.clone(), &[ON_LOOPBACK]).await
}

const FEDERATED: &str = "SELECT count(*) FROM sessions WHERE bearer_key IS NOT NULL";

#[tokio::test]
async fn tokens_of_one_session_of_the_provider_share_one_of_ours() {
    let world = world("ES256", &json!({})).await;
    for jti in ["a", "b", "c"] {
        world.accepted(&world.token(&json!({ "sid": "session", "jti": jti })), jti).await;
    }
    assert_eq!(number(&world, FEDERATED).await, 1);
    for jti in ["d", "e", "e"] {
        world.accepted(&world.token(&json!({ "jti": jti })), jti).await;
    }
    assert_eq!(number(&world, FEDERATED).await, 3, "without sid each token has its own");
    let mut bare = world.without("jti");
    bare["iat"] = json!(bare["iat"].as_i64().unwrap() - 1);
    for _ in 0..2 {
        world.accepted(&world.idp.sign(&bare), "neither").await;
    }
    assert_eq!(number(&world, FEDERATED).await, 4, "two signatures of one token are one token");
    // It ends with the token that lives longest.
    world.app.clock.advance(Duration::seconds(-60));
    world.accepted(&world.token(&json!({ "sid": "session", "jti": "older" })), "older").await;
    let ends =
        "SELECT count(*) FROM sessions WHERE provider_session = 'session' AND expires_at > now() + interval '14 min'";
    assert_eq!(number(&world, ends).await, 1);
}

#[tokio::test]
async fn an_ended_session_stays_ended_in_every_environment() {
    for (algorithm, sid) in [("RS256", json!("session")), ("ES256", json!("session")), ("ES256", Value::Null)] {
        let world = world(algorithm, &json!({})).await;
        let mut claims = world.claims(&json!({ "sid": sid }));
        if sid.is_null() {
            claims.as_object_mut().unwrap().remove("sid");
        }
        let (token, other) = (world.idp.sign(&claims), another(&world).await);
        world.accepted(&token, "the first").await;
        assert_eq!(get(&other, &token).await.status, 200);
        assert_eq!(number(&world, FEDERATED).await, 1);
        sql(&world, "UPDATE sessions SET ended_at = now() WHERE tenant_id = $1 AND bearer_key IS NOT NULL").await;
        for _ in 0..2 {
            world.refused(&token, "AUTH_006", true, "known").await;
            assert_eq!(get(&other, &token).await.code(), "AUTH_006");
        }
        assert_eq!(get(&another(&world).await, &token).await.code(), "AUTH_006", "an environment that has not seen it");
        if !sid.is_null() {
            claims["jti"] = json!("next");
            world.refused(&world.idp.sign(&claims), "AUTH_006", true, "another of the session").await;
        }
        assert_eq!(number(&world, FEDERATED).await, 1);
    }
}

/// What `oidc` does with a logout token of the provider that says this, and was
/// issued as long ago.
async fn logged_out(world: &World, subject: Option<&str>, sid: Option<&str>, seconds_ago: i64) {
    let end = sqlx::query(
        "SELECT app.end_provider_sessions(p.id, p.issuer, $2, $3, $4)
           FROM app.enter_tenant($1), app.describe_request('auth.oidc.logout', 'r-1', ''), identity_providers p
          WHERE p.tenant_id = $1",
    );
    let at = world.app.clock.now() - Duration::seconds(seconds_ago);
    let end = end.bind(world.ada.tenant).bind(subject).bind(sid).bind(at);
    end.execute(&mut world.app.superuser().await).await.unwrap();
}

#[tokio::test]
async fn a_token_that_was_not_seen_before_its_providers_logout_begins_no_session_after_it() {
    for (algorithm, subject, sid) in
        [("RS256", None, Some("session")), ("ES256", Some("s-1"), None), ("ES256", Some("s-1"), Some("session"))]
    {
        let world = world(algorithm, &json!({})).await;
        let token = world.token(&json!({ "sid": "session" }));
        let at = |seconds: i64, changes: Value| {
            let mut claims = world.claims(&changes);
            claims["iat"] = json!(claims["iat"].as_i64().unwrap() + seconds);
            claims["jti"] = json!(seconds.to_string());
            world.idp.sign(&claims)
        };
        let iat = world.claims(&json!({}))["iat"].as_i64().unwrap();
        let ago = world.app.clock.now().unix_timestamp() - iat;
        for (subject, sid) in [(Some("s-2"), None), (None, Some("other")), (Some("s-2"), Some("session"))] {
            logged_out(&world, subject, sid, ago).await;
        }
        logged_out(&world, subject, sid, ago + 10).await;
        world.refused(&at(-20, json!({ "sid": "session" })), "AUTH_006", true, "issued before").await;
        logged_out(&world, subject, sid, ago).await;
        world.refused(&token, "AUTH_006", true, "of the same second").await;
        logged_out(&world, subject, sid, ago + 10).await;
        world.refused(&token, "AUTH_006", true, "an older logout changes nothing").await;
        assert_eq!(number(&world, FEDERATED).await, 0);
        assert_eq!(number(&world, "SELECT count(*) FROM federated_identities").await, 0, "and no account");
        let later = at(1, json!({ "sid": if sid.is_some() { "next" } else { "session" } }));
        world.accepted(&later, "who signed in again").await;
    }
}

/// Whichever comes first, the session that begins is ended.
#[tokio::test]
async fn a_session_that_begins_and_the_logout_that_ends_it_wait_for_each_other() {
    let world = world("ES256", &json!({})).await;
    let token = world.token(&json!({ "sid": "session" }));
    let mut ending = world.app.superuser().await;
    let begin = "BEGIN; SELECT app.end_provider_sessions(p.id, p.issuer, NULL, 'session', now() + interval '1 hour')
                   FROM identity_providers p, app.enter_tenant(p.tenant_id),
                        app.describe_request('auth.oidc.logout', 'r-1', '')";
    sqlx::raw_sql(begin).execute(&mut ending).await.unwrap();
    let committed = async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        sqlx::raw_sql("COMMIT").execute(&mut ending).await.unwrap();
    };
    let (answer, ()) = tokio::join!(get(&world.app, &token), committed);
    assert_eq!(answer.code(), "AUTH_006", "it waited: {:?}", answer.log);
    assert_eq!(number(&world, FEDERATED).await, 0);
}

#[tokio::test]
async fn a_user_who_was_shut_out_is_refused_at_the_next_request() {
    let world = world("ES256", &json!({})).await;
    let (token, fresh) = (world.token(&json!({ "jti": "one" })), world.token(&json!({ "jti": "two" })));
    world.accepted(&token, "before").await;
    sql(&world, "UPDATE users SET status = 'inactive' WHERE tenant_id = $1 AND role = 'viewer'").await;
    for token in [&token, &fresh] {
        world.refused(token, "AUTH_006", true, "inactive").await;
    }
    sql(&world, "UPDATE tenants SET status = 'suspended' WHERE id = $1").await;
    for token in [&token, &fresh] {
        world.refused(token, "TEN_004", true, "suspended").await;
    }
}

#[tokio::test]
async fn what_a_change_of_the_provider_ended_is_judged_anew_by_its_new_settings() {
    let world = world("ES256", &json!({ "role_claim": "groups", "role_map": { "leads": "analyst" } })).await;
    let token = world.token(&json!({ "groups": ["leads"], "sid": "session" }));
    world.accepted(&token, "before").await;
    sql(
        &world,
        "WITH entered AS (SELECT * FROM app.enter_tenant($1)), changed AS (
             UPDATE identity_providers SET role_map = '{}', version = version + 1 WHERE tenant_id = $1 RETURNING id)
         SELECT app.end_provider_sessions(changed.id) FROM entered, changed",
    )
    .await;
    world.refused(&token, "AUTH_006", true, "the session that it had").await;
    world.accepted(&token, "another, by today's settings").await;
    assert_eq!(number(&world, "SELECT count(*) FROM users WHERE role = 'analyst'").await, 0);
    assert_eq!(
        number(&world, "SELECT count(*) FROM sessions WHERE bearer_key IS NOT NULL AND ended_at IS NULL").await,
        1
    );
}

#[tokio::test]
async fn a_known_token_causes_no_call_and_writes_nothing() {
    let world = world("ES256", &json!({})).await;
    let token = world.token(&json!({}));
    world.accepted(&token, "the first").await;
    let (calls, used) =
        (world.idp.calls(), number(&world, "SELECT sum(xmin::text::bigint)::bigint FROM sessions").await);
    world.idp.provider.behave("/keys", shared::testing::provider::Behaviour::Hang);
    for _ in 0..3 {
        world.accepted(&token, "known").await;
    }
    assert_eq!(world.idp.calls(), calls);
    let after = number(&world, "SELECT sum(xmin::text::bigint)::bigint FROM sessions").await;
    assert_eq!(after, used, "nothing was written");
}

#[tokio::test]
async fn the_same_subject_of_another_issuer_is_another_user() {
    let world = world("ES256", &json!({})).await;
    let second = TestIssuer::start("EdDSA");
    second.register(&world.app.database, world.ada.tenant, &json!({ "name": "second" })).await;
    let email = json!({ "email": "ada@example.org", "email_verified": true });
    world.accepted(&world.token(&email), "one").await;
    let mut claims = second.claims(&world.app, world.ada.tenant, "s-1");
    claims["email"] = json!("ada@example.org");
    claims["email_verified"] = json!(true);
    world.accepted(&second.sign(&claims), "the other").await;
    assert_eq!(number(&world, "SELECT count(*) FROM users").await, 3);
    assert_eq!(number(&world, "SELECT count(*) FROM users WHERE email LIKE '%@federated.invalid'").await, 1);
}
