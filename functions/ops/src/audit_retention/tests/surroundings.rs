//! What a run finds around it: another time zone, a deleted tenant, months that
//! a record stands at the very border of.

use super::*;

#[tokio::test]
async fn a_deleted_tenants_trail_goes_like_every_other_in_whatever_time_zone_the_database_tells_times() {
    for (zone, style) in [("Asia/Kolkata", "SQL, DMY"), ("America/New_York", "German"), ("Pacific/Kiritimati", "ISO")] {
        let ops = Ops::start().await;
        let name = ops.database.address().2;
        ops.sql(&format!(
            "ALTER DATABASE {name} SET timezone = '{zone}'; ALTER DATABASE {name} SET datestyle = '{style}'"
        ))
        .await;
        ops.sql(&format!(
            "UPDATE tenants SET status = 'deleted', deleted_at = now(), purged_at = now() WHERE id = '{BETA}'"
        ))
        .await;
        let done = ops.retain(SMALL).await.unwrap();
        assert_eq!((&done["dropped"], &done["complete"]), (&json!(2), &json!(true)), "{zone}: {done}");
        ops.all_is_exported_and_gone().await;
        let bounds = "SELECT count(*) FROM app.audit_partitions()
                       WHERE (starts_at AT TIME ZONE 'UTC')::text !~ '-01 00:00:00$'
                          OR name <> 'audit_events_' || to_char(starts_at AT TIME ZONE 'UTC', 'YYYY_MM')
                          OR ends_at - starts_at NOT BETWEEN '28 days' AND '31 days'";
        assert_eq!(ops.number(bounds).await, 0, "{zone}");
    }
}

/// The last and the first moment of two months, in UTC, one of them a leap year's February.
#[tokio::test]
async fn a_record_at_a_months_border_is_of_the_month_in_utc_and_goes_with_it() {
    let ops = Ops::start().await;
    let name = ops.database.address().2;
    ops.sql(&format!("ALTER DATABASE {name} SET timezone = 'Pacific/Kiritimati'")).await;
    ops.sql("TRUNCATE audit_events, audit_heads").await;
    for (seq, at) in [
        (1, "2016-02-29 23:59:59.999999Z"),
        (2, "2016-03-01 00:00:00Z"),
        (3, "2016-03-27 01:59:59.999999Z"),
        (4, "2016-03-31 23:59:59.999999Z"),
    ] {
        ops.sql(&format!(
            "INSERT INTO audit_events (version, tenant_id, seq, at, action, outcome, prev_hash, hash)
             SELECT 2, '{ACME}', {seq}, '{at}', 'todos.update', 'success', prev,
                    app.audit_hash(2::smallint, prev, '{ACME}', {seq}, '{at}', 'todos.update', 'success', NULL, NULL,
                                   NULL, NULL, NULL, NULL, NULL)
               FROM (SELECT coalesce((SELECT hash FROM audit_events WHERE seq = {seq} - 1),
                                     decode(repeat('00', 32), 'hex')) AS prev) AS v;
             INSERT INTO audit_heads SELECT tenant_id, seq, hash, at FROM audit_events WHERE seq = {seq}
                 ON CONFLICT (tenant_id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, at = excluded.at"
        ))
        .await;
    }
    let done = ops.retain(SMALL).await.unwrap();
    assert_eq!((&done["exports"], &done["records"], &done["dropped"]), (&json!(2), &json!(4), &json!(2)), "{done}");
    let files = [(1, 1), (2, 4)].map(|(first, last)| format!("{first:020}-{last:020}.ndjson"));
    assert_eq!(ops.exports(ACME), files);
    assert_eq!(ops.found(ACME).await, (4, 4));
}
