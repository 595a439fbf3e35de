//! The search reads its index, under row-level security and whatever the plan
//! is made for: this one call, or all of them.

use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor, raw_sql};

use crate::start;

/// Twenty thousand users in the tenant, as many in another.
const CROWD: &str = "
    INSERT INTO users (tenant_id, id, email, display_name, role)
    SELECT t.id, gen_random_uuid(), 'person-' || n || '@acme.example', 'Some ' || md5(n::text), 'viewer'
      FROM tenants t, generate_series(1, 20000) AS n WHERE t.slug IN ('acme', 'evil');
    ANALYZE users";

/// Every node of a plan.
fn nodes(plan: &Value) -> Vec<Value> {
    let below = plan["Plans"].as_array().into_iter().flatten().flat_map(nodes);
    std::iter::once(plan.clone()).chain(below).collect()
}

#[tokio::test]
async fn a_search_reads_the_two_indexes_and_not_the_table() {
    let app = start().await;
    let ada = app.tenant("acme").await;
    app.tenant("evil").await;
    app.superuser().await.execute(raw_sql(CROWD)).await.unwrap();
    let source = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/list.rs")).unwrap();
    let search = source.split("r#\"").nth(2).unwrap().split("\"#").next().unwrap();
    let mut runtime = app.database.runtime().await;
    let prepare = format!("PREPARE search (uuid, uuid, text, text, uuid, bigint, text) AS {search}");
    runtime.execute(raw_sql(AssertSqlSafe(prepare))).await.unwrap();
    for (mode, prefix) in
        [("force_custom_plan", "person-777"), ("force_generic_plan", "person-777"), ("auto", "some 77")]
    {
        let sql = format!(
            "SET plan_cache_mode = {mode}; EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF)
             EXECUTE search ('{}', '{}', NULL, NULL, NULL, 21, '{prefix}')",
            ada.tenant, ada.session
        );
        let rows = sqlx::Executor::fetch_all(&mut runtime, raw_sql(AssertSqlSafe(sql))).await.unwrap();
        let plan: Value = sqlx::Row::get(&rows[0], 0);
        let nodes = nodes(&plan[0]["Plan"]);
        for index in ["users_by_email", "users_by_display_name"] {
            let scan = nodes.iter().find(|node| node["Index Name"] == index);
            let scan = scan.unwrap_or_else(|| panic!("{mode}: no {index} in {plan:#}"));
            let condition = scan["Index Cond"].as_str().unwrap();
            assert!(condition.contains("~>=~") && condition.contains("~<~"), "{mode}: {condition}");
            assert!(condition.contains("tenant_id"), "{mode}: {condition}");
            assert!(scan["Actual Rows"].as_f64().unwrap() < 500.0, "{mode}: {scan}");
        }
        assert!(nodes.iter().all(|node| node["Node Type"] != "Seq Scan"), "{mode}: {plan:#}");
    }
}
