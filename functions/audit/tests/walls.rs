//! T2 and T7 of THREATS for the trail: each wall by itself.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use serde_json::{Value, json};
use shared::{
    App,
    testing::{Event, Member, TestApp},
};
use sqlx::{AssertSqlSafe, Executor, raw_sql};

const TABLES: [&str; 4] = ["audit_events", "audit_heads", "audit_checkpoints", "audit_anchors"];

/// Two tenants with a refusal each in their trails.
async fn start() -> (TestApp<App>, Member, Member) {
    let app = TestApp::start(audit::routes()).await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    for member in [&ada, &eve] {
        let sql = "SELECT app.audit_append('todos.read', 'failure', 'RES_001', $2, $3, NULL, NULL, 'trace-1')
                     FROM app.enter_tenant($1)";
        let query = sqlx::query(sql).bind(member.tenant).bind(member.user).bind(member.session);
        query.execute(&mut app.superuser().await).await.unwrap();
        let sql = "INSERT INTO audit_checkpoints SELECT $1, 1, sha256('a'), now(), 'key', sha256('b') || sha256('c')";
        sqlx::query(sql).bind(member.tenant).execute(&mut app.superuser().await).await.unwrap();
    }
    let anchors = "INSERT INTO audit_anchors SELECT tenant_id, seq, hash, at FROM audit_events";
    app.superuser().await.execute(anchors).await.unwrap();
    (app, ada, eve)
}

async fn get(app: &TestApp<App>, member: &Member, target: &str) -> Value {
    let answer = app.send(Event::get(&format!("/api/v1/audit/{target}")).bearer(&member.token)).await;
    assert_eq!(answer.status, 200, "{target} {:?}", answer.log);
    if target == "export" {
        let text = std::str::from_utf8(&answer.bytes).unwrap();
        return text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect();
    }
    let body = answer.json();
    if ["events", "checkpoints"].contains(&target) { body["items"].clone() } else { body }
}

async fn sees_its_own_alone(app: &TestApp<App>, member: &Member, what: &str) {
    for target in ["events", "export", "checkpoints"] {
        let records = get(app, member, target).await;
        let records = records.as_array().unwrap();
        assert!(!records.is_empty(), "{what}: {target}");
        assert!(records.iter().all(|record| record["tenant_id"] == json!(member.tenant)), "{what}: {target}");
    }
    let verified = get(app, member, "verify").await;
    assert_eq!(verified["valid"], true, "{what}: {verified}");
}

#[tokio::test]
async fn t2_the_where_holds_without_row_level_security() {
    let (app, ada, eve) = start().await;
    for table in TABLES {
        let sql =
            format!("ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY; ALTER TABLE {table} DISABLE ROW LEVEL SECURITY");
        app.superuser().await.execute(raw_sql(AssertSqlSafe(sql))).await.unwrap();
    }
    for member in [&ada, &eve] {
        sees_its_own_alone(&app, member, "without row-level security").await;
    }
}

#[tokio::test]
async fn t2_row_level_security_holds_without_the_where() {
    let (app, ada, eve) = start().await;
    let mut runtime = app.database.runtime().await;
    let enter = format!("BEGIN; SELECT app.enter('{}', '{}')", eve.tenant, eve.session);
    runtime.execute(raw_sql(AssertSqlSafe(enter))).await.unwrap();
    for table in TABLES {
        let sql = format!("SELECT count(*) FILTER (WHERE tenant_id <> '{}'), count(*) FROM {table}", eve.tenant);
        let counts: (i64, i64) = sqlx::query_as(AssertSqlSafe(sql)).fetch_one(&mut runtime).await.unwrap();
        assert_eq!(counts, (0, 1), "{table}");
    }
    let search = "SELECT count(*) FROM app.audit_search($1, NULL, NULL, NULL, NULL, NULL, NULL, 100, 100)";
    for (tenant, count) in [(ada.tenant, 0), (eve.tenant, 1)] {
        let found = sqlx::query_scalar::<_, i64>(search).bind(tenant).fetch_one(&mut runtime).await.unwrap();
        assert_eq!(found, count);
    }
}

#[tokio::test]
async fn t7_without_a_tenant_the_trail_is_empty_and_nothing_fails() {
    let (app, ..) = start().await;
    let mut runtime = app.database.runtime().await;
    for setting in ["SELECT 1", "SELECT set_config('app.tenant_id', '', false)"] {
        runtime.execute(setting).await.unwrap();
        for table in TABLES {
            let sql = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
            assert_eq!(sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut runtime).await.unwrap(), 0, "{table}");
        }
    }
}

#[tokio::test]
async fn the_trail_is_read_under_every_plan() {
    let (app, ada, _) = start().await;
    let mut superuser = app.superuser().await;
    let database = app.database.address().2;
    for setting in ["enable_nestloop = off", "plan_cache_mode = force_generic_plan", "enable_indexscan = off"] {
        let sql = format!("ALTER ROLE tenantry_runtime IN DATABASE {database} SET {setting}");
        superuser.execute(raw_sql(AssertSqlSafe(sql))).await.unwrap();
        sees_its_own_alone(&app.another(audit::routes()).await, &ada, setting).await;
    }
}
