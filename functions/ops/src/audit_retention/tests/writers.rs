//! L3: nobody's change is refused because the retention runs.

use std::time::Duration as Pause;

use sqlx::Executor;
use tokio::time::sleep;

use super::*;

/// Appends in a transaction that has entered the tenant already.
const APPEND: &str = "SELECT app.audit_append('todos.create', 'success', NULL, NULL, NULL, NULL, NULL, NULL)";

/// As a write's transaction begins: it has read the tenant's row.
async fn entered(ops: &Ops) -> PgConnection {
    let mut writer = ops.database.runtime().await;
    let begin = format!("BEGIN; SELECT app.enter_tenant('{BETA}'); SELECT status FROM tenants");
    raw_sql(AssertSqlSafe(begin)).execute(&mut writer).await.unwrap();
    writer
}

/// Every month past its retention is exported, and none is dropped yet.
async fn all_but_dropped() -> (Ops, AuditPartition) {
    let ops = Ops::start().await;
    let mut reader = ops.superuser().await;
    raw_sql("BEGIN; LOCK TABLE ONLY audit_events IN ACCESS SHARE MODE").execute(&mut reader).await.unwrap();
    assert!(ops.retain(SMALL).await.unwrap_err().contains("cannot be dropped"));
    let month = ops.maintenance().await.audit_partitions().await.unwrap().remove(0);
    (ops, month)
}

#[tokio::test]
async fn l3_a_change_under_way_is_recorded_though_a_month_is_being_dropped() {
    let (ops, month) = all_but_dropped().await;
    let (mut writer, mut dropping) = (entered(&ops).await, ops.maintenance().await);
    // Somebody verifies, so that the dropping is held up.
    let mut verifier = ops.superuser().await;
    raw_sql("BEGIN; LOCK TABLE audit_anchors IN ACCESS SHARE MODE").execute(&mut verifier).await.unwrap();
    let writing = async {
        sleep(Pause::from_millis(200)).await;
        let appended = writer.execute(raw_sql(APPEND)).await;
        appended.and(writer.execute(raw_sql("COMMIT")).await)
    };
    let verifying = async {
        sleep(Pause::from_millis(600)).await;
        raw_sql("ROLLBACK").execute(&mut verifier).await.unwrap();
    };
    let (recorded, (), _) = tokio::join!(writing, verifying, dropping.drop_audit_partition(&month));
    recorded.expect("the change is recorded");
    assert_eq!(ops.retain(SMALL).await.unwrap()["complete"], true);
}

#[tokio::test]
async fn l3_while_it_is_looked_whether_a_month_is_exported_nobody_waits_to_record() {
    let (ops, month) = all_but_dropped().await;
    let (mut writer, mut dropping) = (ops.database.runtime().await, ops.maintenance().await);
    // Somebody takes the month out, and is slow.
    let mut exporting = ops.superuser().await;
    let hold = format!("BEGIN; LOCK TABLE {} IN ACCESS SHARE MODE", month.name);
    raw_sql(AssertSqlSafe(hold)).execute(&mut exporting).await.unwrap();
    let writing = async {
        sleep(Pause::from_millis(100)).await;
        let impatient = "BEGIN; SET LOCAL lock_timeout = '50ms'; SELECT app.enter_tenant";
        writer.execute(raw_sql(AssertSqlSafe(format!("{impatient}('{BETA}'); {APPEND}; COMMIT")))).await
    };
    let (recorded, dropped) = tokio::join!(writing, dropping.drop_audit_partition(&month));
    assert!(dropped.is_err(), "the month is being read");
    recorded.expect("the change is recorded");
}

#[tokio::test]
async fn l3_a_month_too_large_to_be_moved_at_once_stays_in_the_default_and_no_later_one_goes_before_it() {
    let ops = Ops::start().await;
    let name = ops.database.address().2;
    // 28 records are of 80 months ago, 14 of 73 and 4 of 71.
    ops.sql(&format!("ALTER DATABASE {name} SET app.most_moved = 20")).await;
    let held = ops.retain(SMALL).await.unwrap();
    let expected = json!({
        "made": 2, "moved": 18, "left_over": 28, "tenants": 0, "records": 0, "exports": 0, "dropped": 0,
        "broken": 0, "failed": 0, "complete": false,
    });
    assert_eq!(held, expected);
    ops.sql(&format!("ALTER DATABASE {name} SET app.most_moved = 28")).await;
    let moved = ops.retain(SMALL).await.unwrap();
    assert_eq!((&moved["moved"], &moved["dropped"], &moved["complete"]), (&json!(28), &json!(2), &json!(true)));
    ops.all_is_exported_and_gone().await;
}

#[tokio::test]
async fn l3_two_runs_at_once_lose_nothing_and_fifty_changes_are_recorded_meanwhile() {
    let ops = Ops::start().await;
    let before = ops.chain(ACME).await;
    let writing = async {
        let mut writer = ops.database.runtime().await;
        let append = format!("BEGIN; SELECT app.enter_tenant('{BETA}'); SELECT status FROM tenants; {APPEND}; COMMIT");
        for _ in 0..50 {
            raw_sql(AssertSqlSafe(append.clone())).execute(&mut writer).await.expect("the change is recorded");
        }
    };
    let (one, other, ()) = tokio::join!(ops.retain(SMALL), ops.retain(SMALL), writing);
    for run in [one, other] {
        match run {
            Ok(run) => assert_eq!((&run["broken"], &run["failed"]), (&json!(0), &json!(0)), "{run}"),
            // It gave way to whoever had a lock, for the next run to go on.
            Err(cause) => assert!(cause.contains("55P03"), "{cause}"),
        }
    }
    assert_eq!(ops.retain(SMALL).await.unwrap()["complete"], true);
    assert_eq!(ops.chain(ACME).await, before);
    assert_eq!(ops.found(BETA).await, (3, 53));
}

#[tokio::test]
async fn l3_a_default_that_is_too_large_to_be_looked_through_is_left_alone_without_a_lock() {
    let ops = Ops::start().await;
    ops.sql(&format!("ALTER DATABASE {} SET app.most_moved = 2", ops.database.address().2)).await;
    let mut writer = ops.superuser().await;
    writer.execute("BEGIN; LOCK TABLE tenants, audit_events_default IN ROW EXCLUSIVE MODE").await.unwrap();
    let left = ops.retain(SMALL).await.unwrap();
    assert_eq!((&left["moved"], &left["dropped"], &left["complete"]), (&json!(0), &json!(0), &json!(false)), "{left}");
    assert!(take_log().iter().any(|line| line["audit_retention_left_over"] == left["left_over"]), "{left}");
    assert_ne!(left["left_over"], 0);
}
