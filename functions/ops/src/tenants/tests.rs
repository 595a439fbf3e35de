use std::sync::Arc;

use serde_json::{Value, json};
use shared::{
    clock::SystemClock,
    config::from_lookup,
    start::Start,
    testing::{RUNTIME_PASSWORD, TestDatabase, TestSecrets, take_log},
};
use sqlx::{AssertSqlSafe, Executor, PgConnection, error::DatabaseError, raw_sql};
use time::Duration;

use super::*;
use crate::{Action, run};

/// The function over a database of its own.
struct Ops(TestDatabase);

impl Ops {
    async fn start() -> Self {
        take_log();
        shared::telemetry::init(tracing::Level::INFO);
        Self(TestDatabase::create().await.with_maintainer().await)
    }

    fn function(&self) -> (Start, OpsConfig) {
        let (host, port, name) = self.0.address();
        let secrets = TestSecrets::default();
        secrets.set("owner", json!({ "username": self.0.maintainer(), "password": RUNTIME_PASSWORD }).to_string());
        let pepper = json!({ "current": 1, "keys": { "1": "YGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn8" } });
        secrets.set("pepper", pepper.to_string());
        let settings = [
            ("DATABASE_HOST", host),
            ("DATABASE_PORT", port.to_string()),
            ("DATABASE_NAME", name),
            ("DATABASE_TLS", "disable".to_owned()),
            ("DATABASE_SECRET_ID", "runtime".to_owned()),
            ("DATABASE_OWNER_SECRET_ID", "owner".to_owned()),
            ("PASSWORD_PEPPER_SECRET_ID", "pepper".to_owned()),
        ];
        let lookup = |name: &str| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        let start = Start::on_lambda(from_lookup(&lookup).unwrap()).with(Arc::new(SystemClock), Arc::new(secrets));
        let config = OpsConfig { request_id: Some("the-invocation".to_owned()), ..from_lookup(&lookup).unwrap() };
        (start, config)
    }

    async fn run(&self, event: Value) -> Result<Value, String> {
        let (start, config) = self.function();
        run(serde_json::from_value::<Action>(event).unwrap(), &start, config).await
    }

    /// What went wrong, if it did in this way.
    async fn refused(&self, event: Value) -> String {
        self.run(event).await.unwrap_err()
    }

    async fn sql(&self, sql: &str) {
        raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.0.superuser().await).await.unwrap();
    }

    async fn one<T>(&self, sql: &str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut self.0.superuser().await).await.unwrap()
    }

    /// Each record of the trails, as `slug action outcome reason actor request`.
    async fn trail(&self) -> Vec<String> {
        let sql = "SELECT concat_ws(' ', slug, action, outcome, coalesce(reason, '-'), coalesce(actor_id::text, '-'), request_id)
                     FROM audit_events a JOIN tenants t ON t.id = a.tenant_id ORDER BY slug, seq";
        sqlx::query_scalar(sql).fetch_all(&mut self.0.superuser().await).await.unwrap()
    }

    /// Every tenant's rows but those of `except`, if there is one, as text.
    async fn rows_but_of(&self, except: &str) -> String {
        let mut superuser = self.0.superuser().await;
        let mut rows = String::new();
        for table in tables(&mut superuser).await {
            let key = if table == "tenants" { "id" } else { "tenant_id" };
            let sql = format!(
                "SELECT coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '') FROM {table} t
                  WHERE {key} IS DISTINCT FROM (SELECT id FROM tenants WHERE slug = '{except}')"
            );
            let text: String = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut superuser).await.unwrap();
            rows.extend([&*table, "\n", &*text, "\n"]);
        }
        rows
    }
}

/// Every table of tenants, `tenants` among them.
async fn tables(superuser: &mut PgConnection) -> Vec<String> {
    let sql = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
                  AND NOT relispartition AND relname <> '_sqlx_migrations' ORDER BY 1";
    sqlx::query_scalar(sql).fetch_all(superuser).await.unwrap()
}

fn create(slug: &str) -> Value {
    json!({ "action": "create_tenant", "slug": slug, "name": "Acme Clinic",
            "admin": { "email": format!("ada@{slug}.example"), "display_name": "Ada" } })
}

fn suspend(slug: &str) -> Value {
    json!({ "action": "suspend_tenant", "slug": slug, "reason": "security" })
}

fn resume(slug: &str) -> Value {
    json!({ "action": "resume_tenant", "slug": slug })
}

fn delete(slug: &str) -> Value {
    json!({ "action": "delete_tenant", "slug": slug, "confirm": slug })
}

/// Rows in every table that a tenant may have rows in, five hundred todos among them.
const FILL: &str = "
    INSERT INTO sessions (tenant_id, id, user_id, created_at, last_used_at, expires_at)
    SELECT tenant_id, gen_random_uuid(), id, now(), now(), now() + interval '1 day' FROM users, generate_series(1, 7);
    INSERT INTO refresh_tokens (tenant_id, session_id, generation, token_hash, created_at, expires_at)
    SELECT tenant_id, id, 0, sha256(id::text::bytea), now(), now() FROM sessions;
    INSERT INTO idempotency_keys (tenant_id, user_id, action, key_hash, request_hash, status, headers, body_ciphertext)
    SELECT tenant_id, id, 'todos.create', '', '', 201, '{}', '' FROM users;
    INSERT INTO todos (tenant_id, id, owner_id, title, created_at, updated_at)
    SELECT tenant_id, gen_random_uuid(), id, 'A todo', now(), now() FROM users, generate_series(1, 500);
    INSERT INTO tenant_keys (tenant_id, version, wrapped, kms_key_id) SELECT id, 1, 'x', 'k' FROM tenants;
    INSERT INTO identity_providers
    SELECT id, id, 'entra', 'https://idp.example', '{a}', 'c', NULL, 'tenant_id', NULL, NULL, 'viewer', false, '{RS256}',
           'active', 1, now(), now() FROM tenants";
/// As if they were suspended for long.
const LONG_AGO: &str = "UPDATE tenants SET suspended_at = now() - interval '61 seconds' WHERE suspended_at IS NOT NULL";

#[tokio::test]
async fn a_tenant_is_created_once_and_its_first_password_anew_until_its_admin_has_signed_in() {
    let ops = Ops::start().await;
    let first = ops.run(create("acme")).await.unwrap();
    assert_eq!((&first["slug"], &first["created"]), (&json!("acme"), &json!(true)));
    let hash = "SELECT password_hash FROM users";
    let stored: String = ops.one(hash).await;
    let second = ops.run(create("acme")).await.unwrap();
    assert_eq!((&second["tenant_id"], &second["created"]), (&first["tenant_id"], &json!(false)));
    assert_ne!(first["initial_password"], second["initial_password"]);
    assert_ne!(stored, ops.one::<String>(hash).await);
    ops.sql("UPDATE users SET last_login_at = now()").await;
    let stored: String = ops.one(hash).await;
    let third = ops.run(create("acme")).await.unwrap();
    assert_eq!(third, json!({ "tenant_id": first["tenant_id"], "slug": "acme", "created": false }));
    assert_eq!(stored, ops.one::<String>(hash).await);
    let dump: String = ops.one("SELECT (SELECT string_agg(t::text, '') FROM users t) || (SELECT string_agg(t::text, '') FROM audit_events t)").await;
    let log = format!("{:?}", take_log());
    assert!(log.contains("tenant created") && log.contains("the-invocation"), "{log}");
    for answer in [&first, &second] {
        let password = answer["initial_password"].as_str().unwrap();
        assert!(password.len() == 29 && !dump.contains(password) && !log.contains(password));
    }
    assert_eq!(
        ops.trail().await,
        [
            "acme tenants.create success - - the-invocation",
            "acme tenants.create success password_renewed - the-invocation"
        ]
    );
}

#[tokio::test]
async fn a_slug_that_another_tenant_has_is_refused_and_nothing_is_changed() {
    let ops = Ops::start().await;
    ops.run(create("acme")).await.unwrap();
    let before = ops.rows_but_of("").await;
    for change in [
        json!({ "name": "Another" }),
        json!({ "admin": { "email": "eve@acme.example", "display_name": "Ada" } }),
        json!({ "admin": { "email": "ada@acme.example" } }),
    ] {
        let mut event = create("acme");
        event.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let refused = ops.refused(event).await;
        assert!(refused.starts_with("RES_002: the slug acme is taken"), "{refused}");
    }
    assert_eq!(before, ops.rows_but_of("").await);
    ops.run(suspend("acme")).await.unwrap();
    assert!(ops.refused(create("acme")).await.starts_with("RES_002"));
    ops.sql("UPDATE tenants SET status = 'active', suspended_at = NULL").await;
    ops.sql("UPDATE users SET role = 'viewer'").await;
    assert!(ops.refused(create("acme")).await.starts_with("RES_002"));
    assert_eq!(ops.one::<i64>("SELECT count(*) FROM users").await, 1);
}

#[tokio::test]
async fn of_two_creations_at_once_one_creates() {
    let ops = Ops::start().await;
    let (one, other) = tokio::join!(ops.run(create("acme")), ops.run(create("acme")));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one["tenant_id"], other["tenant_id"]);
    assert!(one["created"] != other["created"], "{one} {other}");
    assert_eq!(ops.one::<i64>("SELECT count(*) FROM tenants WHERE slug = 'acme'").await, 1);
}

#[tokio::test]
async fn what_is_no_slug_name_or_address_is_no_action_and_without_peppers_nothing_is_done() {
    let ops = Ops::start().await;
    for (member, value) in [
        ("slug", json!("-nobody-")),
        ("name", json!("")),
        ("admin", json!({ "email": "ada" })),
        ("admin", json!({ "email": "ada@acme.example", "password": "x" })),
        ("password", json!("nine-quiet-otters-row-north")),
    ] {
        let mut event = create("acme");
        event[member] = value;
        assert!(serde_json::from_value::<Action>(event.clone()).is_err(), "{event}");
    }
    let (start, config) = ops.function();
    let config = OpsConfig { pepper_secret_id: None, ..config };
    let refused = run(serde_json::from_value(create("acme")).unwrap(), &start, config).await.unwrap_err();
    assert!(refused.contains("PASSWORD_PEPPER_SECRET_ID is not set"), "{refused}");
    assert_eq!(ops.one::<i64>("SELECT count(*) FROM users").await, 0);
}

#[tokio::test]
async fn a_tenant_is_suspended_and_resumed_once_each_and_each_is_recorded() {
    let ops = Ops::start().await;
    for slug in ["acme", "beta"] {
        ops.run(create(slug)).await.unwrap();
    }
    let beta = ops.rows_but_of("acme").await;
    let id: Uuid = ops.one("SELECT id FROM tenants WHERE slug = 'acme'").await;
    let by_id = |action: &str| json!({ "action": action, "id": id });
    for (event, status, changed) in [
        (resume("acme"), "active", false),
        (suspend("acme"), "suspended", true),
        (by_id("suspend_tenant"), "suspended", false),
        (by_id("resume_tenant"), "active", true),
        (resume("acme"), "active", false),
    ] {
        let expected = json!({ "tenant_id": id, "slug": "acme", "status": status, "changed": changed });
        assert_eq!(ops.run(event).await.unwrap(), expected);
        let stored: (String, bool) =
            sqlx::query_as("SELECT status, suspended_at IS NOT NULL FROM tenants WHERE slug = 'acme'")
                .fetch_one(&mut ops.0.superuser().await)
                .await
                .unwrap();
        assert_eq!(stored, (status.to_owned(), status == "suspended"));
    }
    assert_eq!(
        ops.trail().await,
        [
            "acme tenants.create success - - the-invocation",
            "acme tenants.suspend success security - the-invocation",
            "acme tenants.resume success - - the-invocation",
            "beta tenants.create success - - the-invocation"
        ]
    );
    assert_eq!(ops.one::<i64>("SELECT version FROM tenants WHERE slug = 'acme'").await, 3);
    assert_eq!(beta, ops.rows_but_of("acme").await);
}

#[tokio::test]
async fn a_tenant_that_is_not_there_or_not_named_or_nobody_is_refused() {
    let ops = Ops::start().await;
    ops.run(create("acme")).await.unwrap();
    let before = ops.rows_but_of("").await;
    for action in ["suspend_tenant", "resume_tenant", "delete_tenant"] {
        for (which, expected) in [
            (json!({ "slug": "beta" }), "there is no tenant beta"),
            (json!({ "id": Uuid::max() }), "there is no tenant ffffffff"),
            (json!({ "id": Uuid::nil() }), "there is no tenant 00000000"),
            (json!({}), "name the tenant by slug or by id"),
            (json!({ "slug": "acme", "id": Uuid::max() }), "name the tenant by slug or by id"),
        ] {
            let mut event = json!({ "action": action });
            if action == "delete_tenant" {
                event["confirm"] = json!("acme");
            }
            event.as_object_mut().unwrap().extend(which.as_object().unwrap().clone());
            let refused = ops.refused(event).await;
            assert!(refused.starts_with(expected), "{action}: {refused}");
        }
    }
    assert!(
        serde_json::from_value::<Action>(
            json!({ "action": "suspend_tenant", "slug": "acme", "reason": "Ada owes us" })
        )
        .is_err()
    );
    assert_eq!(before, ops.rows_but_of("").await);
}

#[tokio::test]
async fn only_a_suspended_tenant_is_deleted_and_only_by_its_slug_repeated() {
    let ops = Ops::start().await;
    ops.run(create("acme")).await.unwrap();
    assert!(ops.refused(delete("acme")).await.contains("is active; suspend it first"));
    ops.run(suspend("acme")).await.unwrap();
    assert!(ops.refused(delete("acme")).await.contains("less than a minute ago"));
    ops.sql(LONG_AGO).await;
    for confirm in ["", "Acme", "acme ", "beta"] {
        let refused = ops.refused(json!({ "action": "delete_tenant", "slug": "acme", "confirm": confirm })).await;
        assert!(refused.contains("confirm must be the slug"), "{refused}");
    }
    assert!(serde_json::from_value::<Action>(json!({ "action": "delete_tenant", "slug": "acme" })).is_err());
    assert_eq!(ops.one::<String>("SELECT status FROM tenants WHERE slug = 'acme'").await, "suspended");
    assert_eq!(ops.one::<i64>("SELECT count(*) FROM users").await, 1);
}

#[tokio::test]
async fn a_deleted_tenant_leaves_its_trail_and_its_slug_and_nothing_of_another_is_touched() {
    let ops = Ops::start().await;
    for slug in ["acme", "beta", "gamma"] {
        ops.run(create(slug)).await.unwrap();
    }
    ops.sql(FILL).await;
    ops.run(suspend("beta")).await.unwrap();
    ops.sql(LONG_AGO).await;
    let others = ops.rows_but_of("beta").await;
    let done = ops.run(delete("beta")).await.unwrap();
    let rows = json!({ "todos": 500, "refresh_tokens": 7, "sessions": 7, "idempotency_keys": 1, "identity_providers": 1, "users": 1 });
    let id: Uuid = ops.one("SELECT id FROM tenants WHERE slug = 'beta'").await;
    assert_eq!(done, json!({ "tenant_id": id, "slug": "beta", "rows": rows, "complete": true }));
    assert_eq!(others, ops.rows_but_of("beta").await);
    let mut superuser = ops.0.superuser().await;
    let mut left = Vec::new();
    for table in tables(&mut superuser).await {
        let key = if table == "tenants" { "id" } else { "tenant_id" };
        let count =
            sqlx::query_scalar::<_, i64>(AssertSqlSafe(format!("SELECT count(*) FROM {table} WHERE {key} = $1")));
        if count.bind(id).fetch_one(&mut superuser).await.unwrap() > 0 {
            left.push(table);
        }
    }
    assert_eq!(left, ["audit_events", "audit_heads", "tenants"]);
    let row: String = ops.one("SELECT concat_ws(' ', slug, name, status, deleted_at IS NOT NULL, purged_at IS NOT NULL) FROM tenants WHERE slug = 'beta'").await;
    assert_eq!(row, "beta Deleted deleted t t");
    let trail = ops.trail().await;
    let of_beta: Vec<_> = trail.iter().filter(|record| record.starts_with("beta")).map(|record| &record[5..]).collect();
    assert_eq!(
        of_beta,
        [
            "tenants.create success - - the-invocation",
            "tenants.suspend success security - the-invocation",
            "tenants.delete success - - the-invocation",
            "tenants.purge success - - the-invocation"
        ]
    );
    // Once more, and what may not be done to it any more.
    assert_eq!(
        ops.run(delete("beta")).await.unwrap(),
        json!({ "tenant_id": id, "slug": "beta", "rows": {}, "complete": true })
    );
    assert_eq!(ops.trail().await.len(), trail.len());
    for event in [suspend("beta"), resume("beta")] {
        assert!(ops.refused(event).await.contains("the tenant beta is deleted"));
    }
    assert!(ops.refused(create("beta")).await.starts_with("RES_002"));
}

#[tokio::test]
async fn the_keys_are_gone_with_the_first_step_and_what_is_left_is_deleted_by_the_next_runs() {
    let ops = Ops::start().await;
    ops.run(create("acme")).await.unwrap();
    ops.sql(FILL).await;
    ops.run(suspend("acme")).await.unwrap();
    ops.sql(LONG_AGO).await;
    let (start, config) = ops.function();
    let deletion = || serde_json::from_value::<Deletion>(json!({ "slug": "acme", "confirm": "acme" })).unwrap();
    let none = Limits { batch: 100, time: Duration::ZERO };
    let first = super::delete(&start, config.clone(), deletion(), none).await.unwrap();
    assert_eq!((&first["rows"], &first["complete"]), (&json!({}), &json!(false)));
    assert_eq!(
        ops.one::<i64>("SELECT count(*) FROM tenant_keys WHERE tenant_id <> '00000000-0000-0000-0000-000000000000'")
            .await,
        0
    );
    assert_eq!(ops.one::<i64>("SELECT count(*) FROM todos").await, 500);
    assert!(!ops.trail().await.iter().any(|record| record.contains("purge")));
    let small = Limits { batch: 100, time: Duration::minutes(1) };
    let second = super::delete(&start, config, deletion(), small).await.unwrap();
    assert_eq!((&second["rows"]["todos"], &second["complete"]), (&json!(500), &json!(true)));
    assert_eq!(ops.trail().await.iter().filter(|record| record.contains("purge")).count(), 1);
}

#[tokio::test]
async fn no_batch_deletes_more_rows_than_it_may_by_a_cascade_either() {
    let ops = Ops::start().await;
    ops.run(create("acme")).await.unwrap();
    ops.sql(FILL).await;
    ops.sql("DELETE FROM todos WHERE id <> ALL (ARRAY(SELECT id FROM todos LIMIT 20))").await;
    ops.sql("UPDATE tenants SET status = 'deleted' WHERE slug = 'acme'").await;
    let id: Uuid = ops.one("SELECT id FROM tenants WHERE slug = 'acme'").await;
    let all = "SELECT (SELECT count(*) FROM todos) + (SELECT count(*) FROM users) + (SELECT count(*) FROM sessions)
             + (SELECT count(*) FROM refresh_tokens) + (SELECT count(*) FROM idempotency_keys)";
    let (start, config) = ops.function();
    let (mut operator, _) = connect(&start, &config).await.unwrap();
    let mut before: i64 = ops.one(all).await;
    while let Some((table, count)) = operator.delete_rows(id, 6).await.unwrap() {
        let after: i64 = ops.one(all).await;
        assert!(count <= 6 && before - after <= 6, "{table}: {count}, {}", before - after);
        before = after;
    }
    assert_eq!(before, 0);
}

fn sqlstate(error: &sqlx::Error) -> String {
    error.as_database_error().and_then(<dyn DatabaseError>::code).map(Into::into).unwrap_or_default()
}

#[tokio::test]
async fn the_operators_role_reaches_the_tenant_that_it_entered_and_no_secret_of_it() {
    let ops = Ops::start().await;
    for slug in ["acme", "beta"] {
        ops.run(create(slug)).await.unwrap();
    }
    ops.sql(FILL).await;
    let id: Uuid = ops.one("SELECT id FROM tenants WHERE slug = 'acme'").await;
    let mut superuser = ops.0.superuser().await;
    superuser.execute("SET ROLE tenantry_operator").await.unwrap();
    for table in ["tenants", "users", "todos"] {
        let key = if table == "tenants" { "id" } else { "tenant_id" };
        let count = format!("SELECT count({key}) FROM {table}");
        let seen: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut superuser).await.unwrap();
        assert_eq!(seen, 0, "{table} without a tenant");
    }
    let enter = format!("SELECT set_config('app.tenant_id', '{id}', false)");
    superuser.execute(raw_sql(AssertSqlSafe(enter))).await.unwrap();
    assert_eq!(superuser.execute("DELETE FROM todos").await.unwrap().rows_affected(), 500);
    for statement in [
        "SELECT password_hash FROM users",
        "UPDATE users SET role = 'admin'",
        "UPDATE users SET tenant_id = tenant_id",
        "SELECT title FROM todos",
        "SELECT token_hash FROM refresh_tokens",
        "SELECT wrapped FROM tenant_keys",
        "INSERT INTO tenant_keys DEFAULT VALUES",
        "SELECT body_ciphertext FROM idempotency_keys",
        "SELECT client_secret_ciphertext FROM identity_providers",
        "DELETE FROM audit_events",
        "DELETE FROM audit_heads",
        "SELECT seq FROM audit_events",
        "UPDATE tenants SET slug = 'x'",
        "DELETE FROM tenants",
        "SELECT app.audit_append('x', 'success', NULL, NULL, NULL, NULL, NULL, NULL)",
        "DELETE FROM app.sign_in_attempts",
        "TRUNCATE users CASCADE",
    ] {
        let refused = superuser.execute(statement).await.unwrap_err();
        assert_eq!(sqlstate(&refused), "42501", "{statement}: {refused}");
    }
    let rows = format!("SELECT * FROM app.delete_tenant_rows('{id}', 1)");
    let refused = superuser.execute(raw_sql(AssertSqlSafe(rows.clone()))).await.unwrap_err();
    assert!(refused.to_string().contains("the tenant is not deleted"), "{refused}");
    let mut runtime = ops.0.runtime().await;
    for statement in [
        "SET ROLE tenantry_operator",
        "UPDATE tenants SET status = 'suspended'",
        "SELECT app.audit_operator('x', NULL, NULL)",
        &rows,
    ] {
        let refused = raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut runtime).await.unwrap_err();
        assert_eq!(sqlstate(&refused), "42501", "{statement}: {refused}");
    }
}
