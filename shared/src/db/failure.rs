//! From the database's errors to ours.

use std::io::ErrorKind;

use sqlx::{
    error::{DatabaseError, Error as SqlxError},
    postgres::{PgDatabaseError, PgSeverity},
};

use crate::error::{Code, Error, Result};

/// Marks the database's word that the key was answered before; it never
/// reaches a caller.
#[derive(Debug, thiserror::Error)]
#[error("answered before")]
pub(crate) struct AnsweredBefore;

/// What went wrong, as the log may say it: never a value.
#[derive(Debug, thiserror::Error)]
#[error("{what}{}{}", on(" constraint", .constraint.as_ref()), on(" SQLSTATE", .sqlstate.as_ref()))]
pub(crate) struct Failure {
    what: String,
    sqlstate: Option<String>,
    constraint: Option<String>,
    /// Whether the connection ended with it.
    ended: bool,
}

fn on(label: &str, value: Option<&String>) -> String {
    value.map(|value| format!(",{label} {value}")).unwrap_or_default()
}

impl Failure {
    /// Reads `error`, which may hold values and goes no further.
    pub(super) fn of(error: &SqlxError) -> Self {
        match error {
            SqlxError::Database(database) => Self {
                what: message(database.as_ref()),
                sqlstate: database.code().map(Into::into),
                constraint: database.constraint().map(Into::into),
                ended: database
                    .try_downcast_ref::<PgDatabaseError>()
                    .is_some_and(|error| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic)),
            },
            // rustls's refusals come as this kind of I/O error.
            SqlxError::Io(io) if io.kind() == ErrorKind::InvalidData => {
                Self::outside("TLS refused the peer".into(), true)
            }
            SqlxError::Io(io) => Self::outside(format!("connection lost ({})", io.kind()), true),
            SqlxError::Tls(_) => Self::outside("TLS handshake failed".into(), true),
            SqlxError::Protocol(_) | SqlxError::WorkerCrashed => Self::outside("protocol broken".into(), true),
            SqlxError::RowNotFound => Self::outside("no row".into(), false),
            SqlxError::ColumnDecode { index, .. } => Self::outside(format!("column {index} unreadable"), false),
            _ => Self::outside("statement failed".into(), false),
        }
    }

    pub(super) fn outside(what: String, ended: bool) -> Self {
        Self { what, sqlstate: None, constraint: None, ended }
    }

    /// The class of the SQLSTATE, and all of it.
    fn sqlstate(&self) -> &str {
        self.sqlstate.as_deref().unwrap_or_default()
    }

    /// Whether the statement may succeed on another connection: this one is
    /// gone (or could not be had: whatever the server calls FATAL, a stop, a
    /// limit, an idle timeout; 08 is a proxy's word for the same), or it lost
    /// what we thought it had prepared.
    pub(super) fn connection_is_lost(&self) -> bool {
        self.ended || self.sqlstate().starts_with("08") || self.statement_is_lost()
    }

    /// Whether a prepared statement was not there, or another was in its
    /// place (26000, 42P05), or a migration changed a table under it (0A000).
    fn statement_is_lost(&self) -> bool {
        matches!(self.sqlstate(), "26000" | "42P05")
            || (self.sqlstate() == "0A000" && self.what.contains("cached plan"))
    }

    pub(super) fn login_was_refused(&self) -> bool {
        matches!(self.sqlstate(), "28P01" | "28000")
    }

    fn code(&self) -> Code {
        match self.sqlstate() {
            "TN001" => Code::SessionEnded,
            "TN002" => Code::TenantSuspended,
            "TN004" => Code::SameRequestInFlight,
            "TN005" => Code::IdempotencyKeyReused,
            // Not recorded (TN003), out of time (57014), lock not had (55P03),
            // deadlock (40P01), read-only after a failover (25006), out of
            // memory or disk (53), a file not read or written (58).
            "TN003" | "57014" | "55P03" | "40P01" | "40001" | "25006" => Code::DatabaseUnavailable,
            state if state.starts_with("53") || state.starts_with("58") || self.connection_is_lost() => {
                Code::DatabaseUnavailable
            }
            _ => Code::Internal,
        }
    }
}

/// The server's message, without those that quote a value (classes 22 and 23).
fn message(error: &dyn DatabaseError) -> String {
    match error.code() {
        Some(code) if code.starts_with("22") => "value refused".into(),
        Some(code) if code.starts_with("23") => "constraint violated".into(),
        _ => error.message().into(),
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        if failure.sqlstate() == "TN006" {
            return Self::new(Code::Internal).caused_by(AnsweredBefore);
        }
        Self::new(failure.code()).caused_by(failure)
    }
}

impl From<SqlxError> for Error {
    fn from(error: SqlxError) -> Self {
        Failure::of(&error).into()
    }
}

/// Constraint names are the bridge from SQL to error codes: never check, then
/// insert.
pub trait OnConstraint<T> {
    /// Answers `error` where the statement violated the constraint `name`.
    ///
    /// # Errors
    /// That error, or the statement's own.
    fn on_constraint(self, name: &str, error: impl FnOnce() -> Error) -> Result<T>;
}

impl<T> OnConstraint<T> for Result<T, SqlxError> {
    fn on_constraint(self, name: &str, error: impl FnOnce() -> Error) -> Result<T> {
        self.map_err(|cause| match &cause {
            SqlxError::Database(database) if database.constraint() == Some(name) => {
                let failure = Failure::of(&cause);
                error().caused_by(failure)
            }
            _ => cause.into(),
        })
    }
}
