//! `/api/v1/auth/sessions`: where a user is signed in.

pub(crate) mod delete;
pub(crate) mod list;

use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::device;

/// A session, as its user sees it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Session {
    id: Uuid,
    /// What the user may know it by, e.g. `Firefox on Windows`.
    device: String,
    /// The client's address at sign-in.
    source_address: Option<String>,
    /// Whether it is the session that asks.
    current: bool,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// The last sign-in or refresh. Unused for 7 days it ends.
    #[serde(with = "time::serde::rfc3339")]
    last_used_at: OffsetDateTime,
    /// When it ends, however often it is used.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

/// Its columns.
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) user_agent: Option<String>,
    pub(crate) source_address: Option<String>,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) last_used_at: OffsetDateTime,
    pub(crate) expires_at: OffsetDateTime,
}

impl Row {
    /// `asking` is the session of the request.
    pub(crate) fn seen_from(self, asking: Uuid) -> Session {
        Session {
            id: self.id,
            device: device::label(self.user_agent.as_deref()),
            source_address: self.source_address,
            current: self.id == asking,
            created_at: self.created_at,
            last_used_at: self.last_used_at,
            expires_at: self.expires_at,
        }
    }
}

#[cfg(test)]
mod tests;
