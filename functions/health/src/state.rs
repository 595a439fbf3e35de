//! What the checks reach for.

use std::sync::Arc;

use shared::{
    Db,
    app::Group,
    config::{DatabaseConfig, Faults},
    secrets::{SecretSource, Secrets},
    start::Start,
};

use crate::check::Remembered;

/// The group's state.
#[derive(Clone)]
pub struct Health {
    pub(crate) db: Db,
    pub(crate) secrets: Arc<dyn SecretSource>,
    pub(crate) secret_id: Arc<str>,
    pub(crate) last_secrets_check: Arc<Remembered>,
}

impl Group for Health {
    type Config = DatabaseConfig;

    fn secret_ids(_config: &DatabaseConfig) -> Vec<&str> {
        Vec::new()
    }

    async fn build(config: DatabaseConfig, _secrets: &Secrets, start: &Start) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let secret_id = config.secret_id.as_str().into();
        match Db::lazy(config, start, &mut faults) {
            Some(db) => {
                faults.or(Self { db, secrets: start.secrets.clone(), secret_id, last_secrets_check: Arc::default() })
            }
            None => Err(faults),
        }
    }
}
