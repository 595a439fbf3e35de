//! How a connection is opened: login from Secrets Manager, TLS, deadlines.

use std::{
    sync::{Arc, Mutex, PoisonError},
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
    secrets::SecretSource,
    start::Start,
};

pub(super) const LOGIN_FORM: &str = r#"{"username":"...","password":"..."}"#;

/// The roots of Amazon RDS, each after a line `# <region> <subject>`; see
/// `certs/README.md`.
const RDS_ROOTS: &str = include_str!("../../certs/rds-roots.pem");
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
}

/// The roots of `region`, which are the three that its databases can have, and
/// read in a moment; all of them where it is not known.
fn rds_roots(region: Option<&str>) -> String {
    let of_region = |block: &&str| region.is_some_and(|region| block.trim_start().starts_with(&format!("{region} ")));
    let certificates: Vec<_> = RDS_ROOTS.split('#').filter(of_region).collect();
    if certificates.is_empty() { RDS_ROOTS.to_owned() } else { certificates.join("#") }
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
                None => rds_roots(start.base.region.as_deref()).into_bytes(),
                Some(path) => std::fs::read(path)
                    .map_err(|error| faults.push(format!("DATABASE_CA_FILE cannot be read ({})", error.kind())))
                    .ok()?,
            };
            options = options.ssl_root_cert_from_pem(roots);
        }
        Some(Self { options, secret_id: config.secret_id, source: start.secrets.clone(), login: Mutex::new(login) })
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
        let options = self
            .options
            .clone()
            .username(&login.username)
            .password(login.password.expose_secret())
            .statement_cache_capacity(STATEMENTS);
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(pem: &str) -> usize {
        pem.matches("-----BEGIN CERTIFICATE-----").count()
    }

    #[test]
    fn a_region_trusts_its_own_roots_and_an_unknown_one_all() {
        assert_eq!(count(&rds_roots(Some("us-east-1"))), 3);
        assert_eq!(count(&rds_roots(Some("us-east"))), count(RDS_ROOTS));
        assert_eq!(count(&rds_roots(None)), count(RDS_ROOTS));
    }
}
