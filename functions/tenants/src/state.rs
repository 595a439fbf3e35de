//! What the group's handlers share.

use std::sync::Arc;

use axum::extract::FromRef;
use shared::{
    App, Db, Error, Result,
    app::{AppConfig, Group},
    auth::provider::Issuer,
    clock::SharedClock,
    config::{Config, Environment, Faults},
    idempotency::RequestHashes,
    page::Cursors,
    secrets::Secrets,
    start::Start,
};

/// The group's state.
#[derive(Clone)]
pub struct Tenants {
    app: App,
    pub(crate) issuers: Issuers,
}

/// The group's configuration.
pub struct TenantsConfig {
    app: AppConfig,
}

/// Which issuers may be registered.
#[derive(Clone)]
pub(crate) struct Issuers {
    our_own: Arc<str>,
}

impl Issuers {
    /// Refuses us ourselves: a tenant's admin would decide who our tokens are for.
    ///
    /// # Errors
    /// `VAL_001` at `issuer`.
    pub(crate) fn check(&self, issuer: &Issuer) -> Result<()> {
        if issuer.is_at(&self.our_own) {
            return Err(Error::field("issuer", "must not be this API's own issuer"));
        }
        Ok(())
    }
}

impl Config for TenantsConfig {
    fn read(env: &mut Environment<'_>) -> Self {
        Self { app: AppConfig::read(env) }
    }
}

impl Group for Tenants {
    type Config = TenantsConfig;

    fn secret_ids(config: &TenantsConfig) -> Vec<&str> {
        App::secret_ids(&config.app)
    }

    fn build(config: TenantsConfig, secrets: &Secrets, start: &Start) -> Result<Self, Faults> {
        let issuers = Issuers { our_own: config.app.tokens.issuer.as_str().into() };
        Ok(Self { app: App::build(config.app, secrets, start)?, issuers })
    }

    fn app(&self) -> Option<&App> {
        Some(&self.app)
    }

    fn db(&self) -> Option<&Db> {
        Some(&self.app.db)
    }
}

impl FromRef<Tenants> for Db {
    fn from_ref(tenants: &Tenants) -> Self {
        tenants.app.db.clone()
    }
}

impl FromRef<Tenants> for Cursors {
    fn from_ref(tenants: &Tenants) -> Self {
        tenants.app.cursors.clone()
    }
}

impl FromRef<Tenants> for RequestHashes {
    fn from_ref(tenants: &Tenants) -> Self {
        tenants.app.request_hashes.clone()
    }
}

impl FromRef<Tenants> for SharedClock {
    fn from_ref(tenants: &Tenants) -> Self {
        tenants.app.clock.clone()
    }
}

impl FromRef<Tenants> for Issuers {
    fn from_ref(tenants: &Tenants) -> Self {
        tenants.issuers.clone()
    }
}
