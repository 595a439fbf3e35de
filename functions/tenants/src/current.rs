//! The caller's tenant, as callers see it.

pub(crate) mod read;
pub(crate) mod update;

use axum::response::{IntoResponse, Response};
use http::header::ETAG;
use serde::Serialize;
use shared::{etag::etag, extract::Json};
use time::OffsetDateTime;
use uuid::Uuid;

/// The caller's tenant.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Tenant {
    pub(crate) id: Uuid,
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) version: i64,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) updated_at: OffsetDateTime,
}

impl IntoResponse for Tenant {
    fn into_response(self) -> Response {
        ([(ETAG, etag(self.version))], Json(self)).into_response()
    }
}
