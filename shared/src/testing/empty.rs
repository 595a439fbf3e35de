//! A database that was not migrated yet, and its owner.

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

use super::{
    TestDatabase,
    database::{execute, lock_roles, server},
};
use crate::clock::{Clock, SystemClock};

/// An empty database whose owner is no superuser, as on Amazon RDS. While it
/// stands, no other test changes roles: they belong to the whole server.
pub struct EmptyDatabase {
    server: PgConnectOptions,
    name: String,
    roles: Option<PgConnection>,
}

impl EmptyDatabase {
    /// The owner's password.
    pub const OWNER_PASSWORD: &str = "owner-of-the-tests";

    /// Creates the database and its owner.
    pub async fn create() -> Self {
        // The roles of the migrations are there from now on.
        drop(TestDatabase::create().await);
        let server = server();
        let mut roles = lock_roles(&server).await;
        let name = format!("empty_{}", SystemClock.new_id().simple());
        let password = Self::OWNER_PASSWORD;
        execute(&mut roles, format!("CREATE ROLE {name} LOGIN CREATEROLE PASSWORD '{password}'")).await;
        // What Postgres gives to a role that may create roles and did.
        let grant = "WITH ADMIN TRUE, INHERIT FALSE, SET FALSE";
        execute(
            &mut roles,
            format!(
                "GRANT tenantry_owner, tenantry_runtime, tenantry_maintenance, tenantry_operator TO {name} {grant}"
            ),
        )
        .await;
        execute(&mut roles, format!("CREATE DATABASE {name} OWNER {name}")).await;
        Self { server, name, roles: Some(roles) }
    }

    /// Its host, port and name.
    #[must_use]
    pub fn address(&self) -> (String, u16, String) {
        (self.server.get_host().to_owned(), self.server.get_port(), self.name.clone())
    }

    /// The owner's name.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.name
    }

    /// A connection as this user.
    ///
    /// # Errors
    /// As sqlx's, where the login is refused.
    pub async fn connect(&self, username: &str, password: &str) -> Result<PgConnection, sqlx::Error> {
        let options = self.server.clone().database(&self.name).username(username).password(password);
        PgConnection::connect_with(&options).await
    }
}

impl Drop for EmptyDatabase {
    fn drop(&mut self) {
        let (server, name, roles) = (self.server.clone(), self.name.clone(), self.roles.take());
        // A thread of its own: the test's runtime may be ending.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut connection = PgConnection::connect_with(&server).await.unwrap();
                execute(&mut connection, format!("DROP DATABASE {name} WITH (FORCE)")).await;
                execute(&mut connection, format!("DROP OWNED BY {name} CASCADE; DROP ROLE {name}")).await;
            });
        });
        let _ = dropping.join();
        drop(roles);
    }
}
