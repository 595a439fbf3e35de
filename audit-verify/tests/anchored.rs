//! L1 from end to end: a chain in Postgres, signed by KMS, taken out by the
//! handler, and the program that anyone runs.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use serde_json::{Value, json};
use shared::{
    App,
    clock::{Clock, SystemClock},
    config::from_lookup,
    start::Start,
    testing::{EmulatedKey, Event, Member, RUNTIME_PASSWORD, TestApp, TestDatabase, TestKeys, TestSecrets, setting},
};
use sqlx::{AssertSqlSafe, raw_sql};

struct Stack {
    audit: TestApp<App>,
    ada: Member,
    key: EmulatedKey,
    folder: PathBuf,
}

impl Stack {
    /// With 12 records, of which 8 were signed.
    async fn start() -> Self {
        let database = Arc::new(TestDatabase::create().await.with_maintainer().await);
        let keys = TestKeys::generate("test-key").into();
        let audit = TestApp::start_with(audit::routes(), database, keys, &[]).await;
        let ada = audit.tenant("acme").await;
        let folder = std::env::temp_dir().join(format!("tenantry-{}", SystemClock.new_id().simple()));
        let stack = Self { audit, ada, key: EmulatedKey::create("ECC_NIST_P256").await, folder };
        for records in [5, 3] {
            stack.append(records).await;
            assert_eq!(stack.checkpoint(&stack.key, "kept").await["signed"], 1);
        }
        stack.append(4).await;
        stack
    }

    async fn append(&self, records: i32) {
        let sql = "SELECT app.audit_append('todos.update', 'success', NULL, $1, NULL, $1, '203.0.113.7', 'trace-' || n,
                                           '{\"fields\": [\"title\"]}')
                     FROM app.enter_tenant($1), generate_series(1, $2) AS n";
        let query = sqlx::query(sql).bind(self.ada.tenant).bind(records);
        query.execute(&mut self.audit.superuser().await).await.unwrap();
    }

    async fn checkpoint(&self, key: &EmulatedKey, folder: &str) -> Value {
        let (host, port, name) = self.audit.database.address();
        let secrets = TestSecrets::default();
        let login = json!({ "username": self.audit.database.maintainer(), "password": RUNTIME_PASSWORD });
        secrets.set("owner", login.to_string());
        let settings = [
            ("DATABASE_HOST", host),
            ("DATABASE_PORT", port.to_string()),
            ("DATABASE_NAME", name),
            ("DATABASE_TLS", "disable".to_owned()),
            ("DATABASE_SECRET_ID", "runtime".to_owned()),
            ("DATABASE_OWNER_SECRET_ID", "owner".to_owned()),
            ("AUDIT_SIGNING_KMS_KEY_ID", key.id().to_owned()),
            ("AUDIT_CHECKPOINT_FOLDER", self.folder.join(folder).to_str().unwrap().to_owned()),
            ("AWS_ENDPOINT_URL", setting("AWS_ENDPOINT_URL")),
        ];
        let lookup = |name: &str| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        let start = Start::on_lambda(from_lookup(&lookup).unwrap());
        let start = start.with(Arc::new(SystemClock), Arc::new(secrets));
        ops::run(ops::Action::AuditCheckpoint {}, &start, from_lookup(&lookup).unwrap()).await.unwrap()
    }

    /// As a superuser whom nothing binds.
    async fn change(&self, sql: &str) {
        let sql = sql.replace("$1", &format!("'{}'", self.ada.tenant));
        raw_sql(AssertSqlSafe(sql)).execute(&mut self.audit.superuser().await).await.unwrap();
    }

    async fn export(&self, name: &str) -> PathBuf {
        let answer = self.audit.send(Event::get("/api/v1/audit/export").bearer(&self.ada.token)).await;
        assert_eq!(answer.status, 200, "{:?}", answer.log);
        let path = self.folder.join(name);
        fs::write(&path, &answer.bytes).unwrap();
        path
    }

    /// The exit code, and what was said.
    fn verify(&self, export: &Path, arguments: &[&str]) -> (Option<i32>, Value) {
        let kept = self.folder.join("kept");
        Self::verify_by(
            &kept.join("checkpoints").join(self.ada.tenant.to_string()),
            &kept.join("keys"),
            export,
            arguments,
        )
    }

    fn verify_by(checkpoints: &Path, keys: &Path, export: &Path, rest: &[&str]) -> (Option<i32>, Value) {
        let program = Command::new(env!("CARGO_BIN_EXE_audit-verify"))
            .arg("--checkpoints")
            .arg(checkpoints)
            .arg("--keys")
            .arg(keys)
            .arg(export)
            .arg("--json")
            .args(rest)
            .env_clear()
            .output()
            .unwrap();
        let said = serde_json::from_slice(&program.stdout);
        (program.status.code(), said.unwrap_or_else(|_| panic!("{program:?}")))
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn l1_what_was_recorded_is_proven_by_checkpoints_and_public_keys_alone() {
    let stack = Box::pin(Stack::start()).await;
    let export = stack.export("export").await;
    let (code, said) = stack.verify(&export, &["--allow-unanchored", "4"]);
    assert_eq!((code, &said["outcome"], &said["checked"]), (Some(0), &json!("proven"), &json!(12)), "{said}");
    assert_eq!((&said["proven"]["seq"], &said["unanchored"]), (&json!(8), &json!(4)));
    assert_eq!(said["tenant_id"], json!(stack.ada.tenant));
    let (code, said) = stack.verify(&export, &[]);
    assert_eq!((code, &said["outcome"]), (Some(3), &json!("unproven")));
    assert_eq!(stack.checkpoint(&stack.key, "kept").await["signed"], 1);
    let (code, said) = stack.verify(&stack.export("later").await, &["--allow-unanchored", "1"]);
    assert_eq!((code, &said["proven"]["seq"]), (Some(0), &json!(13)), "with the record of the first export");
    let (code, said) = stack.verify(&export, &["--to-seq", "8"]);
    assert_eq!((code, &said["checked"]), (Some(0), &json!(8)));
}

#[tokio::test]
async fn l1_what_a_superuser_made_anew_is_consistent_and_refused_all_the_same() {
    let stack = Box::pin(Stack::start()).await;
    let rechain = "DO $$
        DECLARE r record; prev bytea;
        BEGIN
            FOR r IN SELECT * FROM audit_events WHERE tenant_id = $1 ORDER BY seq LOOP
                prev := coalesce(prev, r.prev_hash);
                UPDATE audit_events SET prev_hash = prev, hash = app.audit_hash(version, prev, tenant_id, seq, at, action,
                       outcome, reason, actor_id, session_id, object_id, source_address, request_id, details)
                 WHERE tenant_id = $1 AND seq = r.seq RETURNING hash INTO prev;
            END LOOP;
            UPDATE audit_heads SET hash = prev WHERE tenant_id = $1;
        END $$";
    stack
        .change(&format!("UPDATE audit_events SET object_id = NULL WHERE seq = 7 AND tenant_id = $1; {rechain}"))
        .await;
    let answer = stack.audit.send(Event::get("/api/v1/audit/verify").bearer(&stack.ada.token)).await;
    assert_eq!(answer.json()["valid"], true, "the database says so");
    let (code, said) = stack.verify(&stack.export("anew").await, &["--allow-unanchored", "99"]);
    assert_eq!((code, &said["first_bad_seq"], &said["proven"]["seq"]), (Some(1), &json!(8), &json!(5)), "{said}");
}

#[tokio::test]
async fn l1_a_tail_that_was_cut_off_with_the_head_set_back_is_refused() {
    let stack = Box::pin(Stack::start()).await;
    stack
        .change(
            "DELETE FROM audit_events WHERE seq > 6 AND tenant_id = $1; DELETE FROM audit_checkpoints WHERE seq > 6;
             UPDATE audit_heads h SET seq = 6, hash = e.hash FROM audit_events e
              WHERE e.seq = 6 AND e.tenant_id = $1 AND h.tenant_id = $1",
        )
        .await;
    let answer = stack.audit.send(Event::get("/api/v1/audit/verify").bearer(&stack.ada.token)).await;
    assert_eq!(answer.json()["valid"], true, "the database says so");
    let (code, said) = stack.verify(&stack.export("cut").await, &["--allow-unanchored", "99"]);
    assert_eq!((code, &said["first_bad_seq"], &said["proven"]["seq"]), (Some(1), &json!(7), &json!(5)), "{said}");
}

#[tokio::test]
async fn l1_a_checkpoint_of_a_key_that_is_not_trusted_proves_nothing() {
    let stack = Box::pin(Stack::start()).await;
    let export = stack.export("export").await;
    let other = EmulatedKey::create("ECC_NIST_P256").await;
    let wrong = stack.folder.join("wrong.json");
    fs::write(&wrong, json!({ "keys": [other.public_jwk().await] }).to_string()).unwrap();
    let kept = stack.folder.join("kept");
    let checkpoints = kept.join("checkpoints").join(stack.ada.tenant.to_string());
    let (code, said) = Stack::verify_by(&checkpoints, &wrong, &export, &[]);
    assert_eq!((code, &said["outcome"]), (Some(4), &json!("untrusted")), "{said}");
    let first = checkpoints.join("00000000000000000005.json");
    let text = fs::read_to_string(&first).unwrap();
    fs::write(&first, text.replace(r#""seq":5"#, r#""seq":6"#)).unwrap();
    let (code, said) = stack.verify(&export, &[]);
    assert_eq!((code, &said["checkpoint_seq"]), (Some(4), &json!(6)), "{said}");
    fs::write(&first, "no checkpoint").unwrap();
    assert_eq!(stack.verify(&export, &[]).0, Some(2));
}
