//! How a connection is opened: login from Secrets Manager, TLS, deadlines.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sqlx::{
    ConnectOptions, PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
};

use super::failure::Failure;
use crate::{
    config::{DatabaseConfig, Faults},
    error::{Code, Error, Result},
    lambda::Start,
    secrets::SecretSource,
};

pub(super) const LOGIN_FORM: &str = r#"{"username":"...","password":"..."}"#;

/// The roots of Amazon RDS, see `certs/README.md`.
const RDS_ROOTS: &[u8] = include_bytes!("../../certs/rds-roots.pem");
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Prepared statements kept per connection.
const STATEMENTS: usize = 100;

/// A login to the database.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Login {
    username: String,
    password: SecretString,
}

pub(super) struct Connector {
    options: PgConnectOptions,
    secret_id: String,
    source: Arc<dyn SecretSource>,
    /// The login in use; none until it is first needed.
    login: Mutex<Option<Login>>,
    /// Cleared for good once a pooler was met that does not keep them.
    statements_named: AtomicBool,
}

impl Connector {
    pub(super) fn new(
        config: DatabaseConfig,
        login: Option<Login>,
        start: &Start,
        faults: &mut Faults,
    ) -> Option<Self> {
        let mut options = PgConnectOptions::new_without_pgpass()
            .host(&config.host)
            .port(config.port)
            .database(&config.name)
            .application_name(&start.base.function_name)
            // A setting that poolers refuse, and that we do not need.
            .extra_float_digits(None)
            .ssl_mode(if config.tls { PgSslMode::VerifyFull } else { PgSslMode::Disable })
            .disable_statement_logging();
        if config.tls {
            let roots = match &config.ca_file {
                None => RDS_ROOTS.to_vec(),
                Some(path) => std::fs::read(path)
                    .map_err(|error| faults.push(format!("DATABASE_CA_FILE cannot be read ({})", error.kind())))
                    .ok()?,
            };
            options = options.ssl_root_cert_from_pem(roots);
        }
        Some(Self {
            options,
            secret_id: config.secret_id,
            source: start.secrets.clone(),
            login: Mutex::new(login),
            statements_named: AtomicBool::new(true),
        })
    }

    /// Connects. A refused login is read anew once, so that a rotated password
    /// costs no request.
    pub(super) async fn connect(&self) -> Result<PgConnection> {
        let known = self.login.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let was_known = known.is_some();
        let login = match known {
            Some(login) => login,
            None => self.read_login().await?,
        };
        match self.connect_as(&login).await {
            Err(failure) if failure.login_was_refused() && was_known => {
                let login = self.read_login().await?;
                Ok(self.connect_as(&login).await?)
            }
            outcome => Ok(outcome?),
        }
    }

    async fn connect_as(&self, login: &Login) -> Result<PgConnection, Failure> {
        let statements = if self.statements_named.load(Ordering::Relaxed) { STATEMENTS } else { 0 };
        let options = self
            .options
            .clone()
            .username(&login.username)
            .password(login.password.expose_secret())
            .statement_cache_capacity(statements);
        match tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await {
            Ok(connected) => connected.map_err(|error| Failure::of(&error)),
            Err(_) => Err(Failure::outside("connecting took too long".into(), true)),
        }
    }

    async fn read_login(&self) -> Result<Login> {
        let unavailable = |faults: Faults| Error::new(Code::DatabaseUnavailable).caused_by(faults);
        let secrets = self.source.read(&[&self.secret_id]).await.map_err(unavailable)?;
        let mut faults = Faults::default();
        let login: Option<Login> = secrets.json(&self.secret_id, LOGIN_FORM, &mut faults);
        let login = login.ok_or_else(|| unavailable(faults))?;
        *self.login.lock().unwrap_or_else(PoisonError::into_inner) = Some(login.clone());
        Ok(login)
    }

    /// From now on statements are sent unnamed: two round trips in place of
    /// one, but right behind any pooler.
    pub(super) fn stop_naming_statements(&self) {
        if self.statements_named.swap(false, Ordering::Relaxed) {
            tracing::warn!("the pooler keeps no prepared statements: every statement now takes two round trips");
        }
    }
}
