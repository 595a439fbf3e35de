//! Migrations, and the runtime role's login. Run by `ops`, never at a cold start.

use sqlx::{
    AssertSqlSafe, Executor, PgConnection,
    migrate::{MigrateError, Migrator},
};

pub use super::scram::{PasswordFault, Verifier};

/// What the functions log in as; `migrations/` grant to it by this name.
pub const RUNTIME_ROLE: &str = "tenantry_runtime";
/// The migrations of this build, forward only.
pub static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// Held while one migrates: a count and a password are not sqlx's to guard.
const LOCK: i64 = 0x7E4A_0000;

/// Runs what has not been run yet, as the role that `connection` logged in
/// with. Returns how many migrations it ran. Others wait from here until
/// `connection` is closed.
///
/// # Errors
/// As sqlx's; nothing of a failed migration stays.
pub async fn run(connection: &mut PgConnection) -> Result<usize, MigrateError> {
    sqlx::query("SELECT pg_advisory_lock($1)").bind(LOCK).execute(&mut *connection).await?;
    let before = applied(connection).await?;
    MIGRATIONS.run(&mut *connection).await?;
    Ok(usize::try_from(applied(connection).await? - before).unwrap_or_default())
}

async fn applied(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    let there: bool =
        sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(&mut *connection).await?;
    if !there {
        return Ok(0);
    }
    sqlx::query_scalar("SELECT count(*) FROM _sqlx_migrations WHERE success").fetch_one(connection).await
}

/// Gives a role the password that the functions will log in with.
///
/// # Errors
/// As sqlx's.
pub async fn set_password(connection: &mut PgConnection, role: &str, password: &Verifier) -> Result<(), sqlx::Error> {
    // ALTER ROLE takes no parameters: format() quotes.
    let sql: String = sqlx::query_scalar("SELECT format('ALTER ROLE %I LOGIN PASSWORD %L', $1::text, $2::text)")
        .bind(role)
        .bind(password.as_str())
        .fetch_one(&mut *connection)
        .await?;
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.map(drop)
}

#[cfg(test)]
mod tests {
    use sqlx::Connection;

    use super::*;
    use crate::testing::TestDatabase;

    #[tokio::test]
    async fn a_role_logs_in_with_the_password_that_it_was_given_and_no_other() {
        let database = TestDatabase::create().await;
        let mut superuser = database.superuser().await;
        let (host, port, name) = database.address();
        let role = format!("login_{name}");
        let execute = |sql: String| sqlx::raw_sql(AssertSqlSafe(sql));
        execute(format!("CREATE ROLE {role}")).execute(&mut superuser).await.unwrap();
        let password = r#"a 'password', "quoted" \ and $1"#;
        set_password(&mut superuser, &role, &Verifier::of(password).unwrap()).await.unwrap();
        let options = sqlx::postgres::PgConnectOptions::new_without_pgpass().host(&host).port(port).database(&name);
        let options = options.username(&role);
        let right = PgConnection::connect_with(&options.clone().password(password)).await;
        let wrong = PgConnection::connect_with(&options.password("another")).await;
        let stored: String = sqlx::query_scalar("SELECT rolpassword FROM pg_authid WHERE rolname = $1")
            .bind(&role)
            .fetch_one(&mut superuser)
            .await
            .unwrap();
        right.unwrap().close().await.unwrap();
        execute(format!("DROP ROLE {role}")).execute(&mut superuser).await.unwrap();
        assert!(wrong.is_err_and(|error| error.to_string().contains("password authentication failed")));
        assert!(stored.starts_with("SCRAM-SHA-256$4096:"));
    }
}
