//! The caller's tenant's audit trail: searched, verified, taken out.

mod checkpoints;
mod events;
mod export;
mod seq;
#[cfg(test)]
mod trial;
mod verify;

use http::Method;
use shared::{App, Routes, access::Access::Needs, audit::Action, auth::Permission};

/// Every route of the group, its access and its audit action.
#[must_use]
pub fn routes() -> Routes<App> {
    let read = Needs(Permission::AuditRead);
    Routes::new()
        .route(Method::GET, "/api/v1/audit/events", read, Action::AuditEvents, events::events)
        .route(Method::GET, "/api/v1/audit/verify", read, Action::AuditVerify, verify::verify)
        .route(Method::GET, "/api/v1/audit/export", read, Action::AuditExport, export::export)
        .route(Method::GET, "/api/v1/audit/checkpoints", read, Action::AuditCheckpoints, checkpoints::checkpoints)
}
