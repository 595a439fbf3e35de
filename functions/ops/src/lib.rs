//! What operators do: each action is an event `{"action":"..."}`, and each
//! answers with JSON.

mod audit_checkpoint;
mod audit_retention;
mod clean_up;
mod migrate;
mod rotate_keys;
mod tenants;

use serde::Deserialize;
use serde_json::Value;
use shared::{
    checkpoints::CheckpointsConfig,
    config::{Config, DatabaseConfig, Environment},
    start::Start,
};

use rotate_keys::Mode;
pub use rotate_keys::TokenKeysConfig;
pub use tenants::{Admin, Deletion, NewTenant, Reason, Resumption, Suspension};

/// An action, as an operator sends it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Brings the schema up to this build, and gives the runtime role its password.
    Migrate {},
    /// Deletes what is over, in every tenant.
    CleanUp {},
    /// Does the next step of a rotation of the keys that sign access tokens.
    RotateKeys {
        /// Goes on with a rotation that was begun, but begins none.
        #[serde(default)]
        only_continue: bool,
        /// Replaces all keys at once, because one has leaked.
        #[serde(default)]
        force: bool,
        /// The key in KMS that is to sign next, where keys are there.
        next_kms_key_id: Option<String>,
    },
    /// Signs the head of each audit chain that grew, and keeps that.
    AuditCheckpoint {},
    /// Makes the months of the audit trail, and exports and drops those that are past their retention.
    AuditRetention {},
    /// Creates a tenant and its first admin.
    CreateTenant(tenants::NewTenant),
    /// Refuses a tenant from the next request on.
    SuspendTenant(tenants::Suspension),
    /// Lets a suspended tenant in again.
    ResumeTenant(tenants::Resumption),
    /// Deletes a suspended tenant for good.
    DeleteTenant(tenants::Deletion),
}

/// The function's configuration.
#[derive(Debug, Clone)]
pub struct OpsConfig {
    /// The database; its secret is the runtime role's login.
    pub database: DatabaseConfig,
    /// The id of the secret that is the owner's login.
    pub owner_secret_id: String,
    /// The keys of access tokens.
    pub token_keys: Option<TokenKeysConfig>,
    /// What signs checkpoints of the audit trail, and where they go.
    pub checkpoints: Option<CheckpointsConfig>,
    /// The id of the secret with the peppers of passwords.
    pub pepper_secret_id: Option<String>,
    /// The invocation's id, which CloudTrail has too; the caller's identity is there.
    pub request_id: Option<String>,
    /// How many months the database keeps of the audit trail, at least.
    pub audit_retention_months: u32,
}

impl Config for OpsConfig {
    fn read(env: &mut Environment<'_>) -> Self {
        Self {
            database: DatabaseConfig::read(env),
            owner_secret_id: env
                .required("DATABASE_OWNER_SECRET_ID", "the name or ARN of the secret with the owner's login"),
            token_keys: TokenKeysConfig::read(env),
            checkpoints: CheckpointsConfig::read(env),
            pepper_secret_id: env.optional("PASSWORD_PEPPER_SECRET_ID"),
            request_id: None,
            audit_retention_months: audit_retention::months(env),
        }
    }
}

/// Runs one action.
///
/// # Errors
/// What went wrong, in a sentence for the operator.
pub async fn run(action: Action, start: &Start, config: OpsConfig) -> Result<Value, String> {
    match action {
        Action::Migrate {} => migrate::migrate(start, config).await,
        Action::RotateKeys { only_continue: true, force: true, .. } => {
            Err("only_continue and force exclude each other".to_owned())
        }
        Action::RotateKeys { only_continue, force, next_kms_key_id } => {
            let mode = if force { Mode::Force } else { Mode::Usual };
            let mode = if only_continue { Mode::OnlyContinue } else { mode };
            rotate_keys::rotate_keys(start, config, mode, next_kms_key_id).await
        }
        Action::CreateTenant(new) => tenants::create(start, config, new).await,
        Action::SuspendTenant(suspension) => tenants::suspend(start, config, suspension).await,
        Action::ResumeTenant(resumption) => tenants::resume(start, config, resumption).await,
        Action::DeleteTenant(deletion) => tenants::delete(start, config, deletion, tenants::Limits::USUAL).await,
        Action::AuditCheckpoint {} => {
            audit_checkpoint::audit_checkpoint(start, config, audit_checkpoint::Limits::USUAL).await
        }
        Action::AuditRetention {} => {
            audit_retention::audit_retention(start, config, audit_retention::Limits::USUAL).await
        }
        Action::CleanUp {} => clean_up::clean_up(start, config, clean_up::Limits::USUAL).await,
    }
}
