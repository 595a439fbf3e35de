//! What the group's handlers share.

use std::sync::Arc;

use axum::extract::FromRef;
use shared::{
    App, Code, Db, Error, Result,
    app::{AppConfig, Group},
    auth::provider::Issuer,
    clock::SharedClock,
    config::{Config, Environment, Faults},
    crypto::{DataKeys, DataKeysConfig},
    fetch::{Fetch, FetchConfig, FetchError},
    idempotency::RequestHashes,
    page::Cursors,
    rate_limit::RateLimit,
    secrets::Secrets,
    start::Start,
};

/// What one address may register and test in a minute: both have us call hosts
/// of the caller's choice.
const POSTS_PER_MINUTE: u32 = 60;

/// The group's state.
#[derive(Clone)]
pub struct Tenants {
    app: App,
    issuers: Issuers,
    data_keys: DataKeys,
}

/// The group's configuration.
pub struct TenantsConfig {
    app: AppConfig,
    fetch: FetchConfig,
    data_keys: DataKeysConfig,
}

/// Which issuers may be registered.
#[derive(Clone)]
pub(crate) struct Issuers {
    our_own: Arc<str>,
    pub(crate) fetch: Fetch,
}

impl Issuers {
    /// Refuses us ourselves (a tenant's admin would decide who our tokens are
    /// for), and a host that may not be called (K7). A host that is not there
    /// and one that is private are one answer: it tells nobody which names
    /// resolve in our network.
    ///
    /// # Errors
    /// `VAL_001` at `issuer`; `SYS_003` where its host's name is not resolved in time.
    pub(crate) async fn check(&self, issuer: &Issuer) -> Result<()> {
        if issuer.is_at(&self.our_own) {
            return Err(Error::field("issuer", "must not be this API's own issuer"));
        }
        self.fetch.check_issuer(issuer).await.map_err(|cause| {
            let error = match cause {
                FetchError::TimedOut => Error::new(Code::ProviderUnavailable),
                FetchError::UrlRefused => Error::field("issuer", Issuer::FORM),
                _ => Error::field("issuer", "must name a host that is found on the public internet"),
            };
            error.caused_by(cause)
        })
    }
}

impl Config for TenantsConfig {
    fn read(env: &mut Environment<'_>) -> Self {
        Self { app: AppConfig::read(env), fetch: FetchConfig::read(env), data_keys: DataKeysConfig::read(env) }
    }
}

impl Group for Tenants {
    type Config = TenantsConfig;

    fn secret_ids(config: &TenantsConfig) -> Vec<&str> {
        App::secret_ids(&config.app)
    }

    fn build(config: TenantsConfig, secrets: &Secrets, start: &Start) -> Result<Self, Faults> {
        let our_own = config.app.tokens.issuer.as_str().into();
        let issuers = Issuers { our_own, fetch: Fetch::new(config.fetch) };
        let data_keys = DataKeys::new(config.data_keys, start);
        Ok(Self { app: App::build(config.app, secrets, start)?, issuers, data_keys })
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

impl FromRef<Tenants> for DataKeys {
    fn from_ref(tenants: &Tenants) -> Self {
        tenants.data_keys.clone()
    }
}

impl FromRef<Tenants> for Issuers {
    fn from_ref(tenants: &Tenants) -> Self {
        tenants.issuers.clone()
    }
}
