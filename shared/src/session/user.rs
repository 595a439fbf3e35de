//! A user, as callers see it: never a password or its hash.

use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

/// A user's own columns.
#[derive(Debug, Clone, Serialize)]
pub struct User {
    /// Its id.
    pub id: Uuid,
    /// Its address, in lower case.
    pub email: String,
    /// What it is called.
    pub display_name: String,
    /// Its role.
    pub role: String,
    /// `active` or `inactive`.
    pub status: String,
    /// Counts its changes.
    pub version: i64,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    /// When it last signed in.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_login_at: Option<OffsetDateTime>,
}
