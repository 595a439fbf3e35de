//! Who gets an account by a provider's token, and with which role.

use serde_json::json;

use crate::{
    provider_tokens::{World, world},
    tokens::get,
};

async fn role(world: &World) -> Option<String> {
    sqlx::query_scalar(
        "SELECT u.role FROM federated_identities f JOIN users u ON u.id = f.user_id WHERE f.subject = 's-1'",
    )
    .fetch_optional(&mut world.app.superuser().await)
    .await
    .unwrap()
}

#[tokio::test]
async fn nobody_gets_an_account_where_the_provider_may_not_create_any() {
    let world = world("ES256", &json!({ "jit_provisioning": false })).await;
    let token = world.token(&json!({ "email": "ada@example.org", "email_verified": true }));
    world.refused(&token, "AUTH_005", true, "unknown").await;
    assert_eq!(role(&world).await, None);
}

#[tokio::test]
async fn an_email_that_somebody_here_has_links_nobody() {
    let world = world("ES256", &json!({})).await;
    let mut superuser = world.app.superuser().await;
    sqlx::query("UPDATE users SET email = 'ada@example.org'").execute(&mut superuser).await.unwrap();
    world.accepted(&world.token(&json!({ "email": "Ada@example.org", "email_verified": true })), "taken").await;
    assert_eq!(role(&world).await.as_deref(), Some("viewer"), "not the admin with this address");
    for (subject, claims) in [
        ("s-2", json!({ "sub": "s-2", "email": "bob@example.org", "email_verified": "true" })),
        ("s-3", json!({ "sub": "s-3", "email": "bob@example.org" })),
        ("s-4", json!({ "sub": "s-4", "email": "bob@example.org", "email_verified": true, "name": "Bob" })),
    ] {
        world.accepted(&world.token(&claims), subject).await;
    }
    let bobs: Vec<(String, String)> = sqlx::query_as("SELECT subject, display_name FROM users u JOIN federated_identities f ON f.user_id = u.id WHERE email = 'bob@example.org'")
        .fetch_all(&mut superuser)
        .await
        .unwrap();
    assert_eq!(bobs, [("s-4".to_owned(), "Bob".to_owned())], "only one that the provider has verified is taken over");
}

#[tokio::test]
async fn the_role_is_the_highest_of_the_groups_or_the_default() {
    let settings = json!({ "role_claim": "groups", "role_map": { "leads": "admin", "lab": "analyst" } });
    let world = world("ES256", &settings).await;
    let start = world.claims(&json!({}))["iat"].as_i64().unwrap() - 100;
    for (step, groups, expected) in [
        (0, json!(["lab"]), "analyst"),
        (1, json!(["other", "lab", "leads"]), "admin"),
        (2, json!(["other"]), "viewer"),
        (3, json!("lab"), "analyst"),
        (4, json!([]), "viewer"),
        (5, json!(["leads"]), "admin"),
        (6, json!(["Leads"]), "viewer"),
    ] {
        let said = json!({ "groups": groups, "iat": start + step, "sid": "session", "jti": step.to_string() });
        world.accepted(&world.token(&said), &groups.to_string()).await;
        assert_eq!(role(&world).await.as_deref(), Some(expected), "{groups}");
    }
    for groups in [json!(7), json!(null), json!({ "leads": true }), json!(["leads", 7])] {
        world.refused(&world.token(&json!({ "groups": groups })), "AUTH_001", true, &groups.to_string()).await;
    }
}

#[tokio::test]
async fn what_was_said_of_the_role_before_does_not_count_any_more() {
    let world = world("ES256", &json!({ "role_claim": "groups", "role_map": { "leads": "admin" } })).await;
    let start = world.claims(&json!({}))["iat"].as_i64().unwrap() - 100;
    let said = |groups: &str, iat: i64, jti: &str| {
        world.token(&json!({ "groups": [groups], "iat": start + iat, "sid": "session", "jti": jti }))
    };
    let (lead, none) = (said("leads", 0, "1"), said("none", 10, "2"));
    world.accepted(&lead, "a lead").await;
    world.accepted(&none, "no lead any more").await;
    world.refused(&lead, "AUTH_006", true, "known here as a lead's").await;
    world.refused(&lead, "AUTH_006", true, "judged anew").await;
    world.refused(&said("leads", 9, "3"), "AUTH_006", true, "older").await;
    world.accepted(&none, "still").await;
    world.accepted(&said("leads", 20, "4"), "a lead again").await;
    assert_eq!(get(&world.app, &none).await.code(), "AUTH_006");
    assert_eq!(role(&world).await.as_deref(), Some("admin"));
}

#[tokio::test]
async fn the_last_admin_keeps_the_role_and_is_refused_until_there_is_another() {
    let world = world("ES256", &json!({ "role_claim": "groups", "role_map": { "leads": "admin" } })).await;
    world.accepted(&world.token(&json!({ "groups": "leads" })), "a lead").await;
    let mut superuser = world.app.superuser().await;
    let inactive = "UPDATE users SET status = 'inactive' WHERE id = $1";
    sqlx::query(inactive).bind(world.ada.user).execute(&mut superuser).await.unwrap();
    let demoted = world.token(&json!({ "groups": "none" }));
    world.refused(&demoted, "PERM_001", true, "the last one").await;
    assert_eq!(role(&world).await.as_deref(), Some("admin"));
    sqlx::query("UPDATE users SET status = 'active'").execute(&mut superuser).await.unwrap();
    world.accepted(&demoted, "there is another").await;
    assert_eq!(role(&world).await.as_deref(), Some("viewer"));
}
