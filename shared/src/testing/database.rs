//! A database of a test's own, cloned from one that the migrations made.

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, postgres::PgConnectOptions};

use super::setting;
use crate::{
    clock::{Clock, SystemClock},
    db::migrate,
};

/// What the runtime role logs in with, in every test.
pub const RUNTIME_PASSWORD: &str = "runtime-role-of-the-tests";
/// The advisory lock under which the template is made.
const TEMPLATE_LOCK: i64 = 0x7E4A_0001;
/// The advisory lock under which roles are changed, which all databases share.
const ROLES_LOCK: i64 = 0x7E4A_0002;

/// A migrated, empty database that is dropped at the end.
pub struct TestDatabase {
    server: PgConnectOptions,
    name: String,
    /// A role for this database alone, dropped with it.
    own_role: Option<String>,
    /// A login that may take on the maintenance role, dropped with it.
    maintainer: Option<String>,
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
        Self { server, name, own_role: None, maintainer: None }
    }

    /// Has the function log in as a role of this database alone, with the
    /// runtime role's rights: for tests that change its password.
    pub async fn with_own_role(mut self) -> Self {
        let role = format!("runtime_of_{}", self.name);
        let sql = format!("CREATE ROLE {role} LOGIN PASSWORD '{RUNTIME_PASSWORD}' IN ROLE tenantry_runtime");
        let mut roles = lock_roles(&self.server).await;
        execute(&mut roles, sql).await;
        self.own_role = Some(role);
        self
    }

    /// With a login for `ops` that may take on the roles of maintenance
    /// and of operators, and do nothing else: [`TestDatabase::maintainer`], with [`RUNTIME_PASSWORD`].
    pub async fn with_maintainer(mut self) -> Self {
        let role = format!("maintainer_of_{}", self.name);
        let mut roles = lock_roles(&self.server).await;
        let grant = "GRANT tenantry_maintenance, tenantry_operator TO";
        let options = "WITH INHERIT FALSE, SET TRUE";
        let sql = format!("CREATE ROLE {role} LOGIN PASSWORD '{RUNTIME_PASSWORD}'; {grant} {role} {options}");
        execute(&mut roles, sql).await;
        self.maintainer = Some(role);
        self
    }

    /// The login of [`TestDatabase::with_maintainer`].
    #[must_use]
    pub fn maintainer(&self) -> &str {
        self.maintainer.as_deref().expect("a database with a maintainer")
    }

    /// What the function logs in as.
    #[must_use]
    pub fn role(&self) -> &str {
        self.own_role.as_deref().unwrap_or("tenantry_runtime")
    }

    /// A connection as the superuser: to arrange, and to look behind the walls.
    pub async fn superuser(&self) -> PgConnection {
        self.server.clone().database(&self.name).connect().await.unwrap()
    }

    /// A connection as the runtime role, past [`crate::Db`].
    pub async fn runtime(&self) -> PgConnection {
        let options = self.server.clone().database(&self.name);
        options.username(self.role()).password(RUNTIME_PASSWORD).connect().await.unwrap()
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
        let roles = self.own_role.take().into_iter().chain(self.maintainer.take());
        // A thread of its own: the test's runtime may be ending.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut connection = server.connect().await.unwrap();
                execute(&mut connection, format!("DROP DATABASE {name} WITH (FORCE)")).await;
                for role in roles {
                    execute(&mut lock_roles(&server).await, format!("DROP ROLE {role}")).await;
                }
            });
        });
        let _ = dropping.join();
    }
}

/// Holds other tests back from changing roles until it is closed or dropped.
pub(super) async fn lock_roles(server: &PgConnectOptions) -> PgConnection {
    let mut connection = server.connect().await.unwrap();
    sqlx::query("SELECT pg_advisory_lock($1)").bind(ROLES_LOCK).execute(&mut connection).await.unwrap();
    connection
}

pub(super) fn server() -> PgConnectOptions {
    setting("TEST_DATABASE_URL").parse::<PgConnectOptions>().unwrap().disable_statement_logging()
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
        let roles = lock_roles(server).await;
        let mut owner = server.clone().database(&name).connect().await.unwrap();
        migrate::run(&mut owner).await.unwrap();
        let password = migrate::Verifier::of(RUNTIME_PASSWORD).unwrap();
        migrate::set_password(&mut owner, migrate::RUNTIME_ROLE, &password).await.unwrap();
        owner.close().await.unwrap();
        roles.close().await.unwrap();
        execute(connection, format!("ALTER DATABASE {name} IS_TEMPLATE true")).await;
    }
    sqlx::query("SELECT pg_advisory_unlock($1)").bind(TEMPLATE_LOCK).execute(&mut *connection).await.unwrap();
    name
}

pub(super) async fn execute(connection: &mut PgConnection, sql: String) {
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
}
