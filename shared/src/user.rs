//! A user, as callers see it: never a password or its hash.

use axum::response::{IntoResponse, Response};
use http::header::ETAG;
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{etag::etag, extract::Json};

/// A user of a tenant.
#[derive(Debug, Clone, Serialize)]
pub struct User {
    /// Its id, which stays its own after it was deleted.
    pub id: Uuid,
    /// What it signs in with, in lower case.
    pub email: String,
    /// What it is called.
    pub display_name: String,
    /// One of [`crate::auth::Role`].
    pub role: String,
    /// `active`, or `inactive`: then it has no session and begins none.
    pub status: String,
    /// Counts its changes. A sign-in is none.
    pub version: i64,
    /// When it was created.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it was changed last.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    /// When it signed in last.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_login_at: Option<OffsetDateTime>,
}

impl IntoResponse for User {
    fn into_response(self) -> Response {
        ([(ETAG, etag(self.version))], Json(self)).into_response()
    }
}
