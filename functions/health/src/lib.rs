//! Health checks, public. Nothing is connected or read before a check asks for
//! it, so that `GET /api/v1/health/live` says what a cold start costs by itself.

mod check;
mod overview;
mod single;
mod state;
#[cfg(test)]
mod trial;

use http::Method;
use shared::{Routes, access::Access::Public, audit::Action};

pub use state::Health;

/// Every route of the group, its access and its audit action.
#[must_use]
pub fn routes() -> Routes<Health> {
    let action = Action::HealthRead;
    Routes::new()
        .route(Method::GET, "/api/v1/health", Public, action, overview::overview)
        .route(Method::GET, "/api/v1/health/live", Public, action, single::live)
        .route(Method::GET, "/api/v1/health/ready", Public, action, single::ready)
        .route(Method::GET, "/api/v1/health/database", Public, action, single::database)
        .route(Method::GET, "/api/v1/health/secrets", Public, action, single::secrets)
        .route(Method::GET, "/api/v1/health/cache", Public, action, single::cache)
}
