//! What the group's handlers share.

use axum::extract::FromRef;
use shared::{
    App, Db, Result,
    app::{AppConfig, Group},
    clock::SharedClock,
    config::{Config, Environment, Faults},
    crypto::{DataKeys, DataKeysConfig},
    rate_limit::RateLimit,
    secrets::Secrets,
    start::Start,
};

use crate::registrar::Registrar;

/// What one address may register and test in a minute: both have us call hosts
/// of the caller's choice.
const POSTS_PER_MINUTE: u32 = 60;

/// The group's state.
#[derive(Clone)]
pub struct Tenants {
    app: App,
    registrar: Registrar,
}

/// The group's configuration.
pub struct TenantsConfig {
    app: AppConfig,
    data_keys: DataKeysConfig,
}

impl Config for TenantsConfig {
    fn read(env: &mut Environment<'_>) -> Self {
        Self { app: AppConfig::read(env), data_keys: DataKeysConfig::read(env) }
    }
}

impl Group for Tenants {
    type Config = TenantsConfig;

    fn secret_ids(config: &TenantsConfig) -> Vec<&str> {
        App::secret_ids(&config.app)
    }

    async fn build(config: TenantsConfig, secrets: &Secrets, start: &Start) -> Result<Self, Faults> {
        let (our_own, data_keys) = (config.app.tokens.issuer.clone(), DataKeys::new(config.data_keys, start));
        let app = App::build(config.app, secrets, start).await?;
        let registrar = Registrar::new(&our_own, data_keys, &app);
        Ok(Self { app, registrar })
    }

    fn app(&self) -> Option<&App> {
        Some(&self.app)
    }

    fn post_limit(&self) -> Option<RateLimit> {
        Some(RateLimit::per_minute("tenants", POSTS_PER_MINUTE, &self.app))
    }

    fn db(&self) -> Option<&Db> {
        Some(&self.app.db)
    }
}

impl AsRef<App> for Tenants {
    fn as_ref(&self) -> &App {
        &self.app
    }
}

impl FromRef<Tenants> for SharedClock {
    fn from_ref(tenants: &Tenants) -> Self {
        tenants.app.clock.clone()
    }
}

impl FromRef<Tenants> for Registrar {
    fn from_ref(tenants: &Tenants) -> Self {
        tenants.registrar.clone()
    }
}
