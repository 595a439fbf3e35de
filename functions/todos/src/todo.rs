//! A todo, as callers see it.

use axum::response::{IntoResponse, Response};
use http::header::ETAG;
use serde::Serialize;
use shared::{etag::etag, extract::Json, text::Text};
use time::OffsetDateTime;
use uuid::Uuid;

pub(crate) type Title = Text<1, 200>;
pub(crate) type Notes = Text<0, 10_000>;

/// One of the caller's own todos.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Todo {
    pub(crate) id: Uuid,
    pub(crate) title: String,
    pub(crate) notes: Option<String>,
    pub(crate) completed: bool,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) due_at: Option<OffsetDateTime>,
    pub(crate) version: i64,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) updated_at: OffsetDateTime,
}

impl IntoResponse for Todo {
    fn into_response(self) -> Response {
        ([(ETAG, etag(self.version))], Json(self)).into_response()
    }
}
