//! Migrations, and the runtime role's login. Run by `ops`, never at a cold start.

use sqlx::{AssertSqlSafe, Executor, PgConnection, migrate::Migrator};

/// The migrations of this build, forward only.
pub static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// Runs what has not been run yet, under an advisory lock, as the role that
/// `connection` logged in with. Returns how many migrations it ran.
///
/// # Errors
/// As sqlx's; nothing of a failed migration stays.
pub async fn run(connection: &mut PgConnection) -> Result<usize, sqlx::migrate::MigrateError> {
    let before = applied(connection).await;
    MIGRATIONS.run(&mut *connection).await?;
    Ok(usize::try_from(applied(connection).await - before).unwrap_or_default())
}

async fn applied(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM _sqlx_migrations WHERE success")
        .fetch_one(connection)
        .await
        .unwrap_or_default()
}

/// Gives the runtime role the password that the functions will log in with.
///
/// # Errors
/// As sqlx's.
pub async fn set_runtime_password(
    connection: &mut PgConnection,
    role: &str,
    password: &str,
) -> Result<(), sqlx::Error> {
    // ALTER ROLE takes no parameters: format() quotes.
    let sql: String = sqlx::query_scalar("SELECT format('ALTER ROLE %I LOGIN PASSWORD %L', $1::text, $2::text)")
        .bind(role)
        .bind(password)
        .fetch_one(&mut *connection)
        .await?;
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.map(drop)
}
