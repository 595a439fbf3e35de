//! The floor of every function with a database: one connection, made at init,
//! and one prepared `SELECT 1` a request.
use lambda_http::{Body, Error, Request, Response, run, service_fn};
use sqlx::{
    ConnectOptions, PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
};
use std::env::VarError;
use tokio::sync::Mutex;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let connection = Mutex::new(connect().await?);
    run(service_fn(async |_: Request| {
        let one: i32 = sqlx::query_scalar("SELECT 1").fetch_one(&mut *connection.lock().await).await?;
        Ok::<_, Error>(Response::new(Body::from(one.to_string())))
    }))
    .await
}

async fn connect() -> Result<PgConnection, Error> {
    let options = PgConnectOptions::new_without_pgpass()
        .host(&variable("DATABASE_HOST")?)
        .port(variable("DATABASE_PORT")?.parse()?)
        .database(&variable("DATABASE_NAME")?)
        .username(&variable("FLOOR_DATABASE_USER")?)
        .password(&variable("FLOOR_DATABASE_PASSWORD")?)
        .ssl_mode(PgSslMode::Disable);
    Ok(options.connect().await?)
}

#[expect(clippy::disallowed_methods, reason = "the floor carries nothing of ours, shared::config included")]
fn variable(name: &str) -> Result<String, VarError> {
    std::env::var(name)
}
