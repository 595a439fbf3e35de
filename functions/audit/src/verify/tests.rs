use serde_json::{Value, json};
use shared::{
    App,
    auth::Role,
    testing::{Member, TestApp},
};
use sqlx::{AssertSqlSafe, Executor, raw_sql};
use time::Duration;

use crate::trial::{append, chain, get};

async fn start(length: i32) -> (TestApp<App>, Member) {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    chain(&app, ada.tenant, length).await;
    (app, ada)
}

async fn verified(app: &TestApp<App>, member: &Member, query: &str) -> Value {
    let answer = get(app, member, &format!("verify{query}")).await;
    assert_eq!(answer.status, 200, "{query} {:?}", answer.log);
    answer.json()
}

async fn change(app: &TestApp<App>, sql: &str) {
    // A superuser whom nothing binds, not even the table's own constraints.
    let sql = format!(
        "ALTER TABLE audit_events DROP CONSTRAINT IF EXISTS audit_events_key CASCADE;
         ALTER TABLE audit_events DROP CONSTRAINT IF EXISTS audit_events_details_object;
         ALTER TABLE audit_events DROP CONSTRAINT IF EXISTS audit_events_version;
         ALTER TABLE audit_events DROP CONSTRAINT IF EXISTS audit_events_outcome;
         ALTER TABLE audit_events DROP CONSTRAINT IF EXISTS audit_events_details_hashed; {sql}"
    );
    app.superuser().await.execute(raw_sql(AssertSqlSafe(sql))).await.unwrap();
}

#[tokio::test]
async fn a_whole_chain_is_verified_up_to_its_head() {
    let (app, ada) = start(2_500).await;
    let eve = app.tenant("evil").await;
    let empty = json!({ "valid": true, "checked": 0, "head": { "seq": 0, "hash": "0".repeat(64) } });
    assert_eq!(verified(&app, &eve, "").await, empty);
    let found = verified(&app, &ada, "").await;
    let hash: String = sqlx::query_scalar("SELECT encode(hash, 'hex') FROM audit_heads WHERE tenant_id = $1")
        .bind(ada.tenant)
        .fetch_one(&mut app.superuser().await)
        .await
        .unwrap();
    assert_eq!(found, json!({ "valid": true, "checked": 2500, "head": { "seq": 2500, "hash": hash } }));
    for (query, checked) in [
        ("?from_seq=1&to_seq=1", 1),
        ("?to_seq=999", 999),
        ("?from_seq=2500", 1),
        ("?from_seq=1001&to_seq=2000", 1000),
        ("?to_seq=9000000000", 2500),
    ] {
        let found = verified(&app, &ada, query).await;
        assert_eq!((&found["valid"], &found["checked"]), (&json!(true), &json!(checked)), "{query}");
    }
}

#[tokio::test]
async fn l1_an_edit_of_any_column_is_found_at_its_record() {
    let (app, ada) = start(12).await;
    for column in [
        "version = 1",
        "version = 3",
        "version = 1, details = NULL",
        "tenant_id = tenant_id, at = at + interval '1 microsecond'",
        "at = 'infinity'",
        "at = '20000-01-01'",
        "action = 'todos.delete'",
        "outcome = 'denied'",
        "outcome = 'success '",
        "reason = ''",
        "actor_id = gen_random_uuid()",
        "session_id = NULL",
        "object_id = NULL",
        "source_address = '203.0.113.8'",
        "source_address = NULL",
        "request_id = 'trace-70'",
        "request_id = ''",
        "details = '{\"n\": 7}'",
        "details = NULL",
        "prev_hash = sha256('x')",
        "hash = sha256('x')",
        "action = action || chr(0x301)",
    ] {
        change(
            &app,
            &format!("CREATE TABLE kept AS SELECT * FROM audit_events; UPDATE audit_events SET {column} WHERE seq = 7"),
        )
        .await;
        let found = verified(&app, &ada, "").await;
        let expected = (&json!(false), &json!(7), &json!(6));
        assert_eq!((&found["valid"], &found["first_bad_seq"], &found["checked"]), expected, "{column}");
        let around = verified(&app, &ada, "?from_seq=5&to_seq=9").await;
        assert_eq!((&around["first_bad_seq"], &around["checked"]), (&json!(7), &json!(2)), "{column}");
        assert_eq!(verified(&app, &ada, "?to_seq=6").await["valid"], true, "{column}");
        change(&app, "DELETE FROM audit_events; INSERT INTO audit_events SELECT * FROM kept; DROP TABLE kept").await;
        assert_eq!(verified(&app, &ada, "").await["valid"], true, "{column}");
    }
}

#[tokio::test]
async fn l1_what_was_deleted_inserted_swapped_doubled_cut_off_or_made_anew_is_found() {
    let (app, ada) = start(12).await;
    let anew = "hash = app.audit_hash(version, prev_hash, tenant_id, seq, at, action, outcome, reason, actor_id,
                                      session_id, object_id, source_address, request_id, details)";
    let copy = "(version, tenant_id, seq, at, action, outcome, reason, actor_id, session_id, object_id, source_address,
                 request_id, details, prev_hash, hash)";
    let columns = copy.trim_matches(['(', ')']);
    for (name, sql, bad) in [
        ("the first deleted", "DELETE FROM audit_events WHERE seq = 1".to_owned(), 1),
        ("one deleted", "DELETE FROM audit_events WHERE seq = 7".to_owned(), 7),
        ("some deleted", "DELETE FROM audit_events WHERE seq BETWEEN 3 AND 9".to_owned(), 3),
        ("all deleted", "DELETE FROM audit_events".to_owned(), 1),
        ("the tail cut off", "DELETE FROM audit_events WHERE seq > 10".to_owned(), 11),
        ("the last deleted", "DELETE FROM audit_events WHERE seq = 12".to_owned(), 12),
        ("two swapped", "UPDATE audit_events SET seq = 15 - seq WHERE seq IN (7, 8)".to_owned(), 7),
        (
            "one inserted",
            format!(
                "UPDATE audit_events SET seq = seq + 1 WHERE seq >= 5;
                 INSERT INTO audit_events {copy} SELECT {} FROM audit_events WHERE seq = 4",
                columns.replace(" seq,", " 5,")
            ),
            5,
        ),
        ("one doubled", format!("INSERT INTO audit_events {copy} SELECT {columns} FROM audit_events WHERE seq = 5"), 5),
        (
            "one put behind the end",
            format!(
                "INSERT INTO audit_events {copy} SELECT {} FROM audit_events WHERE seq = 12",
                columns.replace(" seq,", " 13,")
            ),
            13,
        ),
        // What was made anew is good in itself: its successor names another.
        (
            "one made anew",
            format!("UPDATE audit_events SET action = 'x' WHERE seq = 7; UPDATE audit_events SET {anew} WHERE seq = 7"),
            8,
        ),
        (
            "the last made anew",
            format!(
                "UPDATE audit_events SET action = 'x' WHERE seq = 12; UPDATE audit_events SET {anew} WHERE seq = 12"
            ),
            12,
        ),
        ("the head set back", "UPDATE audit_heads SET seq = 11".to_owned(), 11),
        ("the head deleted", "DELETE FROM audit_heads".to_owned(), 1),
    ] {
        change(
            &app,
            &format!(
                "CREATE TABLE kept AS SELECT * FROM audit_events; CREATE TABLE kept_heads AS SELECT * FROM audit_heads; {sql}"
            ),
        )
        .await;
        let found = verified(&app, &ada, "").await;
        assert_eq!((&found["valid"], &found["first_bad_seq"]), (&json!(false), &json!(bad)), "{name}: {found}");
        change(
            &app,
            "DELETE FROM audit_events; INSERT INTO audit_events SELECT * FROM kept; DROP TABLE kept;
             DELETE FROM audit_heads; INSERT INTO audit_heads SELECT * FROM kept_heads; DROP TABLE kept_heads",
        )
        .await;
        assert_eq!(verified(&app, &ada, "").await["valid"], true, "{name}");
    }
}

#[tokio::test]
async fn l1_a_double_at_the_end_of_a_batch_and_what_stands_before_the_first_are_found() {
    let (app, ada) = start(1_300).await;
    let double = |seq: i64, of: i64| {
        format!("INSERT INTO audit_events SELECT * FROM audit_events WHERE seq = {of};
                 UPDATE audit_events SET seq = {seq} WHERE ctid = (SELECT max(ctid) FROM audit_events WHERE seq = {of})")
    };
    for (seq, of, bad) in [(1_000, 1_000, 1_000), (999, 999, 999), (1_300, 1_300, 1_300), (0, 1, 0), (-7, 1, -7)] {
        change(&app, &format!("CREATE TABLE kept AS SELECT * FROM audit_events; {}", double(seq, of))).await;
        let found = verified(&app, &ada, "").await;
        assert_eq!((&found["valid"], &found["first_bad_seq"]), (&json!(false), &json!(bad)), "{seq}: {found}");
        change(&app, "DELETE FROM audit_events; INSERT INTO audit_events SELECT * FROM kept; DROP TABLE kept").await;
    }
    assert_eq!(verified(&app, &ada, "").await["valid"], true);
}

#[tokio::test]
async fn a_range_hangs_on_the_record_before_it() {
    let (app, ada) = start(12).await;
    change(&app, "DELETE FROM audit_events WHERE seq = 4").await;
    assert_eq!(verified(&app, &ada, "?from_seq=5").await["first_bad_seq"], 4);
    assert_eq!(verified(&app, &ada, "?from_seq=6").await["valid"], true);
    for (query, field) in [
        ("?from_seq=13", "from_seq"),
        ("?from_seq=0", "from_seq"),
        ("?from_seq=5&to_seq=4", "to_seq"),
        ("?to_seq=x", "to_seq"),
        ("?limit=1", "limit"),
    ] {
        let answer = get(&app, &ada, &format!("verify{query}")).await;
        assert_eq!(answer.json()["error"]["fields"][0]["field"], field, "{query}");
    }
}

#[tokio::test]
async fn records_of_the_first_form_are_verified_beside_those_of_the_second() {
    let (app, ada) = start(0).await;
    let first = "SELECT app.enter_tenant($1);
        INSERT INTO audit_events (tenant_id, seq, at, action, outcome, actor_id, prev_hash, hash)
        SELECT $1, 1, at, 'auth.login', 'success', $1, zero, app.audit_hash(1::smallint, zero, $1, 1, at, 'auth.login',
               'success', NULL, $1, NULL, NULL, NULL, NULL, NULL)
          FROM (SELECT timestamptz '2026-11-01 10:00:00.000001Z' AS at, decode(repeat('00', 32), 'hex') AS zero) AS v;
        INSERT INTO audit_heads (tenant_id, seq, hash) SELECT tenant_id, seq, hash FROM audit_events";
    let sql = first.replace("$1", &format!("'{}'::uuid", ada.tenant));
    app.superuser().await.execute(raw_sql(AssertSqlSafe(sql))).await.unwrap();
    append(&mut app.superuser().await, ada.tenant, ("todos.update", "success", Some(ada.user), None)).await;
    let found = verified(&app, &ada, "").await;
    assert_eq!((&found["valid"], &found["checked"]), (&json!(true), &json!(2)), "{found}");
    change(&app, "UPDATE audit_events SET details = '{}' WHERE seq = 1").await;
    assert_eq!(verified(&app, &ada, "").await["first_bad_seq"], 1, "what the first form does not hash");
}

#[tokio::test]
async fn a_chain_too_long_for_one_request_says_where_to_go_on() {
    let (app, ada) = start(2_100).await;
    let (mut query, mut checked, mut requests) = (String::new(), 0, 0);
    loop {
        // Time passes while the first batch is under way.
        let later = async { app.clock.advance(Duration::seconds(6)) };
        let (found, ()) = tokio::join!(verified(&app, &ada, &query), later);
        assert_eq!(found["valid"], true, "{found}");
        checked += found["checked"].as_i64().unwrap();
        requests += 1;
        let Some(next) = found["next_seq"].as_i64() else { break };
        assert_eq!(next, checked + 1);
        query = format!("?from_seq={next}");
    }
    assert_eq!((checked, requests), (2_100, 3));
}

#[tokio::test]
async fn what_is_appended_meanwhile_is_no_fault() {
    let (app, ada) = start(3_000).await;
    let other = app.another(crate::routes()).await;
    let appending = async {
        let mut superuser = app.superuser().await;
        for _ in 0..50 {
            append(&mut superuser, ada.tenant, ("todos.create", "success", None, None)).await;
        }
    };
    let verifying = async {
        for _ in 0..5 {
            assert_eq!(verified(&other, &ada, "").await["valid"], true);
        }
    };
    tokio::join!(appending, verifying);
    assert_eq!(verified(&app, &ada, "").await["checked"], 3_050);
}

#[tokio::test]
async fn t2_each_admin_verifies_its_own_chain_and_nobody_else_any() {
    let (app, ada) = start(4).await;
    let eve = app.tenant("evil").await;
    chain(&app, eve.tenant, 2).await;
    let spoil = format!("UPDATE audit_events SET action = 'x' WHERE tenant_id = '{}'", ada.tenant);
    change(&app, &spoil).await;
    assert_eq!(verified(&app, &eve, "").await["valid"], true);
    assert_eq!(verified(&app, &ada, "").await["first_bad_seq"], 1);
    let analyst = app.member(ada.tenant, Role::Analyst).await;
    assert_eq!(get(&app, &analyst, "verify").await.code(), "PERM_001");
}

/// As the retention leaves it, of the records up to `seq`.
async fn export_up_to(app: &TestApp<App>, seq: i64) {
    change(
        app,
        &format!(
            "INSERT INTO audit_anchors SELECT tenant_id, seq, hash, at FROM audit_events WHERE seq IN ({seq} - 3, {seq});
             DELETE FROM audit_events WHERE seq <= {seq}"
        ),
    )
    .await;
}

#[tokio::test]
async fn what_is_left_of_an_exported_chain_hangs_on_its_anchor() {
    let (app, ada) = start(12).await;
    let head = verified(&app, &ada, "").await["head"].clone();
    let hash = "SELECT encode(hash, 'hex') FROM audit_events WHERE seq = 8";
    let hash: String = sqlx::query_scalar(hash).fetch_one(&mut app.superuser().await).await.unwrap();
    export_up_to(&app, 8).await;
    let anchor = json!({ "seq": 8, "hash": hash });
    for (query, checked) in [("", 4), ("?from_seq=3", 4), ("?from_seq=9", 4), ("?to_seq=9", 1)] {
        let found = verified(&app, &ada, query).await;
        assert_eq!(found, json!({ "valid": true, "checked": checked, "head": head, "anchor": anchor }), "{query}");
    }
    assert_eq!(verified(&app, &ada, "?from_seq=10").await, json!({ "valid": true, "checked": 3, "head": head }));
    let before = get(&app, &ada, "verify?to_seq=8").await;
    assert_eq!(before.json()["error"]["fields"][0]["field"], "to_seq");
    // The rest is exported as well, and then there is something new.
    export_up_to(&app, 12).await;
    let all = verified(&app, &ada, "").await;
    assert_eq!((&all["valid"], &all["checked"], &all["anchor"]), (&json!(true), &json!(0), &head));
    append(&mut app.superuser().await, ada.tenant, ("todos.create", "success", None, None)).await;
    assert_eq!(verified(&app, &ada, "").await["checked"], 1);
}

#[tokio::test]
async fn l1_a_chain_whose_beginning_is_gone_without_its_anchor_is_bad() {
    let (app, ada) = start(12).await;
    export_up_to(&app, 8).await;
    change(
        &app,
        "CREATE TABLE kept_anchors AS SELECT * FROM audit_anchors; CREATE TABLE kept AS SELECT * FROM audit_events",
    )
    .await;
    for (name, sql, bad) in [
        ("no anchor", "DELETE FROM audit_anchors", 1),
        ("an anchor of less", "DELETE FROM audit_anchors WHERE seq = 8", 6),
        ("an anchor of more", "UPDATE audit_anchors SET seq = 9 WHERE seq = 8", 6),
        ("another hash", "UPDATE audit_anchors SET hash = sha256('x') WHERE seq = 8", 9),
        ("the next record gone too", "DELETE FROM audit_events WHERE seq = 9", 9),
        ("all records gone", "DELETE FROM audit_events", 9),
    ] {
        change(&app, sql).await;
        let found = verified(&app, &ada, "").await;
        assert_eq!((&found["valid"], &found["first_bad_seq"]), (&json!(false), &json!(bad)), "{name}: {found}");
        change(
            &app,
            "DELETE FROM audit_anchors; INSERT INTO audit_anchors SELECT * FROM kept_anchors;
             DELETE FROM audit_events; INSERT INTO audit_events SELECT * FROM kept",
        )
        .await;
        assert_eq!(verified(&app, &ada, "").await["valid"], true, "{name}");
    }
}

#[tokio::test]
async fn a_month_that_goes_while_its_chain_is_verified_is_no_tampering() {
    let (app, ada) = start(2_500).await;
    // The first batch stands still at its last record until the month is gone.
    change(
        &app,
        "CREATE FUNCTION stand_still(seq bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
             IF seq = 1000 THEN PERFORM pg_advisory_xact_lock_shared(7); END IF; RETURN true; END $$;
         GRANT EXECUTE ON FUNCTION stand_still TO PUBLIC;
         CREATE POLICY slow ON audit_events AS RESTRICTIVE FOR SELECT TO tenantry_runtime USING (stand_still(seq))",
    )
    .await;
    let mut dropping = app.superuser().await;
    dropping.execute("SELECT pg_advisory_lock(7)").await.unwrap();
    let gone = async {
        let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
                        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        while sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut dropping).await.unwrap() == 0 {}
        let drop = "INSERT INTO audit_anchors SELECT tenant_id, seq, hash, at FROM audit_events WHERE seq = 1700;
                    DELETE FROM audit_events WHERE seq <= 1700";
        dropping.execute(raw_sql(drop)).await.unwrap();
        dropping.execute("SELECT pg_advisory_unlock(7)").await.unwrap();
    };
    let other = app.another(crate::routes()).await;
    let (found, ()) = tokio::join!(verified(&other, &ada, ""), gone);
    assert_eq!((&found["valid"], &found["checked"]), (&json!(true), &json!(800)), "{found}");
    assert_eq!(found["anchor"]["seq"], 1_700);
}
