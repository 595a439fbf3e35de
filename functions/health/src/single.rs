//! `GET /api/v1/health/{live,ready,database,secrets,cache}`

use axum::extract::State;

use crate::{
    Health,
    check::{Check, Status},
};

/// The process answers; nothing is touched.
pub(crate) async fn live() -> Check {
    Check::HEALTHY
}

/// Requests can be served: database and secrets can be had.
pub(crate) async fn ready(State(health): State<Health>) -> Check {
    let (database, secrets) = tokio::join!(health.database(), health.secrets());
    if database.status == Status::Healthy { secrets } else { database }
}

/// The database answers.
pub(crate) async fn database(State(health): State<Health>) -> Check {
    health.database().await
}

/// Secrets Manager answers.
pub(crate) async fn secrets(State(health): State<Health>) -> Check {
    health.secrets().await
}

/// No cache is configured in this version.
pub(crate) async fn cache() -> Check {
    Check::DISABLED
}
