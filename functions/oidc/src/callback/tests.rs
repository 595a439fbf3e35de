//! Sign-ins that are right, and what becomes of them.

use serde_json::{Value, json};
use shared::{auth::Role, clock::Clock, testing::Event};

use crate::trial::{Going, PAGE, SECRET, Trial, assert_refused};

#[tokio::test]
async fn who_signs_in_for_the_first_time_gets_an_account_a_session_and_our_tokens() {
    let trial = Trial::start().await;
    let answer = trial.sign_in(&json!({})).await;
    assert_eq!(answer.status, 200, "{:?}", answer.log);
    let body = answer.json();
    let user = &body["user"];
    assert_eq!((&user["email"], &user["role"]), (&json!("grace@acme.example"), &json!("analyst")));
    assert_eq!((&body["expires_in"], &body["refresh_expires_in"]), (&json!(900), &json!(604_800)));
    assert!(body["refresh_token"].is_string());
    assert_eq!(answer.header("set-cookie").split(';').next(), Some("__Host-sign-in="), "the cookie is forgotten");
    assert_eq!(answer.header("cache-control"), "no-store");
    let token = body["access_token"].as_str().unwrap();
    let subject = trial.app.group.app.verifier.verify(token, trial.app.clock.now()).await.unwrap();
    assert_eq!((subject.tenant.as_uuid(), subject.role), (trial.ada.tenant, Role::Analyst));
    let row = "SELECT provider_id::text || issuer || subject || provider_session || end_session_url FROM sessions WHERE id = $1";
    let row = sqlx::query_scalar::<_, String>(row).bind(subject.session);
    let (id, issuer) = (trial.id, trial.provider.issuer());
    let expected = format!("{id}{issuer}gracetheirs-1{issuer}/end?client_id=client-1");
    assert_eq!(row.fetch_one(&mut trial.app.superuser().await).await.unwrap(), expected);
    let records = trial.trail().await;
    let of = |action: &str, reason: Option<&str>| (action.to_owned(), "success".to_owned(), reason.map(str::to_owned));
    assert_eq!(records, [of("users.create", Some("just_in_time")), of("auth.oidc.login", None)]);
}

#[tokio::test]
async fn who_comes_back_is_the_same_user_whatever_the_address_says() {
    let trial = Trial::start().await;
    let first = trial.sign_in(&json!({})).await.json();
    let again = trial.sign_in(&json!({ "email": "other@acme.example", "sid": null })).await.json();
    assert_eq!((&first["user"]["id"], &again["user"]["email"]), (&again["user"]["id"], &json!("grace@acme.example")));
    assert_eq!(trial.sessions().await, 2);
    let other = trial.sign_in(&json!({ "sub": "linus" })).await.json();
    assert_ne!(first["user"]["id"], other["user"]["id"]);
}

#[tokio::test]
async fn an_address_that_is_taken_links_nobody() {
    let trial = Trial::start().await;
    trial.sql("UPDATE users SET email = 'grace@acme.example'").await;
    let user = trial.sign_in(&json!({})).await.json()["user"].clone();
    assert!(user["email"].as_str().unwrap().ends_with("@federated.invalid"), "{user}");
    assert_ne!(user["id"], json!(trial.ada.user));
    assert_eq!(user["role"], "analyst");
    let unverified = trial.sign_in(&json!({ "sub": "x", "email": "b@acme.example", "email_verified": null })).await;
    assert!(unverified.json()["user"]["email"].as_str().unwrap().ends_with("@federated.invalid"), "not vouched for");
}

#[tokio::test]
async fn a_page_gets_the_refresh_cookie_and_the_browser_and_no_token_in_the_url() {
    let trial = Trial::start().await;
    let going = Going::of(&trial.login(&[("tenant", "acme"), ("redirect_uri", PAGE)]).await);
    trial.grant(&going, &trial.key.sign("ES256", &trial.claims(&going)));
    let answer = trial.app.send(going.back()).await;
    assert_eq!((answer.status.as_u16(), answer.header("location"), answer.bytes.len()), (302, PAGE, 0));
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap()).collect();
    assert_eq!(cookies.len(), 2, "{cookies:?}");
    assert!(cookies[0].starts_with("__Host-sign-in=; "));
    let refresh = cookies[1].strip_prefix("__Host-refresh=").unwrap();
    assert!(refresh.ends_with("; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=604800"), "{refresh}");
    assert!(trial.app.group.sessions.refresh_tokens.decode(refresh.split(';').next().unwrap()).is_some());
}

#[tokio::test]
async fn the_code_is_redeemed_with_the_verifier_and_the_secret_as_the_provider_wants_them() {
    let trial = Trial::start().await;
    for (methods, in_body) in [
        (json!(null), false),
        (json!(["client_secret_basic", "client_secret_post"]), false),
        (json!(["client_secret_post"]), true),
    ] {
        if !methods.is_null() {
            trial.provider.set_discovery(&json!({ "token_endpoint_auth_methods_supported": methods }));
            trial.app.clock.advance(time::Duration::minutes(11));
        }
        // The grant takes nothing but the right verifier, secret and redirect URI.
        assert_eq!(trial.sign_in(&json!({})).await.status, 200, "{methods}");
        let asked = trial.provider.received().into_iter().rfind(|request| request.path == "/token").unwrap();
        assert_eq!(String::from_utf8_lossy(&asked.body).contains(SECRET), in_body, "{methods}");
        assert_eq!(asked.headers.contains_key("authorization"), !in_body, "{methods}");
    }
    trial.sql("UPDATE identity_providers SET client_secret_ciphertext = NULL").await;
    assert_refused(&trial.sign_in(&json!({})).await, "a public client where the provider knows a secret");
}

#[tokio::test]
async fn roles_are_as_the_groups_say_and_the_last_admin_stays_one() {
    let trial = Trial::start().await;
    let role = async |claims: Value| trial.sign_in(&claims).await.json()["user"]["role"].clone();
    assert_eq!(role(json!({ "groups": null })).await, "viewer");
    assert_eq!(role(json!({ "groups": "lab" })).await, "analyst");
    assert_eq!(trial.sessions().await, 1, "a change of role ends the other sessions");
    trial.sql("UPDATE users SET role = 'viewer' WHERE id NOT IN (SELECT user_id FROM federated_identities)").await;
    trial.sql("UPDATE users SET role = 'admin' WHERE id IN (SELECT user_id FROM federated_identities)").await;
    let answer = trial.sign_in(&json!({})).await;
    assert_eq!((answer.status.as_u16(), &*answer.code()), (403, "PERM_001"));
}

#[tokio::test]
async fn without_an_account_or_with_an_inactive_one_nobody_signs_in() {
    let trial = Trial::start().await;
    trial.sql("UPDATE identity_providers SET jit_provisioning = false").await;
    let unknown = trial.sign_in(&json!({})).await;
    trial.sql("UPDATE identity_providers SET jit_provisioning = true").await;
    assert_eq!(trial.sign_in(&json!({})).await.status, 200);
    trial.sql("UPDATE users SET status = 'inactive'").await;
    let inactive = trial.sign_in(&json!({})).await;
    for answer in [&unknown, &inactive] {
        assert_eq!((answer.status.as_u16(), &*answer.code()), (401, "AUTH_005"), "{:?}", answer.log);
    }
    let refused = trial.trail().await.into_iter().filter(|record| record.2.as_deref() == Some("AUTH_005"));
    assert_eq!(refused.map(|record| record.1).collect::<Vec<_>>(), ["denied", "denied"]);
}

#[tokio::test]
async fn the_limit_of_sessions_counts_here_too() {
    let trial = Trial::start_with(&[("MAX_SESSIONS_PER_USER", "2")]).await;
    for _ in 0..4 {
        assert_eq!(trial.sign_in(&json!({})).await.status, 200);
    }
    assert_eq!(trial.sessions().await, 2);
}

/// A lock is about passwords: who would lock somebody out of a federated
/// account by guessing at it could.
#[tokio::test]
async fn a3_a_lock_of_password_attempts_does_not_keep_anybody_from_federated_sign_in() {
    let trial = Trial::start().await;
    assert_eq!(trial.sign_in(&json!({})).await.status, 200);
    let (slug, email) = ("acme".to_owned().try_into().unwrap(), "grace@acme.example".to_owned().try_into().unwrap());
    let attempted = shared::lockout::Attempted::account(&slug, &email);
    let app = &trial.app.group.app;
    for _ in 0..5 {
        attempted.reserve(app).await.unwrap();
    }
    assert_eq!(attempted.reserve(app).await.unwrap_err().code().as_str(), "AUTH_008", "the account is locked");
    assert_eq!(trial.sign_in(&json!({})).await.status, 200);
    assert_eq!(attempted.reserve(app).await.unwrap_err().code().as_str(), "AUTH_008", "and stays locked");
}

#[tokio::test]
async fn of_two_callbacks_at_once_one_begins_a_session() {
    let trial = Trial::start_with(&[("AWS_LAMBDA_MAX_CONCURRENCY", "20")]).await;
    let going = trial.begin().await;
    trial.grant(&going, &trial.key.sign("ES256", &trial.claims(&going)));
    let (one, two) = tokio::join!(trial.app.send(going.back()), trial.app.send(going.back()));
    let mut codes = [one.code(), two.code()];
    codes.sort();
    assert_eq!((codes, trial.sessions().await), (["AUTH_010".to_owned(), "none".to_owned()], 1));
    assert_eq!(trial.provider.count("/token"), 1, "the code is redeemed once");
}

#[tokio::test]
async fn another_environment_takes_the_answer() {
    let trial = Trial::start().await;
    let going = trial.begin().await;
    trial.grant(&going, &trial.key.sign("ES256", &trial.claims(&going)));
    let settings = [("FEDERATION_ALLOW_LOOPBACK", "on")];
    let (database, keys) = (trial.app.database.clone(), trial.app.keys.clone());
    let other = shared::testing::TestApp::start_with(crate::routes(), database, keys, &settings).await;
    assert_eq!(other.send(going.back()).await.status, 200);
    assert_refused(&trial.app.send(going.back()).await, "used there");
    let head = Event::get("/api/v1/auth/oidc/entra/callback").edit(|event| {
        event["requestContext"]["http"]["method"] = "POST".into();
    });
    assert_eq!(trial.app.send(head).await.code(), "REQ_004");
}
