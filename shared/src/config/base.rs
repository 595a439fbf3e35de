//! What every function reads.

use std::time::Duration;

use super::{Config, Environment, is_loopback, url::url_host};

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
