//! A todo, as callers see it, and as it is stored: its notes are sealed.

use axum::response::{IntoResponse, Response};
use http::header::ETAG;
use secrecy::ExposeSecret;
use serde::Serialize;
use shared::{
    Caller, Db, Result,
    crypto::{DataKeys, Field},
    etag::etag,
    extract::Json,
    text::Text,
};
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

/// A row of `todos`.
#[derive(Debug)]
pub(crate) struct StoredTodo {
    pub(crate) id: Uuid,
    pub(crate) title: String,
    pub(crate) notes_ciphertext: Option<Vec<u8>>,
    pub(crate) completed: bool,
    pub(crate) due_at: Option<OffsetDateTime>,
    pub(crate) version: i64,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) updated_at: OffsetDateTime,
}

impl StoredTodo {
    /// The todo, whose notes are known.
    pub(crate) fn with_notes(self, notes: Option<String>) -> Todo {
        let Self { id, title, completed, due_at, version, created_at, updated_at, .. } = self;
        Todo { id, title, notes, completed, due_at, version, created_at, updated_at }
    }
}

/// Seals and opens the notes of todos under their tenant's data key.
#[derive(Clone)]
pub(crate) struct SealedNotes {
    pub(crate) keys: DataKeys,
    pub(crate) db: Db,
}

impl SealedNotes {
    /// Has the tenant's key at hand for a transaction in which notes are opened.
    pub(crate) async fn ready(&self, caller: &Caller) -> Result<()> {
        self.keys.ready(&self.db, caller.identity().tenant).await
    }

    pub(crate) async fn seal(&self, caller: &Caller, id: Uuid, notes: Option<&Notes>) -> Result<Option<Vec<u8>>> {
        let Some(notes) = notes else { return Ok(None) };
        self.keys.seal(&self.db, caller.identity().tenant, field(id), notes.as_bytes()).await.map(Some)
    }

    pub(crate) async fn open(&self, caller: &Caller, stored: StoredTodo) -> Result<Todo> {
        let Some(notes) = &stored.notes_ciphertext else { return Ok(stored.with_notes(None)) };
        let notes = self.keys.open_text(&self.db, caller.identity().tenant, field(stored.id), notes).await?;
        Ok(stored.with_notes(Some(notes.expose_secret().to_owned())))
    }
}

fn field(row: Uuid) -> Field {
    Field { table: "todos", column: "notes", row }
}
