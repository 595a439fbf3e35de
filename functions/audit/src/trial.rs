//! What the group's tests begin with.

use serde_json::Value;
use shared::{
    App,
    testing::{Answer, Event, Member, TestApp},
};
use sqlx::PgConnection;
use uuid::Uuid;

/// A record to append: its action, outcome, actor and object.
pub(crate) type Told = (&'static str, &'static str, Option<Uuid>, Option<Uuid>);

pub(crate) async fn append(superuser: &mut PgConnection, tenant: Uuid, (action, outcome, actor, object): Told) {
    let sql = "SELECT app.audit_append($2, $3, CASE $3 WHEN 'success' THEN NULL ELSE 'PERM_001' END, $4, NULL, $5,
                      '203.0.113.7', 'trace-1', CASE WHEN $2 = 'todos.update' THEN '{\"fields\":[\"title\"]}' END)
                 FROM app.enter_tenant($1)";
    let query = sqlx::query(sql).bind(tenant).bind(action).bind(outcome).bind(actor).bind(object);
    query.execute(superuser).await.unwrap();
}

/// A chain of `length` records of the tenant, some at a time: the head's row
/// has a version for each that a transaction appends.
pub(crate) async fn chain(app: &TestApp<App>, tenant: Uuid, length: i32) {
    let mut superuser = app.superuser().await;
    let sql = "SELECT app.audit_append('todos.update', 'success', NULL, $1, $1, $1, '203.0.113.7', 'trace-' || n,
                                       format('{\"n\":%s}', n))
                 FROM app.enter_tenant($1), generate_series($2 + 1, least($2 + 200, $3)) AS n";
    for done in (0..length).step_by(200) {
        sqlx::query(sql).bind(tenant).bind(done).bind(length).execute(&mut superuser).await.unwrap();
    }
}

pub(crate) async fn get(app: &TestApp<App>, member: &Member, target: &str) -> Answer {
    app.send(Event::get(&format!("/api/v1/audit/{target}")).bearer(&member.token)).await
}

/// The numbers of a page's records.
pub(crate) fn seqs(page: &Value) -> Vec<i64> {
    page["items"].as_array().unwrap().iter().map(|record| record["seq"].as_i64().unwrap()).collect()
}
