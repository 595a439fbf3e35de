use std::sync::Arc;

use serde_json::json;
use shared::{
    clock::SystemClock,
    config::from_lookup,
    testing::{EmptyDatabase, RUNTIME_PASSWORD, TestSecrets},
};
use sqlx::PgConnection;

use super::*;
use crate::{Action, run};

/// The function over an empty database.
struct Ops {
    database: EmptyDatabase,
    secrets: Arc<TestSecrets>,
}

impl Ops {
    async fn start() -> Self {
        let (database, secrets) = (EmptyDatabase::create().await, Arc::new(TestSecrets::default()));
        let ops = Self { database, secrets };
        ops.fill_secrets();
        ops
    }

    fn fill_secrets(&self) {
        self.secrets.set("runtime", login(RUNTIME_ROLE, RUNTIME_PASSWORD));
        self.secrets.set("owner", login(self.database.owner(), EmptyDatabase::OWNER_PASSWORD));
    }

    async fn migrate(&self) -> Result<Value, String> {
        self.run(Action::Migrate {}).await
    }

    async fn run(&self, action: Action) -> Result<Value, String> {
        let (host, port, name) = self.database.address();
        let settings = [
            ("DATABASE_HOST", host),
            ("DATABASE_PORT", port.to_string()),
            ("DATABASE_NAME", name),
            ("DATABASE_TLS", "disable".to_owned()),
            ("DATABASE_SECRET_ID", "runtime".to_owned()),
            ("DATABASE_OWNER_SECRET_ID", "owner".to_owned()),
        ];
        let lookup = |name: &str| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        let start = Start::on_lambda(from_lookup(&lookup).unwrap());
        let start = start.with(Arc::new(SystemClock), self.secrets.clone());
        run(action, &start, from_lookup(&lookup).unwrap()).await
    }

    async fn tables(&self) -> i64 {
        let mut owner = self.owner().await;
        let query = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
        sqlx::query_scalar(query).fetch_one(&mut owner).await.unwrap()
    }

    async fn owner(&self) -> PgConnection {
        self.database.connect(self.database.owner(), EmptyDatabase::OWNER_PASSWORD).await.unwrap()
    }
}

fn login(username: &str, password: &str) -> String {
    json!({ "username": username, "password": password }).to_string()
}

#[tokio::test]
async fn an_empty_database_is_migrated_once_by_an_owner_that_is_no_superuser() {
    let ops = Ops::start().await;
    let all = db::migrate::MIGRATIONS.iter().count();
    assert_eq!(ops.migrate().await, Ok(json!({ "migrations_run": all })));
    assert_eq!(ops.migrate().await, Ok(json!({ "migrations_run": 0 })));
    let mut runtime = ops.database.connect(RUNTIME_ROLE, RUNTIME_PASSWORD).await.unwrap();
    let todos: i64 = sqlx::query_scalar("SELECT count(*) FROM todos").fetch_one(&mut runtime).await.unwrap();
    assert_eq!(todos, 0);
    let owned = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tableowner <> 'tenantry_owner'
                    AND tablename <> '_sqlx_migrations'";
    assert_eq!(sqlx::query_scalar::<_, i64>(owned).fetch_one(&mut runtime).await.unwrap(), 0);
    let ddl = sqlx::query("CREATE TABLE mine ()").execute(&mut runtime).await;
    assert!(ddl.is_err(), "the runtime role creates nothing");
    // It may take the maintenance role on, which the migrations gave to it.
    shared::testing::take_log();
    let cleaned_up = ops.run(Action::CleanUp {}).await.unwrap();
    assert_eq!((&cleaned_up["tenants"], &cleaned_up["complete"]), (&json!(0), &json!(true)), "nobody is left out");
}

#[tokio::test]
async fn of_two_at_once_one_migrates_and_the_other_finds_it_done() {
    let ops = Ops::start().await;
    let (one, other) = tokio::join!(ops.migrate(), ops.migrate());
    let mut ran = [one, other].map(|answer| answer.unwrap()["migrations_run"].as_u64().unwrap());
    ran.sort_unstable();
    assert_eq!(ran, [0, db::migrate::MIGRATIONS.iter().count() as u64]);
}

#[tokio::test]
async fn what_is_wrong_is_said_without_a_password_and_before_anything_is_done() {
    let ops = Ops::start().await;
    let owner = ops.database.owner().to_owned();
    for (secret, value, expected) in [
        ("owner", login(&owner, "s3cret-but-wrong"), "password authentication failed"),
        ("owner", "s3cret".to_owned(), "the secret owner must be JSON"),
        ("runtime", login(RUNTIME_ROLE, "s3cret-pässword"), "printable ASCII"),
        ("runtime", login(RUNTIME_ROLE, ""), "printable ASCII"),
        ("runtime", login(&owner, "s3cret"), "the secret runtime must name tenantry_runtime"),
        ("runtime", "s3cret".to_owned(), "the secret runtime must be JSON"),
    ] {
        ops.fill_secrets();
        ops.secrets.set(secret, value);
        let answer = ops.migrate().await.unwrap_err();
        assert!(answer.contains(expected), "{answer}");
        assert!(!answer.contains("s3cret"), "{answer}");
        assert_eq!(ops.tables().await, 0, "{expected}");
    }
}

#[test]
fn an_unknown_action_or_member_is_refused() {
    let read = serde_json::from_str::<Action>;
    assert_eq!(read(r#"{"action":"migrate"}"#).unwrap(), Action::Migrate {});
    assert_eq!(read(r#"{"action":"clean_up"}"#).unwrap(), Action::CleanUp {});
    for event in [
        r#"{"action":"drop"}"#,
        r#"{"action":"migrate","to":7}"#,
        r#"{"action":"clean_up","batch":9}"#,
        r#"{"action":"Migrate"}"#,
        "{}",
        "[]",
        "null",
    ] {
        assert!(read(event).is_err(), "{event}");
    }
}
