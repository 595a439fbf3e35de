//! `GET /api/v1/health`

use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use shared::extract::Json;

use crate::{
    Health,
    check::{Check, Status},
};

#[derive(Debug, Serialize)]
pub(crate) struct Overview {
    status: Status,
    version: &'static str,
    checks: Checks,
}

#[derive(Debug, Serialize)]
struct Checks {
    database: Check,
    secrets: Check,
    cache: Check,
}

/// All checks at once.
pub(crate) async fn overview(State(health): State<Health>) -> (StatusCode, Json<Overview>) {
    let (database, secrets) = tokio::join!(health.database(), health.secrets());
    let healthy = database.status == Status::Healthy && secrets.status == Status::Healthy;
    let status = if healthy { Status::Healthy } else { Status::Unhealthy };
    let checks = Checks { database, secrets, cache: Check::DISABLED };
    (status.code(), Json(Overview { status, version: env!("CARGO_PKG_VERSION"), checks }))
}
