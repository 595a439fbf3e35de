//! What a group of routes stands on: its state, and what most of them share.

use std::sync::Arc;

use axum::extract::FromRef;
use http::Method;

use crate::{
    auth::Verifier,
    clock::SharedClock,
    config::{Config, DatabaseConfig, Environment, Faults, TokenConfig},
    db::Db,
    idempotency::RequestHashes,
    page::Cursors,
    rate_limit::RateLimit,
    secrets::Secrets,
    start::Start,
};
#[cfg(feature = "federation")]
use crate::{
    auth::{DeploymentProviders, Federation, ProviderKeys},
    fetch::{Fetch, FetchConfig},
};

/// The state of a route group, and what its cold start needs.
pub trait Group: Clone + Send + Sync + 'static {
    /// What it reads from the environment.
    type Config: Config + Send;

    /// The secrets to be read in the one batch; none, and no call is made.
    fn secret_ids(config: &Self::Config) -> Vec<&str>;

    /// Builds the state.
    ///
    /// # Errors
    /// All that is wrong with the secrets.
    fn build(
        config: Self::Config,
        secrets: &Secrets,
        start: &Start,
    ) -> impl Future<Output = Result<Self, Faults>> + Send;

    /// What checks the callers of its routes; none where all are public.
    fn app(&self) -> Option<&App> {
        None
    }

    /// What limits each of its POST routes.
    fn post_limit(&self) -> Option<RateLimit> {
        None
    }

    /// What limits its routes of this method: POSTs, unless a group has reads
    /// that cost as much.
    fn limit_of(&self, method: &Method) -> Option<RateLimit> {
        self.post_limit().filter(|_| *method == Method::POST)
    }

    /// The database, where it is to be connected before the first request.
    fn db(&self) -> Option<&Db> {
        None
    }
}

/// The state of a group whose routes have callers. Groups that need more hold
/// an `App` in a state of their own, and what `AsRef` leads to it has handlers
/// take [`Db`], [`Cursors`] and [`RequestHashes`] from theirs.
#[derive(Clone)]
pub struct App {
    /// The tenants' rows.
    pub db: Db,
    /// The check of access tokens.
    pub verifier: Arc<Verifier>,
    /// The check of identity providers' access tokens.
    #[cfg(feature = "federation")]
    pub federation: Arc<Federation>,
    /// The way to identity providers.
    #[cfg(feature = "federation")]
    pub fetch: Fetch,
    /// The seal of list cursors.
    pub cursors: Cursors,
    /// The hashes of creating requests.
    pub request_hashes: RequestHashes,
    /// The time.
    pub clock: SharedClock,
}

/// The configuration of [`App`].
#[derive(Debug, Clone)]
pub struct AppConfig {
    /// The database.
    pub database: DatabaseConfig,
    /// The tokens.
    pub tokens: TokenConfig,
    /// The identity providers that speak for every tenant.
    #[cfg(feature = "federation")]
    pub providers: DeploymentProviders,
    /// The way to identity providers.
    #[cfg(feature = "federation")]
    pub fetch: FetchConfig,
    /// The id of the secret that seals cursors.
    pub cursor_key_secret_id: String,
}

impl Config for AppConfig {
    fn read(env: &mut Environment<'_>) -> Self {
        Self {
            database: DatabaseConfig::read(env),
            tokens: TokenConfig::read(env),
            #[cfg(feature = "federation")]
            providers: DeploymentProviders::read(env),
            #[cfg(feature = "federation")]
            fetch: FetchConfig::read(env),
            cursor_key_secret_id: env
                .required("CURSOR_KEY_SECRET_ID", "the name or ARN of the secret with the key of list cursors"),
        }
    }
}

impl Group for App {
    type Config = AppConfig;

    fn secret_ids(config: &AppConfig) -> Vec<&str> {
        vec![&config.database.secret_id, &config.tokens.public_keys_secret_id, &config.cursor_key_secret_id]
    }

    async fn build(config: AppConfig, secrets: &Secrets, start: &Start) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let verifier = Verifier::new(config.tokens, secrets, start).map_err(|more| faults.extend(more)).ok();
        let cursor_key = secrets.key(&config.cursor_key_secret_id, &mut faults);
        let db = Db::new(config.database, secrets, start, &mut faults);
        #[cfg(feature = "federation")]
        let fetch = Fetch::new(config.fetch);
        match (db, verifier, cursor_key) {
            (Some(db), Some(verifier), Some(key)) => faults.or(Self {
                #[cfg(feature = "federation")]
                federation: {
                    let keys = ProviderKeys::new(fetch.clone(), db.clone(), start);
                    Arc::new(Federation::new(config.providers, keys, db.clone(), start))
                },
                #[cfg(feature = "federation")]
                fetch,
                db,
                verifier: Arc::new(verifier),
                cursors: Cursors::new(&key),
                request_hashes: RequestHashes::derived_from(&key),
                clock: start.clock.clone(),
            }),
            _ => Err(faults),
        }
    }

    fn app(&self) -> Option<&App> {
        Some(self)
    }

    fn db(&self) -> Option<&Db> {
        Some(&self.db)
    }
}

impl AsRef<App> for App {
    fn as_ref(&self) -> &App {
        self
    }
}

impl<G: AsRef<App>> FromRef<G> for Db {
    fn from_ref(group: &G) -> Self {
        group.as_ref().db.clone()
    }
}

impl<G: AsRef<App>> FromRef<G> for Cursors {
    fn from_ref(group: &G) -> Self {
        group.as_ref().cursors.clone()
    }
}

impl<G: AsRef<App>> FromRef<G> for RequestHashes {
    fn from_ref(group: &G) -> Self {
        group.as_ref().request_hashes.clone()
    }
}

// Its type is not ours, so a group that needs it says so itself.
impl FromRef<App> for SharedClock {
    fn from_ref(app: &App) -> Self {
        app.clock.clone()
    }
}
