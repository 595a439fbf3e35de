//! Where the functions run: their binaries, their environment, their database.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, fs, thread};

use serde_json::Value;

use crate::secrets::Endpoint;
use crate::{Result, args::Args};

/// Memory that Lambda gives one vCPU for, in MB.
const MEMORY_PER_CPU: usize = 1769;

/// How far away the database is.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Distance {
    /// Where it is, with nothing between.
    Near,
    /// This round-trip time, through the relay.
    Away(Duration),
}

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Near => f.write_str("near"),
            Self::Away(rtt) => write!(f, "{rtt:?} away"),
        }
    }
}

/// What every process of a function is given.
pub(crate) struct Setting {
    /// Where the database listens, if there is one.
    pub(crate) database: Option<(String, u16)>,
    /// The Secrets Manager, if there is one.
    pub(crate) secrets: Option<Endpoint>,
    binaries: PathBuf,
    logs: PathBuf,
    own: HashMap<&'static str, String>,
}

impl Setting {
    /// Reads it from the process's environment, and the floor's database login
    /// from Secrets Manager or from `TEST_DATABASE_URL`.
    ///
    /// # Errors
    /// The logs' folder cannot be made, or the login's secret cannot be read.
    pub(crate) fn read(args: &Args) -> Result<Self> {
        let logs = args.target.join("bench-logs");
        drop(fs::remove_dir_all(&logs));
        fs::create_dir_all(&logs)?;
        let secrets = variable("AWS_ENDPOINT_URL").map(|url| Endpoint::parse(&url)).transpose()?;
        let mut setting =
            Self { database: None, secrets, binaries: args.target.join("release"), logs, own: HashMap::new() };
        if let Some(login) = setting.login()? {
            let port = login.port.parse().map_err(|_| "DATABASE_PORT is not a port")?;
            setting.database = Some((login.host.clone(), port));
            setting.own.extend([
                ("DATABASE_HOST", login.host),
                ("DATABASE_PORT", login.port),
                ("DATABASE_NAME", login.name),
                ("FLOOR_DATABASE_USER", login.user),
                ("FLOOR_DATABASE_PASSWORD", login.password),
            ]);
        }
        Ok(setting)
    }

    /// The same setting with another Secrets Manager.
    pub(crate) fn with_secrets(&self, secrets: Endpoint) -> Self {
        let url = secrets.url();
        Self { secrets: Some(secrets), ..self.with([("AWS_ENDPOINT_URL", url)]) }
    }

    /// The same setting with these variables set otherwise.
    pub(crate) fn with(&self, variables: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let mut own = self.own.clone();
        own.extend(variables);
        let (binaries, logs) = (self.binaries.clone(), self.logs.clone());
        Self { database: self.database.clone(), secrets: self.secrets.clone(), binaries, logs, own }
    }

    /// The release binary of a function.
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        self.binaries.join(name)
    }

    /// Whether a function is built.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.binary(name).is_file()
    }

    /// Where a function's output goes.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.logs.join(name).with_extension("log")
    }

    /// What is set beside the harness's own environment.
    pub(crate) fn environment(&self, name: &str) -> Vec<(&'static str, String)> {
        let cpus = if is_hashing(name) { threads() } else { 1 };
        let mut environment: Vec<_> = self.own.iter().map(|(name, value)| (*name, value.clone())).collect();
        environment.extend([
            ("AWS_LAMBDA_FUNCTION_NAME", name.to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", (cpus * MEMORY_PER_CPU).to_string()),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}")),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "bench".to_owned()),
        ]);
        // The harness is one address.
        environment.push(("AUTH_RATE_LIMIT_PER_MINUTE", "1000000".to_owned()));
        if is_hashing(name) {
            environment.push(("RAYON_NUM_THREADS", cpus.to_string()));
        }
        environment
    }

    fn login(&self) -> Result<Option<Login>> {
        let url = variable("TEST_DATABASE_URL").and_then(|url| Login::parse(&url));
        let (Some(host), Some(name)) = (variable("DATABASE_HOST"), variable("DATABASE_NAME")) else { return Ok(url) };
        let port = variable("DATABASE_PORT").unwrap_or_else(|| "5432".to_owned());
        let (user, password) = match (&self.secrets, variable("DATABASE_SECRET_ID")) {
            (Some(secrets), Some(id)) => {
                let secret: Value = serde_json::from_str(&secrets.value(&id)?)?;
                let field = |name: &str| secret[name].as_str().map(str::to_owned);
                field("username").zip(field("password")).ok_or("DATABASE_SECRET_ID is not a database login")?
            }
            _ => url.map(|url| (url.user, url.password)).ok_or("no login for DATABASE_HOST")?,
        };
        Ok(Some(Login { host, port, name, user, password }))
    }
}

/// How many threads a password hash gets: as many as this machine has cores
/// for its four lanes.
pub(crate) fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(4)
}

/// The names of the functions in the workspace at `root`.
pub(crate) fn functions(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root.join("functions")).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// A variable of the harness's own environment, if set and not empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the harness reads its environment here only")]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn is_hashing(name: &str) -> bool {
    matches!(name, "auth" | "floor-hash")
}

struct Login {
    host: String,
    port: String,
    name: String,
    user: String,
    password: String,
}

impl Login {
    /// Reads `postgres://user:password@host:port/name`.
    fn parse(url: &str) -> Option<Self> {
        let (login, place) = url.split_once("://")?.1.rsplit_once('@')?;
        let (user, password) = login.split_once(':')?;
        let (address, name) = place.split_once('/')?;
        let (host, port) = address.rsplit_once(':').unwrap_or((address, "5432"));
        let name = name.split('?').next()?;
        let [host, port, name, user, password] = [host, port, name, user, password].map(str::to_owned);
        Some(Self { host, port, name, user, password })
    }
}
