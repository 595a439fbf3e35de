pub(crate) mod bucket;

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc};

use audit_verify::{Keys, SignedCheckpoint};
use shared::{
    clock::{Clock, SystemClock},
    config::from_lookup,
    testing::{EmulatedKey, RUNTIME_PASSWORD, TestDatabase, TestSecrets, setting, take_log},
};
use sqlx::{AssertSqlSafe, PgConnection, raw_sql};

use super::*;

const ONE: Uuid = Uuid::from_u128(1);
const TWO: Uuid = Uuid::from_u128(2);

/// The function over two tenants, with a key in KMS and a place for checkpoints.
struct Ops {
    database: TestDatabase,
    key: EmulatedKey,
    place: (&'static str, String),
    kms: String,
}

impl Ops {
    async fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("tenantry-{}", SystemClock.new_id().simple()));
        Self::start_at(("AUDIT_CHECKPOINT_FOLDER", folder.to_str().unwrap().to_owned())).await
    }

    async fn start_at(place: (&'static str, String)) -> Self {
        telemetry::init(tracing::Level::INFO);
        take_log();
        let database = TestDatabase::create().await.with_maintainer().await;
        let key = EmulatedKey::create("ECC_NIST_P256").await;
        let ops = Self { database, kms: key.id().to_owned(), key, place };
        ops.sql(
            "INSERT INTO tenants (id, slug, name)
             SELECT lpad(n::text, 32, '0')::uuid, 't-' || n, 'A tenant' FROM generate_series(1, 2) AS n",
        )
        .await;
        ops
    }

    async fn superuser(&self) -> PgConnection {
        self.database.superuser().await
    }

    /// As a superuser whom nothing binds.
    async fn sql(&self, sql: &str) {
        raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.superuser().await).await.unwrap();
    }

    async fn append(&self, tenant: Uuid, records: i32) {
        let sql =
            "SELECT app.audit_append('auth.login', 'success', NULL, $1, NULL, NULL, '203.0.113.7', 'trace-' || n, NULL)
                     FROM app.enter_tenant($1), generate_series(1, $2) AS n";
        sqlx::query(sql).bind(tenant).bind(records).execute(&mut self.superuser().await).await.unwrap();
    }

    async fn run(&self) -> Result<Value, String> {
        self.run_in(Limits::USUAL).await
    }

    async fn run_in(&self, limits: Limits) -> Result<Value, String> {
        let (host, port, name) = self.database.address();
        let secrets = TestSecrets::default();
        secrets
            .set("owner", json!({ "username": self.database.maintainer(), "password": RUNTIME_PASSWORD }).to_string());
        let settings = [
            ("DATABASE_HOST", host),
            ("DATABASE_PORT", port.to_string()),
            ("DATABASE_NAME", name),
            ("DATABASE_TLS", "disable".to_owned()),
            ("DATABASE_SECRET_ID", "runtime".to_owned()),
            ("DATABASE_OWNER_SECRET_ID", "owner".to_owned()),
            ("AUDIT_SIGNING_KMS_KEY_ID", self.kms.clone()),
            self.place.clone(),
            ("AWS_ENDPOINT_URL", setting("AWS_ENDPOINT_URL")),
        ];
        let lookup = |name: &str| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        let start = Start::on_lambda(from_lookup(&lookup).unwrap()).with(Arc::new(SystemClock), Arc::new(secrets));
        audit_checkpoint(&start, from_lookup(&lookup).unwrap(), limits).await
    }

    fn folder(&self) -> PathBuf {
        PathBuf::from(&self.place.1)
    }

    /// The checkpoints that are kept of a tenant, by seq, each well signed.
    fn kept(&self, tenant: Uuid) -> BTreeMap<i64, SignedCheckpoint> {
        let mut keys = Keys::default();
        for file in fs::read_dir(self.folder().join("keys")).unwrap() {
            keys.add_set(&fs::read(file.unwrap().path()).unwrap()).unwrap();
        }
        let Ok(files) = fs::read_dir(self.folder().join("checkpoints").join(tenant.to_string())) else {
            return BTreeMap::new();
        };
        let read = files.map(|file| SignedCheckpoint::read(&fs::read(file.unwrap().path()).unwrap()).unwrap());
        let by_seq = read.map(|signed| (signed.checkpoint.seq, signed)).collect::<BTreeMap<_, _>>();
        assert!(by_seq.values().all(|signed| keys.check(signed) == Some(true)));
        by_seq
    }

    fn seqs(&self, tenant: Uuid) -> Vec<i64> {
        self.kept(tenant).into_keys().collect()
    }

    async fn noted(&self, tenant: Uuid) -> Vec<i64> {
        let sql = "SELECT seq FROM audit_checkpoints WHERE tenant_id = $1 ORDER BY seq";
        sqlx::query_scalar(sql).bind(tenant).fetch_all(&mut self.superuser().await).await.unwrap()
    }
}

impl Drop for Ops {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.folder());
    }
}

fn counted(name: &str) -> u64 {
    let log = take_log();
    log.iter().find_map(|line| line[name].as_u64()).unwrap_or_else(|| panic!("{name} in {log:?}"))
}

fn done(signed: u64, unmoved: u64, broken: u64) -> Value {
    json!({ "signed": signed, "unmoved": unmoved, "broken": broken, "failed": 0, "complete": true })
}

#[tokio::test]
async fn each_chain_that_grew_is_signed_and_no_other() {
    let ops = Ops::start().await;
    ops.append(ONE, 1_003).await;
    ops.append(Uuid::nil(), 2).await;
    assert_eq!(ops.run().await.unwrap(), done(2, 1, 0));
    assert_eq!((ops.seqs(ONE), ops.seqs(TWO), ops.seqs(Uuid::nil())), (vec![1_003], vec![], vec![2]));
    assert_eq!(ops.noted(ONE).await, [1_003]);
    assert_eq!(counted("audit_checkpoints_signed"), 2);
    assert_eq!(ops.run().await.unwrap(), done(0, 3, 0));
    ops.append(ONE, 1).await;
    ops.append(TWO, 5).await;
    assert_eq!(ops.run().await.unwrap(), done(2, 1, 0));
    assert_eq!((ops.seqs(ONE), ops.seqs(TWO)), (vec![1_003, 1_004], vec![5]));
    let head: Vec<u8> = sqlx::query_scalar("SELECT hash FROM audit_heads WHERE tenant_id = $1")
        .bind(ONE)
        .fetch_one(&mut ops.superuser().await)
        .await
        .unwrap();
    assert_eq!(ops.kept(ONE)[&1_004].checkpoint.hash[..], head);
}

#[tokio::test]
async fn a_long_chain_is_signed_in_parts_by_turns_with_others() {
    let ops = Ops::start().await;
    ops.append(ONE, 25).await;
    ops.append(TWO, 5).await;
    let few = Limits { records: 10, ..Limits::USUAL };
    assert_eq!(ops.run_in(few).await.unwrap(), done(4, 1, 0));
    assert_eq!((ops.seqs(ONE), ops.seqs(TWO)), (vec![10, 20, 25], vec![5]));
    let no_time = Limits { time: Duration::ZERO, ..few };
    ops.append(ONE, 1).await;
    let left = ops.run_in(no_time).await.unwrap();
    assert_eq!((&left["signed"], &left["complete"]), (&json!(0), &json!(false)));
    assert_eq!(counted("audit_checkpoint_incomplete"), 0, "the first run's line");
}

#[tokio::test]
async fn l1_a_chain_that_is_not_what_was_recorded_is_not_signed() {
    for (name, sql, bad_seq) in [
        ("an edit", "UPDATE audit_events SET action = 'x' WHERE seq = 8 AND tenant_id = '$1'", 8),
        ("a deletion", "DELETE FROM audit_events WHERE seq = 8 AND tenant_id = '$1'", 8),
        ("a tail cut off", "DELETE FROM audit_events WHERE seq > 8 AND tenant_id = '$1'", 9),
        (
            "a tail cut off before the checkpoint, and the head set back",
            "DELETE FROM audit_events WHERE seq > 3 AND tenant_id = '$1';
             UPDATE audit_heads h SET seq = 3, hash = e.hash FROM audit_events e
              WHERE e.seq = 3 AND e.tenant_id = '$1' AND h.tenant_id = '$1'",
            4,
        ),
        ("a head made anew", "UPDATE audit_heads SET hash = sha256('x') WHERE tenant_id = '$1'", 10),
        ("a head deleted", "DELETE FROM audit_heads WHERE tenant_id = '$1'", 1),
    ] {
        let ops = Ops::start().await;
        ops.append(ONE, 5).await;
        assert_eq!(ops.run().await.unwrap(), done(1, 2, 0));
        ops.append(ONE, 5).await;
        ops.append(TWO, 1).await;
        ops.sql(&sql.replace("$1", &ONE.to_string())).await;
        take_log();
        assert_eq!(ops.run().await.unwrap(), done(1, 1, 1), "{name}");
        let log = take_log();
        let said = log.iter().find(|line| line["level"] == "ERROR").unwrap();
        assert!(said.to_string().contains(&format!(r#""bad_seq":{bad_seq}"#)), "{name}: {said}");
        assert!(log.iter().any(|line| line["audit_chain_broken"] == 1), "{name}: {log:?}");
        assert_eq!((ops.seqs(ONE), ops.seqs(TWO)), (vec![5], vec![1]), "{name}");
    }
}

#[tokio::test]
async fn l1_what_is_kept_outweighs_what_the_database_remembers() {
    let ops = Ops::start().await;
    ops.append(ONE, 5).await;
    assert_eq!(ops.run().await.unwrap(), done(1, 2, 0));
    // The note was lost: what is kept is noted again, and not signed twice.
    ops.sql("DELETE FROM audit_checkpoints").await;
    let before = ops.kept(ONE);
    assert_eq!(ops.run().await.unwrap(), done(0, 2, 0));
    assert_eq!((ops.kept(ONE), ops.noted(ONE).await), (before.clone(), vec![5]));
    // The whole chain was made anew, and everything that the database knew of the old one.
    ops.sql("DELETE FROM audit_checkpoints; DELETE FROM audit_events; DELETE FROM audit_heads").await;
    ops.append(ONE, 5).await;
    assert_eq!(ops.run().await.unwrap(), done(0, 2, 1));
    assert_eq!((ops.kept(ONE), ops.noted(ONE).await), (before, vec![]));
}

#[tokio::test]
async fn another_key_signs_from_its_switch_on_and_the_old_ones_public_part_stays() {
    let mut ops = Ops::start().await;
    ops.append(ONE, 1).await;
    ops.run().await.unwrap();
    let other = EmulatedKey::create("ECC_NIST_P256").await;
    ops.kms = other.id().to_owned();
    ops.append(ONE, 1).await;
    ops.run().await.unwrap();
    let kids: Vec<_> = ops.kept(ONE).into_values().map(|signed| signed.checkpoint.kid).collect();
    assert_eq!(json!(kids), json!([ops.key.public_jwk().await["kid"], other.public_jwk().await["kid"]]));
}

#[tokio::test]
async fn what_kms_or_the_place_refuses_is_left_for_the_next_run() {
    let mut ops = Ops::start().await;
    ops.append(ONE, 1).await;
    let real = std::mem::replace(&mut ops.kms, "alias/there-is-none".to_owned());
    let refused = ops.run().await.unwrap_err();
    assert!(refused.starts_with("nothing more was signed: KMS did not give the key"), "{refused}");
    assert_eq!(counted("audit_checkpoint_kms_unavailable"), 1);
    ops.kms = EmulatedKey::create("SYMMETRIC_DEFAULT").await.id().to_owned();
    assert!(ops.run().await.is_err());
    take_log();
    ops.kms = real;
    fs::write(ops.folder(), "no folder").unwrap();
    let refused = ops.run().await.unwrap_err();
    assert!(refused.starts_with("no more checkpoints can be kept"), "{refused}");
    assert_eq!(counted("audit_checkpoint_store_unavailable"), 1);
    assert_eq!(ops.noted(ONE).await, [0_i64; 0]);
    fs::remove_file(ops.folder()).unwrap();
    assert_eq!(ops.run().await.unwrap(), done(1, 2, 0));
}

#[tokio::test]
async fn in_s3_a_checkpoint_is_locked_and_written_once() {
    let bucket = bucket::create();
    let ops = Ops::start_at(("AUDIT_CHECKPOINT_BUCKET", bucket.clone())).await;
    ops.append(ONE, 7).await;
    assert_eq!(ops.run().await.unwrap(), done(1, 2, 0));
    let name = format!("/{bucket}/checkpoints/{ONE}/00000000000000000007.json");
    let (head, body) = bucket::call("GET", &name, &[], "");
    assert!(head.contains("COMPLIANCE"), "{head}");
    let signed = SignedCheckpoint::read(body.as_bytes()).unwrap();
    let (_, set) = bucket::call("GET", &format!("/{bucket}/keys/{}.json", signed.checkpoint.kid), &[], "");
    let mut keys = Keys::default();
    keys.add_set(set.as_bytes()).unwrap();
    assert_eq!(keys.check(&signed), Some(true));
    ops.sql("DELETE FROM audit_checkpoints").await;
    assert_eq!(ops.run().await.unwrap(), done(0, 2, 0));
    assert_eq!(bucket::call("GET", &name, &[], "").1, body);
    ops.sql("DELETE FROM audit_checkpoints; DELETE FROM audit_events; DELETE FROM audit_heads").await;
    ops.append(ONE, 7).await;
    assert_eq!(ops.run().await.unwrap(), done(0, 2, 1), "another chain");
}
