//! The trail over many months: what a page reads of them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use serde_json::Value;
use shared::testing::TestDatabase;
use sqlx::{AssertSqlSafe, Executor, PgConnection, raw_sql};

const TENANT: &str = "00000000-0000-7000-8000-00000000000a";
const MONTHS: u8 = 24;

/// 24 months of 200 records each before this one.
async fn start() -> (TestDatabase, PgConnection) {
    let database = TestDatabase::create().await;
    let fill = format!(
        "INSERT INTO tenants (id, slug, name) VALUES ('{TENANT}', 'acme', 'acme');
         INSERT INTO audit_events (version, tenant_id, seq, at, action, outcome, prev_hash, hash)
         SELECT 2, '{TENANT}', (m - 1) * 200 + n, month + n * interval '1 hour', 'todos.update', 'success', sha256(''), sha256('')
           FROM generate_series(1, {MONTHS}) AS m, generate_series(1, 200) AS n,
        LATERAL (SELECT date_trunc('month', now()) - make_interval(months => {MONTHS} + 1 - m) AS month) AS v;
         SELECT app.make_audit_partitions(3);
         ANALYZE audit_events"
    );
    database.superuser().await.execute(raw_sql(AssertSqlSafe(fill))).await.unwrap();
    let mut runtime = database.runtime().await;
    let enter = format!("BEGIN; SELECT app.enter_tenant('{TENANT}')");
    runtime.execute(raw_sql(AssertSqlSafe(enter))).await.unwrap();
    (database, runtime)
}

/// The scans of a statement that was run: of which index, and how many rows.
async fn scans(runtime: &mut PgConnection, sql: &str) -> Vec<(Option<String>, f64)> {
    let explain = format!("EXPLAIN (ANALYZE, FORMAT JSON) {sql}");
    let plan: Value = sqlx::query_scalar(AssertSqlSafe(explain)).fetch_one(&mut *runtime).await.unwrap();
    let (mut nodes, mut scans) = (vec![plan[0]["Plan"].clone()], Vec::new());
    while let Some(node) = nodes.pop() {
        nodes.extend(node["Plans"].as_array().cloned().unwrap_or_default());
        if node["Relation Name"].is_string() {
            let rows = node["Actual Rows"].as_f64().unwrap();
            scans.push((node["Index Name"].as_str().map(str::to_owned), rows));
        }
    }
    scans
}

#[tokio::test]
async fn a_page_by_seq_reads_its_records_and_one_more_of_a_month_at_most() {
    let (_database, mut runtime) = start().await;
    let page =
        format!("SELECT * FROM audit_events WHERE tenant_id = '{TENANT}' AND seq >= 1150 ORDER BY seq LIMIT 100");
    let last = format!("SELECT max(seq) FROM audit_events WHERE tenant_id = '{TENANT}'");
    for (sql, most) in [(page, 100 + MONTHS), (last, MONTHS)] {
        let scans = scans(&mut runtime, &sql).await;
        assert!(scans.iter().all(|(index, _)| index.is_some()), "{sql}: {scans:?}");
        assert!(scans.iter().map(|(_, rows)| rows).sum::<f64>() <= f64::from(most), "{sql}: {scans:?}");
    }
}

#[tokio::test]
async fn a_search_by_time_touches_no_other_month() {
    let (_database, mut runtime) = start().await;
    let sql = format!(
        "SELECT * FROM audit_events WHERE tenant_id = '{TENANT}' AND at >= date_trunc('month', now()) - interval '5 months'
            AND at < date_trunc('month', now()) - interval '3 months' ORDER BY seq DESC LIMIT 20"
    );
    let scans = scans(&mut runtime, &sql).await;
    assert!(scans.len() == 2 && scans.iter().all(|(index, _)| index.is_some()), "{scans:?}");
}
