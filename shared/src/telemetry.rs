//! JSON lines: one per request at the boundary, which is its metric too (EMF),
//! and one per event worth telling. Ids only: no body, address, token,
//! password or SQL value.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::Once,
    time::Duration,
};

use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tracing::Level;
use tracing_subscriber::{filter::Targets, fmt::MakeWriter, layer::SubscriberExt, util::SubscriberInitExt};
use uuid::Uuid;

use crate::{auth::Identity, config::BaseConfig, error::Error};

static HOOK: Once = Once::new();

/// Sets up the log and the panic hook, once per process. Of the libraries
/// nothing below INFO is logged: there they tell whole events and answers,
/// with the passwords and secrets in them.
pub fn init(level: Level) {
    let json = tracing_subscriber::fmt::layer().json().flatten_event(true).with_span_list(false).with_writer(Lines);
    let _ = tracing_subscriber::registry().with(levels(level)).with(json).try_init();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let location = panic.location().map(ToString::to_string).unwrap_or_default();
            tracing::error!(location, "panic");
            // A panic's message may hold a value; a failed test's is what it has to say.
            if cfg!(feature = "testing") {
                usual(panic);
            }
        }));
    });
}

fn levels(level: Level) -> Targets {
    let ours = ["shared", "health", "auth", "oidc", "tenants", "users", "todos", "audit", "ops"];
    Targets::new().with_default(level.min(Level::INFO)).with_targets(ours.map(|name| (name, level)))
}

/// One request, as it is logged.
pub(crate) struct RequestLine<'a> {
    pub(crate) config: &'a BaseConfig,
    pub(crate) now: OffsetDateTime,
    pub(crate) request_id: &'a str,
    pub(crate) method: &'a str,
    pub(crate) route: &'a str,
    pub(crate) identity: Option<Identity>,
    pub(crate) status: u16,
    pub(crate) error: Option<&'a Error>,
    pub(crate) duration: Duration,
    pub(crate) cold_start: bool,
}

/// The line on the wire: the log's fields, and CloudWatch's embedded metric
/// format (EMF) that points at some of them.
#[derive(Serialize)]
struct Wire<'a> {
    timestamp: String,
    level: &'static str,
    message: &'static str,
    function: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<Uuid>,
    method: &'a str,
    route: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    duration_ms: f64,
    cold_start: u8,
    client_error: u8,
    server_error: u8,
    /// What the error counts as, by its name.
    #[serde(flatten)]
    counted: Option<BTreeMap<&'static str, u8>>,
    #[serde(rename = "_aws")]
    aws: Emf<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Emf<'a> {
    timestamp: i128,
    cloud_watch_metrics: [Metrics<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metrics<'a> {
    namespace: &'a str,
    dimensions: &'static [&'static [&'static str]],
    #[serde(rename = "Metrics")]
    list: Vec<Metric>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    name: &'static str,
    unit: &'static str,
}

const METRICS: [Metric; 4] = [
    Metric { name: "duration_ms", unit: "Milliseconds" },
    Metric { name: "cold_start", unit: "Count" },
    Metric { name: "client_error", unit: "Count" },
    Metric { name: "server_error", unit: "Count" },
];

/// Writes the one line of a request.
pub(crate) fn request(line: &RequestLine<'_>) {
    let RequestLine { config, now, identity, status, error, .. } = *line;
    let cause = error.filter(|error| std::error::Error::source(error).is_some()).map(|error| format!("{error:?}"));
    // A metric of its own is named only where it counts: each name is paid for.
    let counted = error.and_then(Error::metric);
    let own = counted.map(|name| Metric { name, unit: "Count" });
    let wire = Wire {
        timestamp: now.format(&Rfc3339).unwrap_or_default(),
        level: if status >= 500 { "ERROR" } else { "INFO" },
        message: "request",
        function: &config.function_name,
        request_id: line.request_id,
        tenant_id: identity.map(|identity| identity.tenant.as_uuid()),
        user_id: identity.and_then(|identity| identity.user),
        method: line.method,
        route: line.route,
        status,
        error_code: error.map(|error| error.code().as_str()),
        cause,
        duration_ms: (line.duration.as_secs_f64() * 1e6).round() / 1e3,
        cold_start: line.cold_start.into(),
        client_error: (400..500).contains(&status).into(),
        server_error: (status >= 500).into(),
        counted: counted.map(|name| BTreeMap::from([(name, 1)])),
        aws: Emf {
            timestamp: now.unix_timestamp_nanos() / 1_000_000,
            cloud_watch_metrics: [Metrics {
                namespace: &config.metrics_namespace,
                dimensions: &[&["function"], &["function", "route"]],
                list: METRICS.into_iter().chain(own).collect(),
            }],
        },
    };
    write(&wire);
}

/// Something that is worth a line and counts by itself, outside any request or
/// whatever becomes of the one that met it.
pub(crate) struct Event<'a> {
    pub(crate) config: &'a BaseConfig,
    pub(crate) now: OffsetDateTime,
    pub(crate) failed: bool,
    pub(crate) message: &'a str,
    pub(crate) fields: &'a [(&'static str, Option<&'a str>)],
    /// The metrics (EMF), and by how much each counts.
    pub(crate) counts: &'a [(&'static str, u64)],
}

#[derive(Serialize)]
struct EventWire<'a> {
    timestamp: String,
    level: &'static str,
    message: &'a str,
    function: &'a str,
    #[serde(flatten)]
    fields: BTreeMap<&'static str, &'a str>,
    #[serde(flatten)]
    counts: BTreeMap<&'static str, u64>,
    #[serde(rename = "_aws")]
    aws: Emf<'a>,
}

/// Writes the line of an event.
pub(crate) fn event(event: &Event<'_>) {
    write(&EventWire {
        timestamp: event.now.format(&Rfc3339).unwrap_or_default(),
        level: if event.failed { "WARN" } else { "INFO" },
        message: event.message,
        function: &event.config.function_name,
        fields: event.fields.iter().filter_map(|(name, value)| Some((*name, (*value)?))).collect(),
        counts: event.counts.iter().copied().collect(),
        aws: Emf {
            timestamp: event.now.unix_timestamp_nanos() / 1_000_000,
            cloud_watch_metrics: [Metrics {
                namespace: &event.config.metrics_namespace,
                dimensions: &[&["function"]],
                list: event.counts.iter().map(|(name, _)| Metric { name, unit: "Count" }).collect(),
            }],
        },
    });
}

/// Writes one line that says what was done outside any request; each of its
/// counts is a metric.
pub fn counts(config: &BaseConfig, now: OffsetDateTime, message: &str, counts: &[(&'static str, u64)]) {
    event(&Event { config, now, failed: false, message, fields: &[], counts });
}

/// Writes a warning, and counts it as the metric `name`: what did not keep a
/// request from its answer, but must not stay.
pub(crate) fn warn_counted(config: &BaseConfig, now: OffsetDateTime, name: &'static str, message: &str, cause: &str) {
    event(&Event { config, now, failed: true, message, fields: &[("cause", Some(cause))], counts: &[(name, 1)] });
}

fn write(line: &impl Serialize) {
    if let Ok(mut bytes) = serde_json::to_vec(line) {
        bytes.push(b'\n');
        let _ = Lines.write_all(&bytes);
    }
}

/// Standard output, a line at a time; in a test, the test's own record.
#[derive(Debug, Clone, Copy)]
struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        #[cfg(feature = "testing")]
        if capture::take(bytes) {
            return Ok(bytes.len());
        }
        io::stdout().lock().write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().lock().flush()
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

/// What a test's thread has logged.
#[cfg(feature = "testing")]
pub(crate) mod capture {
    use std::cell::RefCell;

    thread_local! {
        static LINES: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
    }

    pub(crate) fn start() {
        LINES.with_borrow_mut(|lines| *lines = Some(Vec::new()));
    }

    pub(crate) fn drain() -> String {
        LINES.with_borrow_mut(|lines| {
            String::from_utf8_lossy(&lines.as_mut().map(std::mem::take).unwrap_or_default()).into_owned()
        })
    }

    pub(super) fn take(bytes: &[u8]) -> bool {
        LINES.with_borrow_mut(|lines| lines.as_mut().map(|lines| lines.extend(bytes)).is_some())
    }
}
