//! `serve()`: the whole cold start of a function on one screen.

use std::{
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
};

use axum::{Router, middleware::from_fn_with_state};
use http::{Request, Response};
use http_body_util::BodyExt;
use lambda_http::{Adapter, Body, LambdaEvent, lambda_runtime, tower::ServiceExt};
use tokio::runtime::Builder;
use tower::util::MapRequest;

use crate::{
    app::Group,
    config::{self, BaseConfig, Faults},
    event::clean,
    layers::{Boundary, boundary},
    routes::Routes,
    secrets::Secrets,
    start::Start,
    telemetry,
};

/// Runs a function until Lambda ends it. A fault at the start is logged, all
/// of it in one line, and ends the process at once.
#[must_use]
pub fn serve<G: Group>(routes: Routes<G>) -> ExitCode {
    let config = config::from_process::<(BaseConfig, G::Config)>();
    telemetry::init(config.as_ref().map_or(tracing::Level::INFO, |(base, _)| base.log_level));
    match config.and_then(|(base, config)| run(base, config, routes)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(faults) => {
            tracing::error!(%faults, "the function cannot start");
            ExitCode::FAILURE
        }
    }
}

fn run<G: Group>(base: BaseConfig, config: G::Config, routes: Routes<G>) -> Result<(), Faults> {
    // Requests come one at a time, unless Lambda says otherwise: one thread
    // answers them in 0.6 times the time that several need.
    let mut runtime =
        if base.max_concurrency > 1 { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    let runtime = runtime.enable_all().build().map_err(|error| Faults::from(error.to_string()))?;
    runtime.block_on(async {
        let start = Start::on_lambda(base);
        let group = build::<G>(config, &start).await?;
        // An outage is no fault of the configuration: the requests that meet
        // it are told 503, and the first one after it connects.
        if let Some(db) = group.db()
            && let Err(cause) = db.connect().await
        {
            tracing::warn!(?cause, "not connected yet");
        }
        let app = router(routes, &group, &start)?;
        let service = lambda_http::service_fn(move |request| respond(app.clone(), request));
        let service = MapRequest::new(Adapter::from(service), |LambdaEvent { payload, context }| {
            LambdaEvent::new(clean(payload), context)
        });
        lambda_runtime::run_concurrent(service).await.map_err(|error| Faults::from(error.to_string()))
    })
}

/// Reads a group's secrets and builds its state.
pub(crate) async fn build<G: Group>(config: G::Config, start: &Start) -> Result<G, Faults> {
    let mut ids = G::secret_ids(&config);
    // One secret may stand for two things; a batch takes each id once.
    ids.sort_unstable();
    ids.dedup();
    let secrets = if ids.is_empty() { Secrets::default() } else { start.secrets.read(&ids).await? };
    G::build(config, &secrets, start).await
}

/// The group's routes within the layers.
pub(crate) fn router<G: Group>(routes: Routes<G>, group: &G, start: &Start) -> Result<Router, Faults> {
    let state = Boundary {
        config: start.base.clone(),
        clock: start.clock.clone(),
        db: group.db().cloned(),
        cold: Arc::new(AtomicBool::new(true)),
    };
    Ok(routes.into_router(group)?.layer(from_fn_with_state(state, boundary)))
}

/// One event in, one response out.
pub(crate) async fn respond(
    router: Router,
    request: Request<Body>,
) -> Result<Response<Body>, std::convert::Infallible> {
    let response = router.oneshot(request).await?;
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let body = match String::from_utf8(bytes.into()) {
        Ok(text) if text.is_empty() => Body::Empty,
        Ok(text) => Body::Text(text),
        Err(binary) => Body::Binary(binary.into_bytes()),
    };
    Ok(Response::from_parts(parts, body))
}
