//! `{"action":"migrate"}` -> `{"migrations_run":7}`

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::{
    config::{DatabaseConfig, Faults},
    db::{
        self,
        migrate::{RUNTIME_ROLE, Verifier},
    },
    start::Start,
};
use sqlx::Connection;

use crate::OpsConfig;

#[derive(Deserialize)]
struct Login {
    username: String,
    password: SecretString,
}

pub(crate) async fn migrate(start: &Start, config: OpsConfig) -> Result<Value, String> {
    let OpsConfig { database, owner_secret_id, .. } = config;
    let password = runtime_password(start, &database.secret_id).await.map_err(|faults| faults.to_string())?;
    let as_owner = DatabaseConfig { secret_id: owner_secret_id, ..database };
    let mut connection =
        db::connect_as_owner(as_owner, start).await.map_err(|error| format!("the owner cannot connect: {error:?}"))?;
    let migrations_run =
        db::migrate::run(&mut connection).await.map_err(|error| format!("a migration failed: {error}"))?;
    db::migrate::set_password(&mut connection, RUNTIME_ROLE, &password)
        .await
        .map_err(|error| format!("the runtime role's password cannot be set: {error}"))?;
    // Others wait for this connection to end.
    let _ = connection.close().await;
    tracing::info!(migrations_run, "migrated");
    Ok(json!({ "migrations_run": migrations_run }))
}

async fn runtime_password(start: &Start, secret_id: &str) -> Result<Verifier, Faults> {
    let secrets = start.secrets.read(&[secret_id]).await?;
    let mut faults = Faults::default();
    let form = format!(r#"{{"username":"{RUNTIME_ROLE}","password":"..."}}"#);
    let login: Option<Login> = secrets.json(secret_id, &form, &mut faults);
    // Another role would get the password, and its rights pass through the walls.
    if login.as_ref().is_some_and(|login| login.username != RUNTIME_ROLE) {
        faults.push(format!("the secret {secret_id} must name {RUNTIME_ROLE}"));
    }
    let password = login.and_then(|login| {
        let password = Verifier::of(login.password.expose_secret());
        password.map_err(|fault| faults.push(format!("the password in the secret {secret_id} {fault}"))).ok()
    });
    match password {
        Some(password) => faults.or(password),
        None => Err(faults),
    }
}

#[cfg(test)]
mod tests;
