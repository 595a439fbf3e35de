use std::{fs, path::Path, sync::Arc};

use audit_verify::{Anchors, Checkpoint, Found, Keys, verify};
use shared::{
    clock::SystemClock,
    config::from_lookup,
    testing::{EmulatedKey, RUNTIME_PASSWORD, TestDatabase, TestSecrets, take_log},
};
use sqlx::{AssertSqlSafe, raw_sql};

use super::*;

const ACME: &str = "00000000-0000-7000-8000-00000000000a";
const BETA: &str = "00000000-0000-7000-8000-00000000000b";

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
    async fn start() -> Self {
        take_log();
        let database = TestDatabase::create().await.with_maintainer().await;
        let folder = std::env::temp_dir().join(format!("checkpoints-{}", database.address().2));
        let ops = Self { database, key: EmulatedKey::create("ECC_NIST_P256").await, folder };
        for (tenant, slug) in [(ACME, "acme"), (BETA, "beta")] {
            ops.sql(&format!("INSERT INTO tenants (id, slug, name) VALUES ('{tenant}', '{slug}', '{slug}')")).await;
        }
        ops
    }

    async fn sql(&self, sql: &str) {
        raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.database.superuser().await).await.unwrap();
    }

    async fn record(&self, tenant: &str, count: u32) {
        let sql = format!(
            "BEGIN; SELECT app.enter_tenant('{tenant}');
             SELECT app.audit_append('todo.created', 'success', NULL, '{tenant}', NULL, NULL, '203.0.113.7', n::text)
               FROM generate_series(1, {count}) AS n; COMMIT"
        );
        self.sql(&sql).await;
    }

    async fn checkpoint(&self) -> Result<Value, String> {
        self.checkpoint_with(self.key.id()).await
    }

    async fn checkpoint_with(&self, kms_key_id: &str) -> Result<Value, String> {
        let (host, port, name) = self.database.address();
        let secrets = TestSecrets::default();
        let login = json!({ "username": self.database.maintainer(), "password": RUNTIME_PASSWORD });
        secrets.set("owner", login.to_string());
        let settings = [
            ("DATABASE_HOST", host),
            ("DATABASE_PORT", port.to_string()),
            ("DATABASE_NAME", name),
            ("DATABASE_TLS", "disable".to_owned()),
            ("DATABASE_SECRET_ID", "runtime".to_owned()),
            ("DATABASE_OWNER_SECRET_ID", "owner".to_owned()),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1".to_owned()),
            ("AUDIT_CHECKPOINT_KMS_KEY_ID", kms_key_id.to_owned()),
            ("AUDIT_CHECKPOINT_FOLDER", self.folder.display().to_string()),
        ];
        let lookup = |name: &str| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        let start = Start::on_lambda(from_lookup(&lookup).unwrap()).with(Arc::new(SystemClock), Arc::new(secrets));
        audit_checkpoint(&start, from_lookup(&lookup).unwrap(), TIME).await
    }

    fn keys(&self) -> Keys {
        Keys::of_jwks(&fs::read(self.folder.join("jwks.json")).unwrap()).unwrap()
    }

    fn checkpoints(&self, tenant: &str) -> Vec<Checkpoint> {
        let Ok(entries) = fs::read_dir(self.folder.join("checkpoints").join(tenant)) else { return Vec::new() };
        let read = |path: &Path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let mut all: Vec<Checkpoint> = entries.map(|entry| read(&entry.unwrap().path())).collect();
        all.sort_by_key(|checkpoint| checkpoint.seq);
        all
    }

    fn seqs(&self, tenant: &str) -> Vec<u64> {
        self.checkpoints(tenant).iter().map(|checkpoint| checkpoint.seq).collect()
    }

    /// ACME's export, as Postgres has the records.
    async fn export(&self) -> String {
        let sql = r#"SELECT coalesce(string_agg(format('{"version":%s,"tenant_id":"%s","seq":%s,"at":"%s","action":%s,"outcome":"%s","reason":null,"actor_id":"%s","session_id":null,"object_id":null,"source_address":"%s","request_id":"%s","details":%s,"prev_hash":"%s","hash":"%s"}',
                coalesce(to_jsonb(e) ->> 'version', '1'), tenant_id, seq, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), to_json(action), outcome,
                actor_id, source_address, request_id, coalesce(to_jsonb(e) ->> 'details', 'null'), encode(prev_hash, 'hex'), encode(hash, 'hex')) || E'\n', '' ORDER BY seq), '')
            FROM audit_events e WHERE tenant_id = '00000000-0000-7000-8000-00000000000a'"#;
        sqlx::query_scalar(sql).fetch_one(&mut self.database.superuser().await).await.unwrap()
    }

    async fn found(&self) -> Found {
        let anchors = Anchors::of(ACME, &self.checkpoints(ACME), &self.keys()).unwrap();
        let export = self.export().await;
        verify(&mut export.as_bytes(), &mut Chain::new(ACME), &anchors, None, &mut |_| {}).unwrap()
    }
}

#[tokio::test]
async fn l1_a_chain_of_postgres_signed_by_kms_is_proven_offline() {
    let ops = Ops::start().await;
    ops.record(ACME, 2_500).await;
    let first = ops.checkpoint().await.unwrap();
    assert_eq!(
        first,
        json!({ "tenants": 3, "signed": 1, "records": 2_500, "broken": 0, "failed": 0, "complete": true })
    );
    assert_eq!((ops.seqs(ACME), ops.seqs(BETA)), (vec![2_500], vec![]));
    assert_eq!(ops.found().await, Found::Intact { anchored: 2_500 });
    let unchanged = ops.checkpoint().await.unwrap();
    assert_eq!((&unchanged["signed"], &unchanged["records"]), (&json!(0), &json!(0)));
    ops.record(ACME, 1).await;
    ops.record(BETA, 2).await;
    let second = ops.checkpoint().await.unwrap();
    assert_eq!((&second["signed"], &second["records"]), (&json!(2), &json!(3)));
    assert_eq!((ops.seqs(ACME), ops.seqs(BETA)), (vec![2_500, 2_501], vec![2]));
    assert_eq!(ops.found().await, Found::Intact { anchored: 2_501 });
    let other = EmulatedKey::create("ECC_NIST_P256").await.public_jwk().await;
    let wrong = Keys::of_jwks(json!({ "keys": [other] }).to_string().as_bytes()).unwrap();
    assert!(Anchors::of(ACME, &ops.checkpoints(ACME), &wrong).is_err(), "another key proves nothing");
}

#[tokio::test]
async fn l1_what_is_tampered_with_is_not_signed_and_is_named() {
    let cut = "DELETE FROM audit_events WHERE tenant_id = '{}' AND seq > 8;
               UPDATE audit_heads SET seq = 8, hash = (SELECT hash FROM audit_events e WHERE e.tenant_id = '{}' AND e.seq = 8)
                WHERE tenant_id = '{}'";
    for (tampering, named) in [
        ("UPDATE audit_events SET action = 'todo.deleted' WHERE tenant_id = '{}' AND seq = 12", 12),
        ("DELETE FROM audit_events WHERE tenant_id = '{}' AND seq = 15", 15),
        ("UPDATE audit_heads SET hash = sha256('') WHERE tenant_id = '{}'", 0),
        (cut, 9),
    ] {
        let ops = Ops::start().await;
        ops.record(ACME, 10).await;
        ops.checkpoint().await.unwrap();
        ops.record(ACME, 10).await;
        ops.record(BETA, 1).await;
        ops.sql(&tampering.replace("{}", ACME)).await;
        take_log();
        let done = ops.checkpoint().await.unwrap();
        assert_eq!((&done["broken"], &done["complete"]), (&json!(1), &json!(false)), "{tampering}");
        assert_eq!((ops.seqs(ACME), ops.seqs(BETA)), (vec![10], vec![1]), "{tampering}");
        let log = take_log();
        assert!(log.iter().any(|line| line["audit_checkpoint_broken"] == 1), "{log:?}");
        if named > 0 {
            assert!(matches!(ops.found().await, Found::Bad { seq, .. } if seq == named), "{tampering}");
        }
    }
}

#[tokio::test]
async fn a_key_that_follows_another_leaves_its_checkpoints_provable() {
    let ops = Ops::start().await;
    ops.record(ACME, 3).await;
    ops.checkpoint().await.unwrap();
    let next = EmulatedKey::create("ECC_NIST_P256").await;
    ops.record(ACME, 3).await;
    ops.checkpoint_with(next.id()).await.unwrap();
    let [old, new] = ops.checkpoints(ACME).try_into().unwrap();
    assert_ne!(old.kid, new.kid);
    assert_eq!(ops.found().await, Found::Intact { anchored: 6 });
}

#[tokio::test]
async fn without_its_key_nothing_is_signed_and_the_next_run_catches_up() {
    let ops = Ops::start().await;
    ops.record(ACME, 3).await;
    take_log();
    assert!(ops.checkpoint_with("alias/there-is-none").await.is_err());
    assert_eq!(ops.seqs(ACME), Vec::<u64>::new());
    assert!(take_log().iter().any(|line| line["audit_checkpoint_failed"] == 1));
    assert_eq!(ops.checkpoint().await.unwrap()["signed"], 1);
}
