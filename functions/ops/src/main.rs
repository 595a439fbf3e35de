//! The `ops` function: what operators do, by IAM. It has no route.
//!
//! `ops '{"action":"migrate"}'` runs one action and prints its answer, where
//! no Lambda runtime is at hand.

use std::{io::Write, process::ExitCode};

use lambda_runtime::{LambdaEvent, service_fn};
use ops::OpsConfig;
use shared::{
    config::{self, BaseConfig},
    start::Start,
    telemetry,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let config = config::from_process::<(BaseConfig, OpsConfig)>();
    telemetry::init(config.as_ref().map_or(tracing::Level::INFO, |(base, _)| base.log_level));
    let outcome = match (config, std::env::args().nth(1)) {
        (Err(faults), _) => Err(faults.to_string()),
        (Ok((base, config)), Some(event)) => run_once(&Start::on_lambda(base), config, &event).await,
        (Ok((base, config)), None) => run_on_lambda(&Start::on_lambda(base), &config).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            tracing::error!(cause, "ops failed");
            ExitCode::FAILURE
        }
    }
}

async fn run_once(start: &Start, config: OpsConfig, event: &str) -> Result<(), String> {
    let action = serde_json::from_str(event).map_err(|error| format!("the event is no action: {error}"))?;
    let answer = ops::run(action, start, config).await?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{answer}").map_err(|error| error.to_string())
}

async fn run_on_lambda(start: &Start, config: &OpsConfig) -> Result<(), String> {
    let handler = service_fn(move |event: LambdaEvent<ops::Action>| async move {
        let config = OpsConfig { request_id: Some(event.context.request_id), ..config.clone() };
        ops::run(event.payload, start, config).await.map_err(lambda_runtime::Error::from)
    });
    lambda_runtime::run(handler).await.map_err(|error| error.to_string())
}
