use sqlx::{AssertSqlSafe, PgConnection, error::DatabaseError, raw_sql};

use super::*;
use crate::testing::{RUNTIME_PASSWORD, TestDatabase};

const ACME: &str = "00000000-0000-7000-8000-00000000000a";
const BETA: &str = "00000000-0000-7000-8000-00000000000b";
const GAMMA: &str = "00000000-0000-7000-8000-00000000000c";

async fn sql(connection: &mut PgConnection, sql: impl Into<String>) {
    let sql = sql.into();
    raw_sql(AssertSqlSafe(sql.clone())).execute(connection).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn tenants(superuser: &mut PgConnection) {
    for (id, slug) in [(ACME, "acme"), (BETA, "beta"), (GAMMA, "gamma")] {
        sql(
            superuser,
            format!(
                "INSERT INTO tenants (id, slug, name) VALUES ('{id}', '{slug}', '{slug}');
                 INSERT INTO users (tenant_id, id, email, display_name, role)
                      VALUES ('{id}', '{id}', 'ada@{slug}.example', 'Ada', 'admin')"
            ),
        )
        .await;
    }
}

/// A session of this name, used at `used`, with `tokens` refresh tokens.
fn session(tenant: &str, name: &str, used: &str, expires: &str, ended: &str, tokens: i32) -> String {
    let id = format!("md5('{name}')::uuid");
    format!(
        "INSERT INTO sessions (tenant_id, id, user_id, created_at, last_used_at, expires_at, ended_at, user_agent)
              VALUES ('{tenant}', {id}, '{tenant}', {used}, {used}, {expires}, {ended}, '{name}');
         INSERT INTO refresh_tokens (tenant_id, session_id, generation, token_hash, created_at, expires_at, rotated_at)
         SELECT '{tenant}', {id}, n, sha256(n::text::bytea), {used}, {used} - interval '1 day', {used}
           FROM generate_series(1, {tokens}) AS n"
    )
}

fn key(tenant: &str, name: &str, created: &str) -> String {
    format!(
        "INSERT INTO idempotency_keys (tenant_id, user_id, action, key_hash, request_hash, status, headers, body_ciphertext, created_at)
              VALUES ('{tenant}', '{tenant}', '{name}', '', '', 200, '{{}}', '', {created})"
    )
}

/// In each tenant three sessions that are over for long, two that ended just
/// now, one that lives, with two tokens each; three old keys and a new one.
async fn fill(superuser: &mut PgConnection) {
    tenants(superuser).await;
    for tenant in [ACME, BETA, GAMMA] {
        for (n, ended) in
            ["'2020-01-02'", "'2020-01-03'", "'2020-01-04'", "now()", "now()", "NULL"].into_iter().enumerate()
        {
            sql(superuser, session(tenant, &format!("s{n}"), "now()", "now() + interval '1 day'", ended, 2)).await;
        }
        for (n, created) in ["'2020-01-02'", "'2020-01-03'", "'2020-01-04'", "now()"].into_iter().enumerate() {
            sql(superuser, key(tenant, &format!("k{n}"), created)).await;
        }
        sql(
            superuser,
            format!(
                "SELECT app.enter_tenant('{tenant}');
                 SELECT set_config('app.tenant_id', '{tenant}', false);
                 SELECT app.audit_append('auth.login', 'success', NULL, NULL, NULL, NULL, NULL, NULL)"
            ),
        )
        .await;
    }
}

/// All that a tenant has, as text.
async fn rows(superuser: &mut PgConnection, tenant: &str) -> String {
    let mut rows = String::new();
    for table in ["users", "sessions", "refresh_tokens", "idempotency_keys", "audit_events", "audit_heads"] {
        let query = format!(
            "SELECT coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '') FROM {table} t WHERE tenant_id = $1::uuid"
        );
        let text: String =
            sqlx::query_scalar(AssertSqlSafe(query)).bind(tenant).fetch_one(&mut *superuser).await.unwrap();
        rows.push_str(&text);
        rows.push('\n');
    }
    rows
}

/// The names of a tenant's sessions, refresh tokens (by their session) and keys.
async fn left(connection: &mut PgConnection, tenant: &str) -> [Vec<String>; 3] {
    let mut left = [const { Vec::new() }; 3];
    for (names, query) in left.iter_mut().zip([
        "SELECT user_agent FROM sessions WHERE tenant_id = $1::uuid ORDER BY 1",
        "SELECT user_agent FROM sessions s JOIN refresh_tokens r ON r.tenant_id = s.tenant_id AND r.session_id = s.id
          WHERE s.tenant_id = $1::uuid ORDER BY 1",
        "SELECT action FROM idempotency_keys WHERE tenant_id = $1::uuid ORDER BY 1",
    ]) {
        *names = sqlx::query_scalar(query).bind(tenant).fetch_all(&mut *connection).await.unwrap();
    }
    left
}

async fn as_maintainer(database: &TestDatabase) -> Maintenance {
    use sqlx::Connection;
    let (host, port, name) = database.address();
    let url = format!("postgres://{}:{RUNTIME_PASSWORD}@{host}:{port}/{name}?sslmode=disable", database.maintainer());
    Maintenance(PgConnection::connect(&url).await.unwrap())
}

fn id(tenant: &str) -> Uuid {
    tenant.parse().unwrap()
}

async fn filled() -> (TestDatabase, PgConnection, Maintenance) {
    let database = TestDatabase::create().await.with_maintainer().await;
    let mut superuser = database.superuser().await;
    fill(&mut superuser).await;
    let maintenance = as_maintainer(&database).await;
    (database, superuser, maintenance)
}

const NOT_OVER: CleanedUp = CleanedUp { sessions: 0, refresh_tokens: 0, idempotency_keys: 0, more: false };

/// All in one transaction, whose time stands still.
#[tokio::test]
async fn each_kind_goes_when_its_time_has_come_and_not_a_microsecond_before() {
    let database = TestDatabase::create().await;
    let mut superuser = database.superuser().await;
    tenants(&mut superuser).await;
    sql(&mut superuser, "BEGIN").await;
    let (later, never) = ("now() + interval '1 year'", "NULL");
    let ago = |days: i32, more: &str| format!("now() - interval '{days} days {more}'");
    for (name, used, expires, ended) in [
        ("gone: ended", "now()", later, &*ago(30, "")),
        ("kept: ended", "now()", later, &ago(30, "-1 microsecond")),
        ("gone: expired", "now()", &ago(30, ""), never),
        ("kept: expired", "now()", &ago(30, "-1 microsecond"), never),
        ("gone: unused", &ago(37, ""), later, never),
        ("kept: unused", &ago(37, "-1 microsecond"), later, never),
        // The first of the three counts.
        ("gone: ended, unused since", &ago(32, ""), &ago(1, ""), &ago(31, "")),
        ("kept: ended just now", "now()", later, "now()"),
        ("kept: expired just now", "now()", "now()", never),
        ("kept: unused as of now", &ago(7, ""), later, never),
        ("lives: ends in a moment", "now()", later, "now() + interval '1 microsecond'"),
        ("lives: expires in a moment", "now()", "now() + interval '1 microsecond'", never),
        ("lives: unused in a moment", &ago(7, "-1 microsecond"), later, never),
        ("lives", "now()", later, never),
    ] {
        sql(&mut superuser, session(ACME, name, used, expires, ended, 2)).await;
    }
    sql(&mut superuser, key(ACME, "gone", "now() - interval '24 hours 1 minute 1 microsecond'")).await;
    sql(&mut superuser, key(ACME, "kept", "now() - interval '24 hours 1 minute'")).await;
    let clean_up =
        format!("SET LOCAL ROLE tenantry_maintenance; SELECT * FROM app.clean_up('{ACME}', 100); RESET ROLE");
    sql(&mut superuser, clean_up).await;
    let [sessions, tokens, keys] = left(&mut superuser, ACME).await;
    let kept = [
        "kept: ended",
        "kept: ended just now",
        "kept: expired",
        "kept: expired just now",
        "kept: unused",
        "kept: unused as of now",
    ];
    let live = ["lives", "lives: ends in a moment", "lives: expires in a moment", "lives: unused in a moment"];
    assert_eq!(sessions, [&kept[..], &live].concat());
    // All of them, rotated and past their own time though they are.
    assert_eq!(tokens, live.map(|name| [name; 2]).concat());
    assert_eq!(keys, ["kept"]);
}

#[tokio::test]
async fn one_tenant_is_cleaned_up_and_nothing_of_another_or_of_the_trail_is_touched() {
    let (_database, mut superuser, mut maintenance) = filled().await;
    assert_eq!(maintenance.tenants().await.unwrap(), [ACME, BETA, GAMMA].map(id));
    let (acme, gamma) = (rows(&mut superuser, ACME).await, rows(&mut superuser, GAMMA).await);
    let cleaned = maintenance.clean_up(id(BETA), 100).await.unwrap();
    assert_eq!(cleaned, CleanedUp { sessions: 3, refresh_tokens: 10, idempotency_keys: 3, more: false });
    assert_eq!((rows(&mut superuser, ACME).await, rows(&mut superuser, GAMMA).await), (acme, gamma));
    let [sessions, tokens, keys] = left(&mut superuser, BETA).await;
    assert_eq!(
        (sessions.join(" "), tokens.join(" "), keys.join(" ")),
        ("s3 s4 s5".into(), "s5 s5".into(), "k3".into())
    );
    let audited: i64 = sqlx::query_scalar("SELECT count(*) FROM audit_events").fetch_one(&mut superuser).await.unwrap();
    assert_eq!(audited, 3);
    assert_eq!(maintenance.clean_up(id(BETA), 100).await.unwrap(), NOT_OVER);
}

/// Row-level security without the `WHERE`, and the `WHERE` past row-level security.
#[tokio::test]
async fn either_wall_alone_keeps_a_clean_up_in_its_tenant() {
    let (_database, mut superuser, _) = filled().await;
    let before = [rows(&mut superuser, ACME).await, rows(&mut superuser, GAMMA).await];
    sql(&mut superuser, format!("BEGIN; SELECT * FROM app.clean_up('{BETA}', 100)")).await;
    assert_eq!(left(&mut superuser, BETA).await[0], ["s3", "s4", "s5"]);
    assert_eq!([rows(&mut superuser, ACME).await, rows(&mut superuser, GAMMA).await], before);
    sql(
        &mut superuser,
        format!("ROLLBACK; BEGIN; SET LOCAL ROLE tenantry_maintenance; SELECT app.enter_tenant('{BETA}')"),
    )
    .await;
    sql(&mut superuser, "DELETE FROM idempotency_keys; DELETE FROM refresh_tokens; DELETE FROM sessions; RESET ROLE")
        .await;
    assert_eq!(left(&mut superuser, BETA).await, [const { Vec::<String>::new() }; 3]);
    assert_eq!([rows(&mut superuser, ACME).await, rows(&mut superuser, GAMMA).await], before);
}

#[tokio::test]
async fn no_batch_deletes_more_of_a_kind_than_it_may() {
    let (_database, mut superuser, mut maintenance) = filled().await;
    let mut calls = Vec::new();
    while calls.last().is_none_or(|last: &CleanedUp| last.more) {
        calls.push(maintenance.clean_up(id(ACME), 2).await.unwrap());
    }
    let kind = |count: fn(&CleanedUp) -> i32| calls.iter().map(count).collect::<Vec<_>>();
    let counts = [kind(|done| done.sessions), kind(|done| done.refresh_tokens), kind(|done| done.idempotency_keys)];
    for (counts, total) in counts.iter().zip([3, 10, 3]) {
        assert!(counts.iter().all(|count| (0..=2).contains(count)), "{counts:?}");
        assert_eq!(counts.iter().sum::<i32>(), total, "{counts:?}");
    }
    assert_eq!(left(&mut superuser, ACME).await.map(|names| names.len()), [3, 2, 1]);
}

#[tokio::test]
async fn a_row_that_is_held_is_left_without_a_wait_and_goes_the_next_time() {
    let (database, mut superuser, mut maintenance) = filled().await;
    let mut holder = database.superuser().await;
    sql(
        &mut holder,
        format!("BEGIN; SELECT FROM sessions WHERE tenant_id = '{ACME}' AND user_agent = 's0' FOR UPDATE"),
    )
    .await;
    sql(&mut holder, format!("SELECT FROM refresh_tokens WHERE tenant_id = '{ACME}' AND session_id = md5('s1')::uuid AND generation = 1 FOR UPDATE")).await;
    sql(&mut holder, format!("SELECT FROM idempotency_keys WHERE tenant_id = '{ACME}' AND action = 'k0' FOR UPDATE"))
        .await;
    // A wait would fail: its lock_timeout is shorter than the holder's patience.
    let first = maintenance.clean_up(id(ACME), 100).await.unwrap();
    assert_eq!(first, CleanedUp { sessions: 1, refresh_tokens: 7, idempotency_keys: 2, more: false });
    let [sessions, tokens, keys] = left(&mut superuser, ACME).await;
    assert_eq!(sessions, ["s0", "s1", "s3", "s4", "s5"]);
    assert_eq!(tokens, ["s0", "s0", "s1", "s5", "s5"]);
    assert_eq!(keys, ["k0", "k3"]);
    // With a batch as small as what is held it does not go on for ever.
    assert_eq!(maintenance.clean_up(id(ACME), 1).await.unwrap(), NOT_OVER);
    sql(&mut holder, "COMMIT").await;
    let next = maintenance.clean_up(id(ACME), 100).await.unwrap();
    assert_eq!(next, CleanedUp { sessions: 2, refresh_tokens: 3, idempotency_keys: 1, more: false });
    assert_eq!(left(&mut superuser, ACME).await.map(|names| names.len()), [3, 2, 1]);
}

#[tokio::test]
async fn counters_go_in_batches_and_one_that_is_held_is_left() {
    let (database, mut superuser, mut maintenance) = filled().await;
    sql(
        &mut superuser,
        "INSERT INTO app.request_counts SELECT sha256(n::text::bytea), 1, now() - interval '2 minutes' FROM generate_series(1, 5) n",
    )
    .await;
    let mut holder = database.superuser().await;
    sql(&mut holder, "BEGIN; SELECT FROM app.request_counts WHERE key = sha256('1') FOR UPDATE").await;
    let mut deleted = Vec::new();
    for _ in 0..3 {
        deleted.push(maintenance.clean_up_attempts(3).await.unwrap());
    }
    assert_eq!(deleted, [3, 1, 0]);
    sql(&mut holder, "COMMIT").await;
    assert_eq!(maintenance.clean_up_attempts(3).await.unwrap(), 1);
}

fn sqlstate(error: &sqlx::Error) -> String {
    error.as_database_error().and_then(<dyn DatabaseError>::code).map(Into::into).unwrap_or_default()
}

#[tokio::test]
async fn the_runtime_role_has_no_part_in_it() {
    let (database, _superuser, _) = filled().await;
    let mut runtime = database.runtime().await;
    for statement in [
        "SET ROLE tenantry_maintenance",
        "SET SESSION AUTHORIZATION tenantry_maintenance",
        "GRANT tenantry_maintenance TO tenantry_runtime",
        &format!("SELECT * FROM app.clean_up('{ACME}', 1)"),
        "DELETE FROM sessions",
        "DELETE FROM refresh_tokens",
    ] {
        let refused = raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut runtime).await.unwrap_err();
        assert_eq!(sqlstate(&refused), "42501", "{statement}: {refused}");
    }
    let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM tenants").fetch_one(&mut runtime).await.unwrap();
    assert_eq!(seen, 0);
}

#[tokio::test]
async fn the_maintenance_role_reads_and_changes_no_more_than_the_clean_up_does() {
    let (database, _superuser, _) = filled().await;
    let Maintenance(mut maintainer) = as_maintainer(&database).await;
    // Before it takes the role on it has none of its rights.
    for statement in ["SELECT id FROM tenants", "SELECT id FROM sessions", "SELECT app.clean_up_attempts(1)"] {
        let refused = raw_sql(statement).execute(&mut maintainer).await.unwrap_err();
        assert_eq!(sqlstate(&refused), "42501", "{statement}: {refused}");
    }
    sql(&mut maintainer, "SET ROLE tenantry_maintenance").await;
    // Without a tenant every table is empty; in one, the others are.
    let seen = "SELECT count(*) FROM (SELECT tenant_id FROM sessions UNION ALL SELECT tenant_id FROM refresh_tokens
                UNION ALL SELECT tenant_id FROM idempotency_keys) t";
    assert_eq!(sqlx::query_scalar::<_, i64>(seen).fetch_one(&mut maintainer).await.unwrap(), 0);
    sql(&mut maintainer, format!("SELECT set_config('app.tenant_id', '{ACME}', false)")).await;
    assert_eq!(sqlx::query_scalar::<_, i64>(seen).fetch_one(&mut maintainer).await.unwrap(), 22);
    for statement in [
        "SELECT slug FROM tenants",
        "UPDATE tenants SET status = 'suspended'",
        "DELETE FROM tenants",
        "SELECT id FROM users",
        "DELETE FROM users",
        "SELECT user_agent FROM sessions",
        "SELECT source_address FROM sessions",
        "UPDATE sessions SET ended_at = now()",
        "UPDATE sessions SET tenant_id = tenant_id",
        "SELECT token_hash FROM refresh_tokens",
        "UPDATE refresh_tokens SET rotated_at = now()",
        "SELECT body_ciphertext FROM idempotency_keys",
        "UPDATE audit_events SET seq = 0",
        "SELECT seq FROM audit_events_default",
        "UPDATE audit_anchors SET seq = 1",
        "DELETE FROM audit_anchors",
        "TRUNCATE audit_events",
        "DELETE FROM audit_events",
        "DELETE FROM audit_heads",
        "SELECT app.audit_append('x', 'success', NULL, NULL, NULL, NULL, NULL, NULL)",
        "DELETE FROM todos",
        "DELETE FROM app.sign_in_attempts",
        "TRUNCATE sessions CASCADE",
        "SET ROLE tenantry_owner",
    ] {
        let refused = raw_sql(statement).execute(&mut maintainer).await.unwrap_err();
        assert_eq!(sqlstate(&refused), "42501", "{statement}: {refused}");
    }
    let moved = format!("UPDATE refresh_tokens SET tenant_id = '{BETA}'");
    let refused = raw_sql(AssertSqlSafe(moved)).execute(&mut maintainer).await.unwrap_err();
    assert!(refused.to_string().contains("violates row-level security"), "{refused}");
}
