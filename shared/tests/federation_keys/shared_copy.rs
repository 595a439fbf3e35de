//! The copy in Postgres: what may be done with it, and what is told of it.

use jsonwebtoken::Algorithm::ES256;
use serde_json::{Value, json};
use shared::{
    Code,
    testing::{
        ProviderKey, TestProvider,
        provider::{Behaviour, KEYS},
    },
};
use sqlx::{Executor, error::DatabaseError};

use crate::environment::{World, ask, fetches};

fn provider() -> TestProvider {
    TestProvider::start(&[ProviderKey::p256("k").public_jwk()])
}

#[tokio::test]
async fn the_runtime_role_reaches_it_through_its_two_functions_only() {
    let world = World::new().await;
    let mut runtime = world.database.runtime().await;
    for sql in [
        "SELECT * FROM app.provider_keys",
        "INSERT INTO app.provider_keys VALUES (sha256('x'), '{}', now(), now(), false)",
        "UPDATE app.provider_keys SET jwks = '{}'",
        "DELETE FROM app.provider_keys",
        "TRUNCATE app.provider_keys",
    ] {
        let error = runtime.execute(sql).await.unwrap_err();
        let code = error.as_database_error().and_then(<dyn DatabaseError>::code).unwrap();
        assert_eq!(code, "42501", "{sql}: {error}");
    }
}

#[tokio::test]
async fn who_was_overtaken_in_its_fetch_changes_nothing() {
    let world = World::new().await;
    let mut runtime = world.database.runtime().await;
    let claim = "SELECT claimed FROM app.claim_provider_fetch(sha256('x'), $1::timestamptz, NULL)";
    for (at, claimed) in
        [("2026-11-21 10:00:00Z", true), ("2026-11-21 10:00:29.999999Z", false), ("2026-11-21 10:00:30Z", true)]
    {
        let got: bool = sqlx::query_scalar(claim).bind(at).fetch_one(&mut runtime).await.unwrap();
        assert_eq!(got, claimed, "{at}");
    }
    let settle = "SELECT app.settle_provider_fetch(sha256('x'), $1::timestamptz, $2)";
    for (at, keys, settled) in [
        ("2026-11-21 10:00:00Z", "late", false),
        ("2026-11-21 10:00:30Z", "in time", true),
        ("2026-11-21 10:00:30Z", "twice", false),
    ] {
        let got: bool = sqlx::query_scalar(settle).bind(at).bind(keys).fetch_one(&mut runtime).await.unwrap();
        assert_eq!(got, settled, "{keys}");
    }
    let kept: String = sqlx::query_scalar("SELECT jwks FROM app.provider_keys")
        .fetch_one(&mut world.database.superuser().await)
        .await
        .unwrap();
    assert_eq!(kept, "in time");
}

#[tokio::test]
async fn a_copy_that_nobody_can_read_is_replaced() {
    let (world, provider) = (World::new().await, provider());
    assert_eq!(ask(&world.environment().await, &provider.issuer(), "k", ES256).await, Ok(()));
    world.execute("UPDATE app.provider_keys SET jwks = 'damaged'").await;
    let keys = world.environment().await;
    assert_eq!(ask(&keys, &provider.issuer(), "k", ES256).await, Err(Code::InvalidToken), "on the cooldown");
    world.wait_seconds(30);
    assert_eq!(ask(&keys, &provider.issuer(), "k", ES256).await, Ok(()));
    assert_eq!(fetches(&provider), (2, 2));
}

#[tokio::test]
async fn a_copy_of_a_clock_that_was_far_ahead_is_not_believed() {
    let (world, provider) = (World::new().await, provider());
    assert_eq!(ask(&world.environment().await, &provider.issuer(), "k", ES256).await, Ok(()));
    world.execute("UPDATE app.provider_keys SET fetched_at = fetched_at + interval '1 day', attempted_at = attempted_at + interval '1 day'").await;
    provider.set_keys(&[ProviderKey::p256("other").public_jwk()]);
    let keys = world.environment().await;
    assert_eq!(ask(&keys, &provider.issuer(), "other", ES256).await, Ok(()));
    assert_eq!(ask(&keys, &provider.issuer(), "k", ES256).await, Err(Code::InvalidToken));
}

#[tokio::test]
async fn what_nobody_asked_for_in_a_day_goes_when_something_new_comes() {
    let (world, providers) = (World::new().await, [provider(), provider(), provider()]);
    let keys = world.environment().await;
    for (provider, left) in providers.iter().zip([1, 2, 2]) {
        assert_eq!(ask(&keys, &provider.issuer(), "k", ES256).await, Ok(()));
        let rows = "SELECT count(*) FROM app.provider_keys";
        let rows: i64 = sqlx::query_scalar(rows).fetch_one(&mut world.database.superuser().await).await.unwrap();
        assert_eq!(rows, left);
        world.wait_seconds(13 * 60 * 60);
    }
}

#[tokio::test]
async fn without_the_database_known_keys_are_given_while_they_are_fresh_and_all_else_is_503() {
    let (world, provider) = (World::new().await, provider());
    let keys = world.environment().await;
    assert_eq!(ask(&keys, &provider.issuer(), "k", ES256).await, Ok(()));
    world
        .execute(
            "CREATE OR REPLACE FUNCTION app.claim_provider_fetch(provider bytea, at timestamptz, known_at timestamptz)
                RETURNS TABLE (claimed boolean, jwks text, fetched_at timestamptz, attempted_at timestamptz, fetching boolean)
                LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'out of connections' USING ERRCODE = '53300'; END $$",
        )
        .await;
    world.wait_seconds(9 * 60);
    assert_eq!(ask(&keys, &provider.issuer(), "k", ES256).await, Ok(()));
    assert_eq!(ask(&keys, &provider.issuer(), "other", ES256).await, Err(Code::DatabaseUnavailable));
    world.wait_seconds(60);
    assert_eq!(ask(&keys, &provider.issuer(), "k", ES256).await, Err(Code::DatabaseUnavailable));
    assert_eq!(fetches(&provider), (1, 1), "without a claim nobody fetches");
}

#[tokio::test]
async fn every_fetch_is_one_line_that_counts_and_names_no_key() {
    let (world, provider) = (World::new().await, provider());
    let keys = world.environment().await;
    assert_eq!(ask(&keys, &provider.issuer(), "k", ES256).await, Ok(()));
    assert_eq!(ask(&keys, &provider.issuer(), "k", ES256).await, Ok(()));
    provider.behave(KEYS, Behaviour::Json(500, json!({})));
    world.wait_seconds(11 * 60);
    for _ in 0..3 {
        assert_eq!(ask(&keys, &provider.issuer(), "k", ES256).await, Ok(()));
    }
    provider.set_discovery(&json!({ "issuer": "https://idp.example" }));
    world.wait_seconds(30);
    assert_eq!(ask(&keys, &provider.issuer(), "k", ES256).await, Err(Code::InvalidToken));
    let lines = world.log.lines();
    let told = |line: &Value| {
        let metrics = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!((&metrics["Namespace"], &metrics["Dimensions"]), (&json!("Tenantry"), &json!([["function"]])));
        let names: Vec<_> =
            metrics["Metrics"].as_array().unwrap().iter().map(|metric| metric["Name"].clone()).collect();
        assert!(names.iter().all(|name| line[name.as_str().unwrap()] == 1), "{line}");
        assert_eq!(line["issuer"], json!(provider.issuer()));
        json!([line["level"], line["cause"], names])
    };
    assert_eq!(
        json!(lines.iter().map(told).collect::<Vec<_>>()),
        json!([
            ["INFO", null, ["provider_fetches"]],
            [
                "WARN",
                "the answer's status is 500 Internal Server Error",
                ["provider_fetches", "provider_fetch_failures", "provider_keys_stale"]
            ],
            ["WARN", "its configuration is that of another issuer", ["provider_fetches", "provider_fetch_failures"]],
        ])
    );
}
