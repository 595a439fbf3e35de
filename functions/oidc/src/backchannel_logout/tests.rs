use serde_json::{Value, json};
use shared::{
    clock::Clock,
    testing::{Answer, Event, ProviderKey},
};
use time::Duration;

use crate::trial::{Trial, assert_refused, changed_by};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

impl Trial {
    fn logout_claims(&self, jti: &str, changed: &Value) -> Value {
        let now = self.app.clock.now().unix_timestamp();
        let claims = json!({
            "iss": self.provider.issuer(), "aud": "client-1", "iat": now, "exp": now + 120, "jti": jti,
            "events": { EVENT: {} }, "sub": "grace", "sid": "theirs-1",
        });
        changed_by(claims, changed)
    }

    fn logout_token(&self, jti: &str, changed: &Value) -> String {
        let header = r#"{"alg":"ES256","typ":"logout+jwt","kid":"k-1"}"#;
        self.key.sign_raw("ES256", header, &self.logout_claims(jti, changed).to_string())
    }

    async fn told(&self, token: &str) -> Answer {
        self.told_of("acme", token).await
    }

    async fn told_of(&self, tenant: &str, token: &str) -> Answer {
        let target = format!("/api/v1/auth/oidc/entra/backchannel-logout?tenant={tenant}");
        self.app.send(Event::new(&http::Method::POST, &target).form(&[("logout_token", token)])).await
    }

    /// Grace, signed in twice, and Linus.
    async fn signed_in(&self) {
        for claims in [json!({}), json!({ "sid": "theirs-2" }), json!({ "sub": "linus", "sid": "theirs-3" })] {
            let answer = self.sign_in(&claims).await;
            assert_eq!(answer.status, 200, "{:?}", answer.log);
        }
    }

    async fn alive(&self) -> Vec<String> {
        let query = "SELECT provider_session FROM sessions WHERE issuer IS NOT NULL AND ended_at IS NULL ORDER BY 1";
        sqlx::query_scalar(query).fetch_all(&mut self.app.superuser().await).await.unwrap()
    }
}

#[tokio::test]
async fn a_session_or_all_of_a_subject_end_at_once_and_nobody_elses() {
    for (changed, expected) in [
        (json!({}), vec!["theirs-2", "theirs-3"]),
        (json!({ "sub": null }), vec!["theirs-2", "theirs-3"]),
        (json!({ "sid": null }), vec!["theirs-3"]),
        (json!({ "sub": "linus" }), vec!["theirs-1", "theirs-2", "theirs-3"]),
        (json!({ "sid": "unknown" }), vec!["theirs-1", "theirs-2", "theirs-3"]),
    ] {
        let trial = Trial::start().await;
        trial.signed_in().await;
        let answer = trial.told(&trial.logout_token("j-1", &changed)).await;
        assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (200, "no-store"), "{changed}");
        assert_eq!(trial.alive().await, expected, "{changed}");
        let ended = 3 - expected.len();
        let records = trial.app.trail(trial.ada.tenant).await;
        let records: Vec<_> = records.iter().filter(|record| record.0 == "auth.oidc.logout").collect();
        assert_eq!(records.len(), ended.max(1), "{changed}");
        assert!(records.iter().all(|record| record.1 == "success" && record.3.is_some() == (ended > 0)));
    }
}

/// Its code was given out before the provider ended the session.
#[tokio::test]
async fn a_sign_in_that_was_under_way_when_the_provider_ended_its_session_begins_none() {
    let over = [json!({}), json!({ "sub": null }), json!({ "sid": null })];
    let others = [json!({ "sid": "another" }), json!({ "sub": "linus" }), json!({ "sub": "linus", "sid": null })];
    for (changed, is_over) in over.iter().map(|over| (over, true)).chain(others.iter().map(|other| (other, false))) {
        let trial = Trial::start().await;
        let going = trial.begin().await;
        trial.grant(&going, &trial.key.sign("ES256", &trial.claims(&going)));
        assert_eq!(trial.told(&trial.logout_token("j-1", changed)).await.status, 200, "{changed}");
        let answer = trial.app.send(going.back()).await;
        if is_over {
            assert_refused(&answer, &changed.to_string());
        } else {
            assert_eq!(answer.status, 200, "{changed}: {:?}", answer.log);
        }
        assert_eq!(trial.sessions().await, i64::from(!is_over), "{changed}");
        // Who signs in after that is somebody who came back.
        trial.app.clock.advance(Duration::seconds(1));
        assert_eq!(trial.sign_in(&json!({})).await.status, 200, "{changed}");
    }
}

/// A session of the provider's access tokens, ended by a change of role: the
/// same tokens would begin another one. Three of one provider's session, since
/// the role changed twice, and one that is another subject's.
#[tokio::test]
async fn what_a_change_of_role_had_ended_begins_no_other_session_after_a_logout() {
    for (changed, expected) in [
        (json!({}), 1),
        (json!({ "sub": null }), 1),
        (json!({ "sid": null }), 1),
        (json!({ "sub": "linus" }), 0),
        (json!({ "sid": "unknown" }), 0),
    ] {
        let trial = Trial::start().await;
        trial.signed_in().await;
        trial
            .sql(
                "UPDATE sessions SET ended_at = now(), superseded = true, bearer_key = sha256(provider_session::bytea)
                  WHERE provider_session IS NOT NULL;
                 INSERT INTO sessions (tenant_id, id, user_id, created_at, last_used_at, expires_at, ended_at, provider_id,
                                       issuer, subject, provider_session, bearer_key, superseded)
                 SELECT tenant_id, gen_random_uuid(), user_id, created_at, last_used_at, expires_at, ended_at, provider_id,
                        issuer, subject, provider_session, bearer_key, true
                   FROM sessions, generate_series(1, 2) WHERE provider_session = 'theirs-1'",
            )
            .await;
        let answer = trial.told(&trial.logout_token("j-1", &changed)).await;
        assert_eq!(answer.status, 200, "{changed}: {:?}", answer.log);
        let shut = "SELECT count(*) FROM sessions WHERE NOT superseded AND bearer_key = sha256('theirs-1'::bytea)";
        assert_eq!(trial.count(shut).await, expected, "{changed}");
        let linus = "SELECT count(*) FROM sessions WHERE superseded AND subject = 'linus'";
        assert_eq!(trial.count(linus).await, 1, "{changed}");
    }
}

#[tokio::test]
async fn an_ended_session_is_refused_with_the_next_request() {
    let trial = Trial::start().await;
    let body = trial.sign_in(&json!({})).await.json();
    let token = body["access_token"].as_str().unwrap();
    let subject = trial.app.group.app.verifier.verify(token, trial.app.clock.now()).await.unwrap();
    let entered = async || {
        let enter = sqlx::query("SELECT * FROM app.enter($1, $2)").bind(trial.ada.tenant).bind(subject.session);
        enter.execute(&mut trial.app.database.runtime().await).await.is_ok()
    };
    assert!(entered().await);
    assert_eq!(trial.told(&trial.logout_token("j-1", &json!({}))).await.status, 200);
    assert!(!entered().await);
}

#[tokio::test]
async fn a_logout_token_is_used_once_for_each_tenant() {
    let trial = Trial::start().await;
    let eve = trial.app.tenant("evil").await;
    trial.register(eve.tenant, "entra").await;
    trial.signed_in().await;
    let token = trial.logout_token("j-1", &json!({ "sid": "theirs-2" }));
    assert_eq!(trial.told_of("evil", &token).await.status, 200);
    assert_eq!(trial.alive().await.len(), 3, "another tenant's provider ends nothing here");
    assert_eq!(trial.told(&token).await.status, 200);
    assert_refused(&trial.told(&token).await, "replayed");
    assert_refused(&trial.told(&trial.logout_token("j-1", &json!({}))).await, "the same jti");
    assert_eq!(trial.alive().await, ["theirs-1", "theirs-3"]);
    let refused = trial.trail().await.into_iter().filter(|record| record.2.as_deref() == Some("AUTH_010"));
    assert_eq!(refused.count(), 2);
}

#[tokio::test]
async fn what_is_no_logout_token_ends_nothing() {
    let trial = Trial::start().await;
    trial.signed_in().await;
    let now = trial.app.clock.now().unix_timestamp();
    for (index, changed) in [
        json!({ "events": null }),
        json!({ "events": {} }),
        json!({ "events": { EVENT: true } }),
        json!({ "events": [EVENT] }),
        json!({ "nonce": "n" }),
        json!({ "jti": null }),
        json!({ "jti": "" }),
        json!({ "sub": null, "sid": null }),
        json!({ "sub": 7 }),
        json!({ "sid": "" }),
        json!({ "aud": "client-2" }),
        json!({ "aud": "api://tenantry" }),
        json!({ "iss": "https://evil.example" }),
        json!({ "exp": now - 1 }),
        json!({ "exp": null }),
        json!({ "iat": now - 720 }),
        json!({ "iat": now + 120 }),
        json!({ "iat": null }),
    ]
    .into_iter()
    .enumerate()
    {
        assert_refused(&trial.told(&trial.logout_token(&format!("j-{index}"), &changed)).await, &changed.to_string());
    }
    let claims = trial.logout_claims("j-99", &json!({})).to_string();
    let by = |key: &ProviderKey, header: &str| key.sign_raw("ES256", header, &claims);
    let stranger = ProviderKey::p256("k-1");
    let going = trial.begin().await;
    for token in [
        by(&stranger, r#"{"alg":"ES256","typ":"logout+jwt","kid":"k-1"}"#),
        by(&trial.key, r#"{"alg":"ES256","typ":"at+jwt","kid":"k-1"}"#),
        by(&trial.key, r#"{"alg":"none","typ":"logout+jwt","kid":"k-1"}"#),
        trial.key.sign("ES256", &trial.claims(&going)),
        "a.b.c".to_owned(),
    ] {
        assert_refused(&trial.told(&token).await, &token);
    }
    assert_eq!(trial.alive().await.len(), 3);
    // Providers that give it no type of its own are many.
    assert_eq!(trial.told(&by(&trial.key, r#"{"alg":"ES256","typ":"JWT","kid":"k-1"}"#)).await.status, 200);
    assert_eq!(trial.alive().await.len(), 2);
}

#[tokio::test]
async fn a_logout_token_is_no_id_token() {
    let trial = Trial::start().await;
    let going = trial.begin().await;
    let claims = trial.logout_claims("j-1", &json!({ "nonce": going.query["nonce"] }));
    trial.grant(&going, &trial.key.sign("ES256", &claims));
    assert_refused(&trial.app.send(going.back()).await, "events");
    let header = r#"{"alg":"ES256","typ":"logout+jwt","kid":"k-1"}"#;
    let going = trial.begin().await;
    trial.grant(&going, &trial.key.sign_raw("ES256", header, &trial.claims(&going).to_string()));
    assert_refused(&trial.app.send(going.back()).await, "typ");
}

#[tokio::test]
async fn unknown_tenants_are_one_answer_and_addresses_are_counted() {
    let trial = Trial::start_with(&[("AUTH_RATE_LIMIT_PER_MINUTE", "3")]).await;
    let token = trial.logout_token("j-1", &json!({}));
    assert_refused(&trial.told_of("nobody-here", &token).await, "tenant");
    trial.sql("UPDATE identity_providers SET status = 'inactive'").await;
    assert_refused(&trial.told(&token).await, "provider");
    let form = Event::post("/api/v1/auth/oidc/entra/backchannel-logout?tenant=acme", &json!({}));
    assert_eq!(trial.app.send(form).await.code(), "REQ_003");
    assert_eq!(trial.told(&token).await.code(), "RATE_001");
}

/// A suspension rests the sessions, and a provider tells of a logout once.
#[tokio::test]
async fn a_session_that_is_over_at_the_provider_does_not_come_back_with_a_suspended_tenant() {
    let trial = Trial::start().await;
    trial.signed_in().await;
    trial.sql("UPDATE tenants SET status = 'suspended'").await;
    let answer = trial.told(&trial.logout_token("j-1", &json!({}))).await;
    assert_eq!(answer.status, 200, "{:?}", answer.log);
    trial.sql("UPDATE tenants SET status = 'active'").await;
    assert_eq!(trial.alive().await, ["theirs-2", "theirs-3"]);
}

#[tokio::test]
async fn what_was_used_once_is_forgotten_when_its_time_is_over() {
    let trial = Trial::start().await;
    for round in 0..3 {
        trial.told(&trial.logout_token(&format!("j-{round}"), &json!({}))).await;
        trial.app.clock.advance(Duration::minutes(20));
    }
    assert_eq!(trial.count("SELECT count(*) FROM app.used_once").await, 1);
}
