//! A database of a test's own, cloned from one that the migrations made.

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, postgres::PgConnectOptions};

use crate::{
    clock::{Clock, SystemClock},
    db::migrate,
};

/// What the runtime role logs in with, in every test.
pub(super) const RUNTIME_PASSWORD: &str = "runtime-role-of-the-tests";
/// The advisory lock under which the template is made.
const TEMPLATE_LOCK: i64 = 0x7E4A_0001;

/// A migrated, empty database that is dropped at the end.
pub struct TestDatabase {
    server: PgConnectOptions,
    name: String,
}

impl TestDatabase {
    /// Clones the template, which the first test of these migrations makes.
    pub async fn create() -> Self {
        let server = server();
        let mut connection = server.connect().await.unwrap();
        let template = template(&server, &mut connection).await;
        let name = format!("test_{}", SystemClock.new_id().simple());
        execute(&mut connection, format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        connection.close().await.unwrap();
        Self { server, name }
    }

    /// A connection as the superuser: to arrange, and to look behind the walls.
    pub async fn superuser(&self) -> PgConnection {
        self.server.clone().database(&self.name).connect().await.unwrap()
    }

    /// A connection as the runtime role, past [`crate::Db`].
    pub async fn runtime(&self) -> PgConnection {
        let options = self.server.clone().database(&self.name);
        options.username("tenantry_runtime").password(RUNTIME_PASSWORD).connect().await.unwrap()
    }

    /// Its host, port and name.
    #[must_use]
    pub fn address(&self) -> (String, u16, String) {
        (self.server.get_host().to_owned(), self.server.get_port(), self.name.clone())
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // A thread of its own: the test's runtime may be ending.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut connection = server.connect().await.unwrap();
                execute(&mut connection, format!("DROP DATABASE {name} WITH (FORCE)")).await;
            });
        });
        let _ = dropping.join();
    }
}

fn server() -> PgConnectOptions {
    #[expect(clippy::disallowed_methods, reason = "the tests' own setting")]
    let url = std::env::var("TEST_DATABASE_URL");
    let url = url.expect("TEST_DATABASE_URL is not set: run the tests with `make test`");
    url.parse::<PgConnectOptions>().unwrap().disable_statement_logging()
}

/// The template's name, which names its migrations; made if it is not there.
async fn template(server: &PgConnectOptions, connection: &mut PgConnection) -> String {
    let sum = migrate::MIGRATIONS
        .iter()
        .flat_map(|migration| migration.checksum.iter().copied())
        .fold(0_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let name = format!("template_{sum:016x}");
    sqlx::query("SELECT pg_advisory_lock($1)").bind(TEMPLATE_LOCK).execute(&mut *connection).await.unwrap();
    let there: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datistemplate)")
            .bind(&name)
            .fetch_one(&mut *connection)
            .await
            .unwrap();
    if !there {
        execute(connection, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        execute(connection, format!("CREATE DATABASE {name}")).await;
        let mut owner = server.clone().database(&name).connect().await.unwrap();
        migrate::run(&mut owner).await.unwrap();
        migrate::set_runtime_password(&mut owner, "tenantry_runtime", RUNTIME_PASSWORD).await.unwrap();
        owner.close().await.unwrap();
        execute(connection, format!("ALTER DATABASE {name} IS_TEMPLATE true")).await;
    }
    sqlx::query("SELECT pg_advisory_unlock($1)").bind(TEMPLATE_LOCK).execute(&mut *connection).await.unwrap();
    name
}

async fn execute(connection: &mut PgConnection, sql: String) {
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
}
