//! Errors as callers see them: a registered [`Code`], our own detail, and a
//! source that only the log sees.

mod registry;
mod wire;

use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc};

use axum::response::{IntoResponse, Response};
use serde::Serialize;

pub use registry::Code;
pub(crate) use wire::render;

/// What handlers return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error on its way to the caller. Cheap to clone: it travels in the
/// response's extensions to [`crate::layers`], which renders it.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    code: Code,
    detail: Option<Cow<'static, str>>,
    fields: Vec<FieldError>,
    retry_after_seconds: Option<u64>,
    token_sent: bool,
    recorded: bool,
    counted_as: Option<&'static str>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// A field of the request that is at fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Its path in the request, as `organization.slug`.
    pub field: String,
    /// What it must be, in our own words.
    pub message: Cow<'static, str>,
}

impl Error {
    /// An error that says no more than its code.
    #[must_use]
    pub fn new(code: Code) -> Self {
        Self(Arc::new(Inner {
            code,
            detail: None,
            fields: Vec::new(),
            retry_after_seconds: None,
            token_sent: false,
            recorded: false,
            counted_as: None,
            source: None,
        }))
    }

    /// `VAL_001` at one field; `message` completes "`field` ...".
    #[must_use]
    pub fn field(field: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::ValidationFailed).at(field, message)
    }

    /// Names a field at fault.
    #[must_use]
    pub fn at(self, field: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        self.with(|inner| inner.fields.push(FieldError { field: field.into(), message: message.into() }))
    }

    /// Adds a sentence of ours for the caller; never library text, SQL or a value.
    #[must_use]
    pub fn detail(self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.with(|inner| inner.detail = Some(detail.into()))
    }

    /// Adds the cause, for the log alone.
    #[must_use]
    pub fn caused_by(self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.with(|inner| inner.source = Some(Arc::new(source)))
    }

    /// Adds `Retry-After`.
    #[must_use]
    pub fn retry_after_seconds(self, seconds: u64) -> Self {
        self.with(|inner| inner.retry_after_seconds = Some(seconds))
    }

    /// Notes that a bearer token was sent, which RFC 6750 (3.1) has the
    /// `WWW-Authenticate` header say.
    #[must_use]
    pub(crate) fn token_sent(self) -> Self {
        self.with(|inner| inner.token_sent = true)
    }

    /// Notes that it stands in a trail already.
    #[must_use]
    pub fn recorded(self) -> Self {
        self.with(|inner| inner.recorded = true)
    }

    pub(crate) fn is_recorded(&self) -> bool {
        self.0.recorded
    }

    /// Has the request's line in the log count it as the metric `name`.
    #[must_use]
    pub fn counted_as(self, name: &'static str) -> Self {
        self.with(|inner| inner.counted_as = Some(name))
    }

    /// The metric that it is counted as, if it is one's own.
    pub(crate) fn metric(&self) -> Option<&'static str> {
        self.0.counted_as
    }

    /// Its code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.code.as_str(), self.0.code.message())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut source = self.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = self.code().status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}
