mod surroundings;
mod writers;

use std::{fs, path::PathBuf, sync::Arc};

use audit_verify::{Anchors, Bounds, Checkpoint, Examination, Keys, SignedCheckpoint};
use shared::{
    clock::SystemClock,
    config::from_lookup,
    db::maintenance::MadePartitions,
    testing::{EmulatedKey, RUNTIME_PASSWORD, TestDatabase, TestSecrets, setting, take_log},
};
use sqlx::{AssertSqlSafe, PgConnection, raw_sql};

use super::*;
use crate::audit_checkpoint::tests::bucket;

const ACME: &str = "00000000-0000-7000-8000-00000000000a";
const BETA: &str = "00000000-0000-7000-8000-00000000000b";
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// Several files of what the tests fill in.
const SMALL: Limits = Limits { records: 10, time: Duration::minutes(1) };

/// `n` records of `months` months ago, as the chain would have taken them then.
const RECORD: &str = r#"CREATE FUNCTION record(tenant uuid, months integer, n integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    -- In the middle of a month, wherever today is.
    moment timestamptz := date_trunc('month', now()) - make_interval(months => months) + interval '10 days';
    head audit_heads;
BEGIN
    FOR i IN 1..n LOOP
        head := NULL;
        SELECT * INTO head FROM audit_heads WHERE tenant_id = tenant;
        INSERT INTO audit_events (version, tenant_id, seq, at, action, outcome, actor_id, request_id, details, prev_hash, hash)
        SELECT 2, tenant, seq, at, 'todos.update', 'success', tenant, 'trace', '{"n": 1}', prev,
               app.audit_hash(2::smallint, prev, tenant, seq, at, 'todos.update', 'success', NULL, tenant, NULL, NULL,
                              NULL, 'trace', '{"n": 1}')
          FROM (SELECT coalesce(head.seq, 0) + 1 AS seq, moment + i * interval '1 second' AS at,
                       coalesce(head.hash, decode(repeat('00', 32), 'hex')) AS prev) AS v;
        INSERT INTO audit_heads SELECT tenant_id, seq, hash, at FROM audit_events
         WHERE tenant_id = tenant AND seq = coalesce(head.seq, 0) + 1
            ON CONFLICT (tenant_id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, at = excluded.at;
    END LOOP;
END $$"#;

struct Ops {
    database: TestDatabase,
    key: EmulatedKey,
    folder: PathBuf,
}

impl Drop for Ops {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Ops {
    /// ACME has 25 records of 80 months ago, 12 of 73, 4 of 71 and 3 of now;
    /// BETA 3 of 80 months ago and no other; nobody 2 of 73.
    async fn start() -> Self {
        take_log();
        let database = TestDatabase::create().await.with_maintainer().await;
        let folder = std::env::temp_dir().join(format!("exports-{}", database.address().2));
        let ops = Self { database, key: EmulatedKey::create("ECC_NIST_P256").await, folder };
        for (tenant, slug) in [(ACME, "acme"), (BETA, "beta")] {
            ops.sql(&format!("INSERT INTO tenants (id, slug, name) VALUES ('{tenant}', '{slug}', '{slug}')")).await;
        }
        ops.sql(RECORD).await;
        for (tenant, months, records) in
            [(ACME, 80, 25), (ACME, 73, 12), (ACME, 71, 4), (ACME, 0, 3), (BETA, 80, 3), (NOBODY, 73, 2)]
        {
            ops.sql(&format!("SELECT record('{tenant}', {months}, {records})")).await;
        }
        ops
    }

    async fn superuser(&self) -> PgConnection {
        self.database.superuser().await
    }

    async fn sql(&self, sql: &str) {
        raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.superuser().await).await.unwrap();
    }

    async fn number(&self, sql: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut self.superuser().await).await.unwrap()
    }

    async fn retain(&self, limits: Limits) -> Result<Value, String> {
        self.retain_with(limits, &[("AUDIT_SIGNING_KMS_KEY_ID", self.key.id())]).await
    }

    async fn retain_with(&self, limits: Limits, settings: &[(&str, &str)]) -> Result<Value, String> {
        let (host, port, name) = self.database.address();
        let secrets = TestSecrets::default();
        let login = json!({ "username": self.database.maintainer(), "password": RUNTIME_PASSWORD });
        secrets.set("owner", login.to_string());
        let (port, folder) = (port.to_string(), self.folder.display().to_string());
        let endpoint = setting("AWS_ENDPOINT_URL");
        let usual = [
            ("DATABASE_HOST", &*host),
            ("DATABASE_PORT", &port),
            ("DATABASE_NAME", &name),
            ("DATABASE_TLS", "disable"),
            ("DATABASE_SECRET_ID", "runtime"),
            ("DATABASE_OWNER_SECRET_ID", "owner"),
            ("AWS_ENDPOINT_URL", &endpoint),
            ("AUDIT_CHECKPOINT_FOLDER", &folder),
        ];
        let lookup = |name: &str| {
            let found = settings.iter().chain(&usual).find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let start = Start::on_lambda(from_lookup(&lookup).unwrap()).with(Arc::new(SystemClock), Arc::new(secrets));
        audit_retention(&start, from_lookup(&lookup).unwrap(), limits).await
    }

    /// The tenant's exported files, by name.
    fn exports(&self, tenant: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.folder.join("exports").join(tenant)) else { return Vec::new() };
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    /// What is exported of the tenant's chain, and then what the database has.
    async fn chain(&self, tenant: &str) -> Vec<u8> {
        let mut chain = Vec::new();
        for name in self.exports(tenant) {
            chain.extend(fs::read(self.folder.join("exports").join(tenant).join(name)).unwrap());
        }
        let mut database = self.maintenance().await;
        let after = database.audit_anchor(tenant.parse().unwrap()).await.unwrap().map_or(0, |anchor| anchor.seq);
        let rest = database.links(tenant.parse().unwrap(), after + 1, i64::MAX, 1_000).await.unwrap();
        if let Some(first) = rest.first() {
            let mut left = Chain::before(after + 1, first.prev_hash.as_slice().try_into().unwrap());
            chain.extend(lines(&mut left, &rest).unwrap());
        }
        chain
    }

    async fn maintenance(&self) -> Maintenance {
        let (host, port, name) = self.database.address();
        let secrets = TestSecrets::default();
        let login = json!({ "username": self.database.maintainer(), "password": RUNTIME_PASSWORD });
        secrets.set("owner", login.to_string());
        let settings = [
            ("DATABASE_HOST", host),
            ("DATABASE_PORT", port.to_string()),
            ("DATABASE_NAME", name),
            ("DATABASE_TLS", "disable".to_owned()),
            ("DATABASE_SECRET_ID", "owner".to_owned()),
        ];
        let lookup = |name: &str| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        let start = Start::on_lambda(from_lookup(&lookup).unwrap()).with(Arc::new(SystemClock), Arc::new(secrets));
        Maintenance::connect(from_lookup(&lookup).unwrap(), &start).await.unwrap()
    }

    /// What a verifier finds who has the files, the checkpoints and the keys:
    /// how far the chain is proven, and how long it is.
    async fn found(&self, tenant: &str) -> (i64, i64) {
        let all = |folder: PathBuf| fs::read_dir(folder).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap());
        let mut keys = Keys::default();
        all(self.folder.join("keys")).for_each(|set| keys.add_set(&set).unwrap());
        let mut anchors = Anchors::of(Some(tenant.to_owned()));
        for checkpoint in all(self.folder.join("checkpoints").join(tenant)) {
            anchors.add(SignedCheckpoint::read(&checkpoint).unwrap(), &keys).unwrap();
        }
        let mut examination = Examination::new(anchors, Bounds { from_seq: 1, before: None, to_seq: None });
        for line in self.chain(tenant).await.trim_ascii_end().split(|byte| *byte == b'\n') {
            examination.line(line);
        }
        let verdict = examination.end();
        assert_eq!(verdict.first_bad, None, "{verdict:?}");
        (verdict.proven.unwrap().seq, verdict.checked)
    }

    async fn all_is_exported_and_gone(&self) {
        assert_eq!(self.number("SELECT count(*) FROM audit_events").await, 7, "of ACME");
        assert_eq!(
            self.number("SELECT count(*) FROM app.audit_partitions() WHERE ends_at <= now() - interval '72 months'")
                .await,
            0
        );
        let files = ["1-10", "11-20", "21-25", "26-35", "36-37"].map(|file| {
            let (first, last) = file.split_once('-').unwrap();
            format!("{first:0>20}-{last:0>20}.ndjson")
        });
        assert_eq!(self.exports(ACME), files);
        for (tenant, anchored, length) in [(ACME, 37, 44), (BETA, 3, 3), (NOBODY, 2, 2)] {
            assert_eq!(self.found(tenant).await, (anchored, length), "{tenant}");
            // Of each file's end, so that the signing of checkpoints goes on from the last.
            let noted = format!("SELECT max(seq) FROM audit_checkpoints WHERE tenant_id = '{tenant}'");
            assert_eq!(self.number(&noted).await, anchored);
        }
    }
}

#[tokio::test]
async fn months_past_their_retention_are_exported_anchored_and_dropped_and_the_next_run_finds_nothing() {
    let ops = Ops::start().await;
    let before = ops.chain(ACME).await;
    let first = ops.retain(SMALL).await.unwrap();
    let expected = json!({
        "made": 3, "moved": 46, "left_over": 0, "tenants": 6, "records": 42, "exports": 7, "dropped": 2,
        "broken": 0, "failed": 0, "complete": true,
    });
    assert_eq!(first, expected);
    ops.all_is_exported_and_gone().await;
    assert_eq!(ops.chain(ACME).await, before, "byte for byte, as it would have been exported before");
    let log = take_log();
    let line = log.iter().find(|line| line["message"] == "audit trail retained").unwrap();
    assert_eq!((&line["audit_retention_records"], &line["audit_retention_moved"]), (&json!(42), &json!(46)));
    let second = ops.retain(SMALL).await.unwrap();
    let nothing = json!({
        "made": 0, "moved": 0, "left_over": 0, "tenants": 0, "records": 0, "exports": 0, "dropped": 0,
        "broken": 0, "failed": 0, "complete": true,
    });
    assert_eq!(second, nothing);
}

#[tokio::test]
async fn a_run_that_ends_after_any_step_is_gone_on_with_and_nothing_is_lost_or_doubled() {
    let ops = Ops::start().await;
    // After a file was kept: there is no place for its checkpoint.
    fs::create_dir_all(&ops.folder).unwrap();
    fs::write(ops.folder.join("checkpoints"), "").unwrap();
    assert!(ops.retain(SMALL).await.unwrap_err().contains("cannot be written"));
    assert_eq!((ops.exports(ACME).len(), ops.number("SELECT count(*) FROM audit_anchors").await), (1, 0));
    fs::remove_file(ops.folder.join("checkpoints")).unwrap();
    // After the checkpoint: the third of ACME's anchors is refused.
    ops.sql("ALTER TABLE audit_anchors ADD CONSTRAINT no_further CHECK (seq <> 25)").await;
    let stopped = ops.retain(SMALL).await.unwrap();
    assert_eq!((&stopped["failed"], &stopped["dropped"], &stopped["complete"]), (&json!(1), &json!(0), &json!(false)));
    assert_eq!(ops.number("SELECT max(seq) FROM audit_anchors").await, 20);
    ops.sql("ALTER TABLE audit_anchors DROP CONSTRAINT no_further").await;
    // After the last anchor: somebody reads, and the month cannot be dropped.
    let mut reader = ops.superuser().await;
    raw_sql("BEGIN; LOCK TABLE ONLY audit_events IN ACCESS SHARE MODE").execute(&mut reader).await.unwrap();
    assert!(ops.retain(SMALL).await.unwrap_err().contains("cannot be dropped"));
    let lost = "SELECT count(*) FROM audit_events";
    assert_eq!((ops.number(lost).await, ops.number("SELECT max(seq) FROM audit_anchors").await), (49, 25));
    raw_sql("ROLLBACK").execute(&mut reader).await.unwrap();
    // After the time: nothing is begun.
    let late = ops.retain(Limits { time: Duration::ZERO, ..SMALL }).await.unwrap();
    assert_eq!((&late["dropped"], &late["complete"]), (&json!(0), &json!(false)));
    assert_eq!(ops.retain(SMALL).await.unwrap()["complete"], true);
    ops.all_is_exported_and_gone().await;
}

#[tokio::test]
async fn in_s3_a_file_is_locked_and_written_once() {
    let ops = Ops::start().await;
    let bucket = bucket::create();
    let settings = [
        ("AUDIT_SIGNING_KMS_KEY_ID", ops.key.id()),
        ("AUDIT_CHECKPOINT_FOLDER", ""),
        ("AUDIT_CHECKPOINT_BUCKET", &bucket),
    ];
    let file = |first: i64, last: i64| format!("/{bucket}/exports/{ACME}/{first:020}-{last:020}.ndjson");
    let whole = ops.chain(ACME).await;
    // Its file and checkpoint are kept; its anchor is refused.
    ops.sql("ALTER TABLE audit_anchors ADD CONSTRAINT no_further CHECK (seq <> 10)").await;
    assert_eq!(ops.retain_with(SMALL, &settings).await.unwrap()["failed"], 1);
    let (head, first) = bucket::call("GET", &file(1, 10), &[], "");
    assert!(head.contains("COMPLIANCE"), "{head}");
    ops.sql("ALTER TABLE audit_anchors DROP CONSTRAINT no_further").await;
    assert_eq!(ops.retain_with(SMALL, &settings).await.unwrap()["complete"], true);
    let files = [(1, 10), (11, 20), (21, 25), (26, 35), (36, 37)];
    let kept = files.map(|(first, last)| bucket::call("GET", &file(first, last), &[], "").1);
    assert_eq!(kept[0], first);
    assert!(whole.starts_with(kept.concat().as_bytes()));
    assert_eq!(kept.concat().lines().count(), 37);
    assert_eq!(ops.number("SELECT count(*) FROM audit_events").await, 7, "of ACME");
}

#[tokio::test]
async fn l1_a_file_that_says_something_else_is_not_written_over_and_its_month_stays() {
    let ops = Ops::start().await;
    let name = ops.folder.join("exports").join(ACME).join(format!("{:020}-{:020}.ndjson", 1, 10));
    fs::create_dir_all(name.parent().unwrap()).unwrap();
    fs::write(&name, "{}\n").unwrap();
    assert!(ops.retain(SMALL).await.unwrap_err().contains("says something else"));
    assert_eq!(fs::read(&name).unwrap(), b"{}\n");
    let left = "SELECT (SELECT count(*) FROM audit_events) + (SELECT count(*) FROM audit_anchors)";
    assert_eq!(ops.number(left).await, 49);
}

#[tokio::test]
async fn l1_a_chain_that_was_made_anew_after_it_was_signed_is_neither_anchored_nor_dropped() {
    let ops = Ops::start().await;
    let kept = ops.folder.join("checkpoints").join(BETA).join(format!("{:020}.json", 3));
    fs::create_dir_all(kept.parent().unwrap()).unwrap();
    let checkpoint =
        Checkpoint { tenant_id: BETA.to_owned(), seq: 3, hash: [7; 32], time_micros: 0, kid: "before".to_owned() };
    fs::write(&kept, SignedCheckpoint { checkpoint, signature: vec![0; 64] }.to_json().unwrap()).unwrap();
    let done = ops.retain(SMALL).await.unwrap();
    assert_eq!((&done["broken"], &done["dropped"]), (&json!(1), &json!(0)));
    assert_eq!(ops.number(&format!("SELECT count(*) FROM audit_anchors WHERE tenant_id = '{BETA}'")).await, 0);
}

#[tokio::test]
async fn l1_a_month_with_a_broken_chain_stays_and_so_do_those_after_it() {
    let ops = Ops::start().await;
    ops.sql(&format!("UPDATE audit_events SET action = 'x' WHERE tenant_id = '{BETA}' AND seq = 2")).await;
    let done = ops.retain(SMALL).await.unwrap();
    assert_eq!((&done["broken"], &done["dropped"], &done["complete"]), (&json!(1), &json!(0), &json!(false)));
    assert_eq!((ops.exports(BETA).len(), ops.exports(ACME).len()), (0, 3), "nobody waits for BETA in its month");
    assert!(take_log().iter().any(|line| line["audit_retention_broken"] == 1));
    assert_eq!(ops.number("SELECT count(*) FROM audit_events").await, 49);
}

#[tokio::test]
async fn where_nothing_is_exported_the_months_are_made_and_none_is_dropped() {
    let ops = Ops::start().await;
    let refused = ops.retain_with(SMALL, &[]).await.unwrap_err();
    assert!(refused.contains("AUDIT_SIGNING_KMS_KEY_ID is not set"), "{refused}");
    assert_eq!(ops.number("SELECT count(*) FROM audit_events").await, 49);
    assert_eq!(ops.number("SELECT count(*) FROM audit_events_default").await, 0);
    // Twenty years: none is past them.
    let kept = ops.retain_with(SMALL, &[("AUDIT_RETENTION_MONTHS", "240")]).await.unwrap();
    assert_eq!((&kept["complete"], &kept["made"]), (&json!(true), &json!(0)));
}

#[tokio::test]
async fn t5_the_database_itself_drops_no_month_that_is_not_exported_or_not_over() {
    let ops = Ops::start().await;
    let mut maintenance = ops.maintenance().await;
    maintenance.make_audit_partitions(3).await.unwrap();
    let months = maintenance.audit_partitions().await.unwrap();
    assert_eq!(months.len(), 7);
    for month in [&months[0], &months[3]] {
        assert!(ops.maintenance().await.drop_audit_partition(month).await.is_err(), "{month:?}");
    }
    let other = AuditPartition { name: "audit_events_default".to_owned(), ..months[0].clone() };
    assert!(ops.maintenance().await.drop_audit_partition(&other).await.is_err());
    assert_eq!(ops.number("SELECT count(*) FROM audit_events").await, 49);
    let open = "SELECT count(*) FROM pg_class WHERE starts_with(relname, 'audit_') AND relkind IN ('r', 'p')
                   AND NOT (relrowsecurity AND relforcerowsecurity)";
    assert_eq!(ops.number(open).await, 0, "policies bind the owner as before");
}

#[tokio::test]
async fn l3_what_is_recorded_in_a_month_that_nobody_made_is_there_and_moves_when_it_is_made() {
    let ops = Ops::start().await;
    ops.sql(
        "DO $$ DECLARE m record; BEGIN FOR m IN SELECT * FROM app.audit_partitions() WHERE ends_at > now() LOOP
                 EXECUTE format('ALTER TABLE audit_events DETACH PARTITION %I; DROP TABLE %1$I', m.name);
             END LOOP; END $$",
    )
    .await;
    ops.sql(&format!("SELECT record('{ACME}', 0, 1)")).await;
    let append = "BEGIN; SELECT app.audit_append('todos.create', 'success', NULL, NULL, NULL, NULL, NULL, NULL)
                    FROM app.enter_tenant('00000000-0000-7000-8000-00000000000b'); COMMIT";
    ops.sql(append).await;
    let made = ops.maintenance().await.make_audit_partitions(3).await.unwrap();
    assert_eq!((made.moved, made.left_over), (48, 0));
    assert_eq!(ops.number("SELECT count(*) FROM audit_events_default").await, 0);
    ops.sql(append).await;
    assert_eq!(
        ops.maintenance().await.make_audit_partitions(3).await.unwrap(),
        MadePartitions { made: 0, moved: 0, left_over: 0, oldest_left: None }
    );
}
