//! The database.

use super::{Config, Environment, is_loopback};

/// Where the database is and which secret opens it.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// The host's name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database's name.
    pub name: String,
    /// Whether the connection is encrypted and the host's certificate checked.
    pub tls: bool,
    /// A PEM file of roots to trust in place of Amazon RDS's own.
    pub ca_file: Option<String>,
    /// What stands between us and Postgres.
    pub pool_mode: PoolMode,
    /// The id of the secret `{"username","password"}`.
    pub secret_id: String,
}

/// How long one server connection is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    /// As long as we hold ours, or seemingly so: Postgres itself, RDS Proxy, and
    /// poolers that track prepared statements (`PgBouncer` from 1.21 on, with
    /// `max_prepared_statements`). Statements are prepared once, by name.
    Session,
    /// For one transaction: any other pooler. Nothing is prepared by name, and
    /// a read takes four round trips in place of one.
    Transaction,
}

impl Config for DatabaseConfig {
    fn read(env: &mut Environment<'_>) -> Self {
        let host = env.required("DATABASE_HOST", "the host name of Postgres or of its proxy");
        let tls = env.parsed("DATABASE_TLS", true, "verify-full or disable", |text| match text {
            "verify-full" => Some(true),
            "disable" => Some(false),
            _ => None,
        });
        if !tls && !is_loopback(&host) {
            env.fault("DATABASE_TLS may be disable only where DATABASE_HOST is on loopback");
        }
        Self {
            host,
            port: env.parsed("DATABASE_PORT", 5432, "a port number", |text| text.parse().ok()),
            name: env.required("DATABASE_NAME", "the name of the database"),
            tls,
            pool_mode: env.parsed(
                "DATABASE_POOL_MODE",
                PoolMode::Session,
                "session or transaction",
                |text| match text {
                    "session" => Some(PoolMode::Session),
                    "transaction" => Some(PoolMode::Transaction),
                    _ => None,
                },
            ),
            ca_file: env.optional("DATABASE_CA_FILE"),
            secret_id: env.required("DATABASE_SECRET_ID", "the name or ARN of the secret {\"username\",\"password\"}"),
        }
    }
}
