//! `{"action":"rotate_keys"}` ->
//! `{"step":"published","kid":"...","next":{"step":"switch","not_before":"..."}}`

mod found;
mod next_step;
mod set;
mod steps;

use serde_json::Value;
use shared::{
    auth::SigningConfig,
    config::{Config, DatabaseConfig, Environment},
    db,
    start::Start,
};
use sqlx::{Connection, Executor};

use crate::OpsConfig;
use found::Keys;

/// The advisory lock that one rotation holds: "rotate" in ASCII.
const LOCK: i64 = 0x726f_7461_7465;

/// Where the keys of access tokens stand.
#[derive(Debug, Clone)]
pub struct TokenKeysConfig {
    signing: SigningConfig,
    public_secret_id: String,
}

impl TokenKeysConfig {
    /// None where the function is told nothing of them: then it rotates none.
    pub(crate) fn read(env: &mut Environment<'_>) -> Option<Self> {
        let public_secret_id = env.optional("TOKEN_PUBLIC_KEYS_SECRET_ID")?;
        Some(Self { signing: SigningConfig::read(env), public_secret_id })
    }
}

/// How far an invocation may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Begins a rotation, or does the next step of one.
    Usual,
    /// Does the next step of one that was begun.
    OnlyContinue,
    /// Replaces all keys at once, because one has leaked.
    Force,
}

/// Does what is due, and says what comes next and when. `next_kms_key_id` is
/// the key that is to come, where keys are in KMS.
pub(crate) async fn rotate_keys(
    start: &Start,
    config: OpsConfig,
    mode: Mode,
    next_kms_key_id: Option<String>,
) -> Result<Value, String> {
    let config_of_keys =
        config.token_keys.ok_or("TOKEN_PUBLIC_KEYS_SECRET_ID is not set: nothing is known of the keys")?;
    let as_owner = DatabaseConfig { secret_id: config.owner_secret_id, ..config.database };
    let mut connection =
        db::connect_as_owner(as_owner, start).await.map_err(|error| format!("the owner cannot connect: {error:?}"))?;
    // Of a transaction, since a pooler may lend the session to somebody else.
    connection.execute("BEGIN").await.map_err(|error| format!("the lock cannot be had: {error}"))?;
    let locked = sqlx::query_scalar!(r#"SELECT pg_try_advisory_xact_lock($1) AS "locked!""#, LOCK);
    if !locked.fetch_one(&mut connection).await.map_err(|error| format!("the lock cannot be had: {error}"))? {
        return Err("a step of a rotation is being done in this moment".to_owned());
    }
    let mut keys = Keys::read(start, config_of_keys, next_kms_key_id).await?;
    let answer = if mode == Mode::Force { keys.replace_all().await } else { keys.advance(mode).await };
    // Its end frees the lock.
    let _ = connection.close().await;
    answer
}

#[cfg(test)]
mod tests;
