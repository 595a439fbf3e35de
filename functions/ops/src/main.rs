//! The `ops` function: what operators do, by IAM. It has no route.
//!
//! `ops '{"action":"migrate"}'` runs one action and prints its answer, where
//! no Lambda runtime is at hand.

use std::{io::Write, process::ExitCode, sync::Arc};

use lambda_runtime::{LambdaEvent, service_fn};
use shared::{
    clock::SystemClock,
    config::{self, BaseConfig, Faults},
    lambda::Start,
    secrets::SecretsManager,
    telemetry,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::init(tracing::Level::INFO);
    let outcome = match std::env::args().nth(1) {
        Some(event) => run_once(&event).await,
        None => run_on_lambda().await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(faults) => {
            tracing::error!(%faults, "ops failed");
            ExitCode::FAILURE
        }
    }
}

fn start() -> Result<Start, Faults> {
    let base: BaseConfig = config::from_process()?;
    let secrets = Arc::new(SecretsManager::new(&base));
    Ok(Start { base: Arc::new(base), clock: Arc::new(SystemClock), secrets })
}

async fn run_once(event: &str) -> Result<(), Faults> {
    let action =
        serde_json::from_str(event).map_err(|error| Faults::from(format!("the event is no action: {error}")))?;
    let answer = ops::run(action, &start()?, config::from_process()?).await.map_err(Faults::from)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{answer}").map_err(|error| Faults::from(error.to_string()))
}

async fn run_on_lambda() -> Result<(), Faults> {
    let start = start()?;
    let config: ops::OpsConfig = config::from_process()?;
    let (start, config) = (&start, &config);
    let handler = service_fn(move |event: LambdaEvent<ops::Action>| async move {
        ops::run(event.payload, start, config.clone()).await.map_err(lambda_runtime::Error::from)
    });
    lambda_runtime::run(handler).await.map_err(|error| Faults::from(error.to_string()))
}
