//! Execution environments over one database, as many as a test needs.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::json;
use shared::{
    Code, Db,
    auth::ProviderKeys,
    config::{self, BaseConfig, DatabaseConfig, Faults},
    fetch::Fetch,
    secrets::{SecretSource, Secrets},
    start::Start,
    testing::{Log, RUNTIME_PASSWORD, TestClock, TestDatabase, TestProvider, TestSecrets, provider},
};
use sqlx::Executor;
use time::Duration;

use crate::fetch::fetch;

/// A database, and the time and the log of all environments over it.
pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) log: Log,
}

/// `ProviderKeys` as one environment has them, over the database at `address`.
pub(crate) async fn environment(
    (host, port, name): (String, u16, String),
    clock: Arc<TestClock>,
    fetch: Fetch,
) -> ProviderKeys {
    let settings = [
        ("DATABASE_HOST", host),
        ("DATABASE_PORT", port.to_string()),
        ("DATABASE_NAME", name),
        ("DATABASE_TLS", "disable".to_owned()),
        ("DATABASE_SECRET_ID", "database".to_owned()),
        ("AWS_LAMBDA_MAX_CONCURRENCY", "8".to_owned()),
    ];
    let lookup = |wanted: &str| settings.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone());
    let (base, database) = config::from_lookup::<(BaseConfig, DatabaseConfig)>(&lookup).unwrap();
    let source = TestSecrets::default();
    source.set("database", json!({ "username": "tenantry_runtime", "password": RUNTIME_PASSWORD }).to_string());
    let secrets: Secrets = source.read(&["database"]).await.unwrap();
    let start = Start::on_lambda(base).with(clock, Arc::new(source));
    let mut faults = Faults::default();
    let db = Db::new(database, &secrets, &start, &mut faults);
    faults.or(ProviderKeys::new(fetch, db.unwrap(), &start)).unwrap()
}

impl World {
    pub(crate) async fn new() -> Self {
        Self { database: TestDatabase::create().await, clock: Arc::default(), log: Log::listen() }
    }

    pub(crate) async fn environment(&self) -> ProviderKeys {
        environment(self.database.address(), self.clock.clone(), fetch()).await
    }

    pub(crate) fn wait_seconds(&self, seconds: i64) {
        self.clock.advance(Duration::seconds(seconds));
    }

    /// Runs a statement as the superuser.
    pub(crate) async fn execute(&self, sql: &'static str) {
        self.database.superuser().await.execute(sql).await.unwrap();
    }
}

/// What came of asking for a key: nothing, or the code of the refusal.
pub(crate) async fn ask(keys: &ProviderKeys, issuer: &str, kid: &str, alg: Algorithm) -> Result<(), Code> {
    key(keys, issuer, kid, alg).await.map(drop)
}

pub(crate) async fn key(
    keys: &ProviderKeys,
    issuer: &str,
    kid: &str,
    alg: Algorithm,
) -> Result<Arc<DecodingKey>, Code> {
    keys.key(issuer, kid, alg).await.map_err(|error| error.code())
}

/// How often the provider's configuration and its keys were fetched.
pub(crate) fn fetches(provider: &TestProvider) -> (usize, usize) {
    (provider.count(provider::DISCOVERY), provider.count(provider::KEYS))
}
