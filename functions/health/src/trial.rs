//! What the group's tests begin with.

use shared::testing::{TestApp, TestDatabase, TestKeys};

use crate::Health;

pub(crate) async fn start_with(settings: &[(&str, &str)]) -> TestApp<Health> {
    let keys = TestKeys::generate("test-key").into();
    TestApp::start_with(crate::routes(), TestDatabase::create().await, keys, settings).await
}

/// How many connections the function holds.
pub(crate) async fn connections(app: &TestApp<Health>) -> i64 {
    let query =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'tenantry_runtime'";
    sqlx::query_scalar(query).fetch_one(&mut app.superuser().await).await.unwrap()
}
