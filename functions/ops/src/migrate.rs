//! `{"action":"migrate"}` -> `{"migrations_run":7}`

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::{
    config::{DatabaseConfig, Faults},
    db,
    lambda::Start,
};

use crate::OpsConfig;

#[derive(Deserialize)]
struct Login {
    username: String,
    password: SecretString,
}

pub(crate) async fn migrate(start: &Start, config: OpsConfig) -> Result<Value, String> {
    let OpsConfig { database, owner_secret_id } = config;
    let runtime = runtime_login(start, &database.secret_id).await.map_err(|faults| faults.to_string())?;
    let as_owner = DatabaseConfig { secret_id: owner_secret_id, ..database };
    let mut connection =
        db::connect_as_owner(as_owner, start).await.map_err(|error| format!("the owner cannot connect: {error:?}"))?;
    let migrations_run =
        db::migrate::run(&mut connection).await.map_err(|error| format!("a migration failed: {error}"))?;
    db::migrate::set_runtime_password(&mut connection, &runtime.username, runtime.password.expose_secret())
        .await
        .map_err(|_| "the runtime role's password cannot be set".to_owned())?;
    tracing::info!(migrations_run, "migrated");
    Ok(json!({ "migrations_run": migrations_run }))
}

async fn runtime_login(start: &Start, secret_id: &str) -> Result<Login, Faults> {
    let secrets = start.secrets.read(&[secret_id]).await?;
    let mut faults = Faults::default();
    let login = secrets.json(secret_id, r#"{"username":"...","password":"..."}"#, &mut faults);
    login.ok_or(faults)
}
