//! Configuration: the only reader of the environment. It reads everything that
//! a function needs and reports every fault at once, by name.

use std::{fmt, net::IpAddr, time::Duration};

/// What a function reads from its environment.
pub trait Config: Sized {
    /// Reads it. Faults are noted in `env`; what stands in for a faulty value
    /// is never used.
    fn read(env: &mut Environment<'_>) -> Self;
}

impl<A: Config, B: Config> Config for (A, B) {
    fn read(env: &mut Environment<'_>) -> Self {
        (A::read(env), B::read(env))
    }
}

/// Reads a `C` from the process's environment.
///
/// # Errors
/// Every fault, by the variable's name.
pub fn from_process<C: Config>() -> Result<C, Faults> {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    from_lookup(&|name| std::env::var(name).ok())
}

/// Reads a `C` by `lookup`.
///
/// # Errors
/// Every fault, by the variable's name.
pub fn from_lookup<C: Config>(lookup: &dyn Fn(&str) -> Option<String>) -> Result<C, Faults> {
    let mut env = Environment { lookup, faults: Faults::default() };
    let config = C::read(&mut env);
    env.faults.or(config)
}

/// The environment while it is being read.
pub struct Environment<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    faults: Faults,
}

impl Environment<'_> {
    /// A variable that may be absent or empty.
    pub fn optional(&mut self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// A variable that must be there; `what` says in the fault what it is.
    pub fn required(&mut self, name: &str, what: &str) -> String {
        self.optional(name).unwrap_or_else(|| {
            self.faults.push(format!("{name} is not set: {what}"));
            String::new()
        })
    }

    /// A variable with a default; `expected` says in the fault what fits.
    pub fn parsed<T>(&mut self, name: &str, default: T, expected: &str, parse: impl Fn(&str) -> Option<T>) -> T {
        let Some(text) = self.optional(name) else { return default };
        parse(&text).unwrap_or_else(|| {
            self.faults.push(format!("{name} must be {expected}"));
            default
        })
    }

    /// Notes a fault of another kind.
    pub fn fault(&mut self, fault: impl Into<String>) {
        self.faults.push(fault);
    }
}

/// What is wrong with a function's configuration or its secrets: all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(Vec<String>);

impl Faults {
    /// Adds a fault: one sentence, with a name and without a value.
    pub fn push(&mut self, fault: impl Into<String>) {
        self.0.push(fault.into());
    }

    /// Adds others.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// `value`, if there is no fault.
    ///
    /// # Errors
    /// The faults.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl From<String> for Faults {
    fn from(fault: String) -> Self {
        Self(vec![fault])
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} fault{} in the configuration:", self.0.len(), if self.0.len() == 1 { "" } else { "s" })?;
        self.0.iter().enumerate().try_for_each(|(index, fault)| write!(f, " ({}) {fault}.", index + 1))
    }
}

impl std::error::Error for Faults {}

/// What every function reads.
#[derive(Debug, Clone)]
pub struct BaseConfig {
    /// The least severe level that is logged.
    pub log_level: tracing::Level,
    /// The CloudWatch namespace of the metrics.
    pub metrics_namespace: String,
    /// The function's name; Lambda sets it.
    pub function_name: String,
    /// The function's memory in MiB; Lambda sets it.
    pub memory_mib: u32,
    /// How many requests one environment serves at once; Lambda Managed
    /// Instances set it.
    pub max_concurrency: u16,
    /// The longest a request may take.
    pub request_timeout: Duration,
    /// The AWS region; Lambda sets it.
    pub region: Option<String>,
    /// Whether AWS is reached in plain text, as an emulator on loopback is.
    pub aws_plaintext: bool,
}

impl Config for BaseConfig {
    fn read(env: &mut Environment<'_>) -> Self {
        let positive = |text: &str| text.parse().ok().filter(|number| *number > 0);
        let endpoint = env.optional("AWS_ENDPOINT_URL").unwrap_or_default();
        if endpoint.starts_with("http://") && !is_loopback(url_host(&endpoint)) {
            env.fault("AWS_ENDPOINT_URL must be https, or on loopback");
        }
        let timeout_ms: u64 = env.parsed("REQUEST_TIMEOUT_MS", 10_000, "100 to 29000 milliseconds", |text| {
            text.parse().ok().filter(|ms| (100..=29_000).contains(ms))
        });
        Self {
            log_level: env.parsed(
                "LOG_LEVEL",
                tracing::Level::INFO,
                "one of error, warn, info, debug, trace",
                |text| text.parse().ok(),
            ),
            metrics_namespace: env.optional("METRICS_NAMESPACE").unwrap_or_else(|| "Tenantry".to_owned()),
            function_name: env.optional("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_else(|| "local".to_owned()),
            memory_mib: env
                .parsed("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", 1024, "a number of MiB", |text| positive(text))
                .try_into()
                .unwrap_or(u32::MAX),
            max_concurrency: env
                .parsed("AWS_LAMBDA_MAX_CONCURRENCY", 1, "a positive number", positive)
                .try_into()
                .unwrap_or(u16::MAX),
            request_timeout: Duration::from_millis(timeout_ms),
            region: env.optional("AWS_REGION"),
            aws_plaintext: endpoint.starts_with("http://"),
        }
    }
}

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

/// Who issues our tokens, and for whom.
#[derive(Debug, Clone)]
pub struct TokenConfig {
    /// The issuer, as it stands in `iss`: the API's base URL, to which the
    /// paths of its documents are added (`OpenID` Connect Discovery 1.0, 4).
    pub issuer: String,
    /// The audience, as it stands in `aud`.
    pub audience: String,
    /// The id of the secret that is a JWK Set of public keys.
    pub public_keys_secret_id: String,
}

impl Config for TokenConfig {
    fn read(env: &mut Environment<'_>) -> Self {
        let issuer = env.required("TOKEN_ISSUER", "the https URL that stands in every token's iss");
        let sound = issuer.starts_with("https://") || (issuer.starts_with("http://") && is_loopback(url_host(&issuer)));
        // Where an issuer's documents are is its URL and a fixed path: ours are under this base.
        if !issuer.is_empty() && (!sound || !issuer.ends_with("/api/v1") || issuer.contains(['?', '#'])) {
            env.fault(
                "TOKEN_ISSUER must be an https URL (http on loopback) that ends in /api/v1, without query or fragment",
            );
        }
        Self {
            issuer,
            audience: env.required("TOKEN_AUDIENCE", "the audience that stands in every token's aud"),
            public_keys_secret_id: env
                .required("TOKEN_PUBLIC_KEYS_SECRET_ID", "the name or ARN of the secret with the public JWK Set"),
        }
    }
}

/// Whether `text` is a web origin as browsers state it (RFC 6454, 6.2): https,
/// or http on loopback, a host and perhaps a port, all in lower case.
#[must_use]
pub fn is_web_origin(text: &str) -> bool {
    let (host, plaintext) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(host), _) => (host, false),
        (None, Some(host)) => (host, true),
        (None, None) => return false,
    };
    let (name, port) = host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).unwrap_or((host, "1"));
    let sound = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-[]:".contains(&byte);
    !name.is_empty()
        && name.bytes().all(sound)
        && port.parse::<u16>().is_ok_and(|number| number > 0 && number.to_string() == port)
        && (!plaintext || is_loopback(name))
}

/// Whether `host` is this machine, by name or address.
pub(crate) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The host in `url`, without its port.
fn url_host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|c| c.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type All = (DatabaseConfig, (TokenConfig, BaseConfig));

    fn read(pairs: &[(&str, &str)]) -> Result<All, Faults> {
        from_lookup(&|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    const GOOD: &[(&str, &str)] = &[
        ("DATABASE_HOST", "db.example.com"),
        ("DATABASE_NAME", "tenantry"),
        ("DATABASE_SECRET_ID", "database"),
        ("TOKEN_ISSUER", "https://auth.example.com/api/v1"),
        ("TOKEN_AUDIENCE", "tenantry"),
        ("TOKEN_PUBLIC_KEYS_SECRET_ID", "token-public-keys"),
    ];

    #[test]
    fn every_fault_is_reported_at_once_by_name_and_without_a_value() {
        let faults = read(&[("DATABASE_PORT", "s3cret"), ("LOG_LEVEL", "loud"), ("DATABASE_TLS", "disable")]);
        insta::assert_snapshot!(faults.err().map(|faults| faults.to_string()).unwrap_or_default(), @"9 faults in the configuration: (1) DATABASE_HOST is not set: the host name of Postgres or of its proxy. (2) DATABASE_TLS may be disable only where DATABASE_HOST is on loopback. (3) DATABASE_PORT must be a port number. (4) DATABASE_NAME is not set: the name of the database. (5) DATABASE_SECRET_ID is not set: the name or ARN of the secret {\"username\",\"password\"}. (6) TOKEN_ISSUER is not set: the https URL that stands in every token's iss. (7) TOKEN_AUDIENCE is not set: the audience that stands in every token's aud. (8) TOKEN_PUBLIC_KEYS_SECRET_ID is not set: the name or ARN of the secret with the public JWK Set. (9) LOG_LEVEL must be one of error, warn, info, debug, trace.");
    }

    #[test]
    fn a_web_origin_is_a_scheme_a_host_and_perhaps_a_port() {
        for origin in [
            "https://app.example.com",
            "https://app.example.com:8443",
            "http://127.0.0.1:3000",
            "http://localhost",
            "http://[::1]:80",
        ] {
            assert!(is_web_origin(origin), "{origin}");
        }
        for other in [
            "",
            "null",
            "*",
            "https://",
            "https://*",
            "https://App.example.com",
            "https://app.example.com/",
            "https://app.example.com:",
            "https://app.example.com:0",
            "https://app.example.com:080",
            "https://app.example.com:99999",
            "https://u@app.example.com",
            "https://a b",
            "http://app.example.com",
            "http://localhost.example.com",
            "ftp://app.example.com",
            "app.example.com",
            " https://app.example.com",
        ] {
            assert!(!is_web_origin(other), "{other}");
        }
    }

    #[test]
    fn plain_text_is_for_loopback_only() {
        assert!(read(GOOD).is_ok());
        for (name, value) in [
            ("DATABASE_TLS", "disable"),
            ("TOKEN_ISSUER", "http://auth.example.com/api/v1"),
            ("TOKEN_ISSUER", "https://auth.example.com/api/v1/"),
            ("TOKEN_ISSUER", "https://auth.example.com/"),
            ("TOKEN_ISSUER", "https://auth.example.com"),
            ("TOKEN_ISSUER", "https://auth.example.com/?/api/v1"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1.example.com:5000"),
        ] {
            let pairs: Vec<_> = [(name, value)].into_iter().chain(GOOD.iter().copied()).collect();
            let faults = read(&pairs).err().map(|faults| faults.to_string()).unwrap_or_default();
            assert!(faults.contains(name), "{name}={value}: {faults}");
        }
        let local = [("TOKEN_ISSUER", "http://127.0.0.1:9000/api/v1"), ("AWS_ENDPOINT_URL", "http://[::1]:5000")];
        let pairs: Vec<_> = local.into_iter().chain(GOOD.iter().copied()).collect();
        assert!(read(&pairs).is_ok());
    }
}
