//! `Json`, `Form`, `Path` and `Query` as axum has them, but with our error body.

mod form;

use axum::{
    extract::{FromRequest, FromRequestParts, OptionalFromRequest, Request},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE, request::Parts};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};

use time::{OffsetDateTime, UtcOffset, format_description::well_known};

pub use form::Form;

use crate::{
    clock::to_microseconds,
    error::{Code, Error, Result},
};

/// A JSON body: 415 for another content type, 400 where it is no JSON, 422
/// with the field's name where a value does not fit. As a response, JSON.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        parse_json(&json_bytes(request, state).await?).map(Self)
    }
}

/// `Option<Json<T>>`: none where the body is empty, whatever type it states.
impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequest<S> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>> {
        let states_json = is_json(request.headers());
        let bytes = body_bytes(request, state).await?;
        match bytes.is_empty() {
            true => Ok(None),
            false if states_json => parse_json(&bytes).map(|value| Some(Self(value))),
            false => Err(not_json()),
        }
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], bytes).into_response(),
            Err(cause) => Error::new(Code::Internal).caused_by(cause).into_response(),
        }
    }
}

/// The bytes of a body that says it is JSON.
pub(crate) async fn json_bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes> {
    if !is_json(request.headers()) {
        return Err(not_json());
    }
    body_bytes(request, state).await
}

fn not_json() -> Error {
    Error::new(Code::UnsupportedContentType).detail("Send application/json.")
}

async fn body_bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes> {
    let bytes = Bytes::from_request(request, state).await;
    bytes.map_err(|cause| Error::new(Code::MalformedRequest).caused_by(cause))
}

/// Reads `body` as a `T`.
///
/// # Errors
/// `REQ_001` where it is no JSON, `VAL_001` where a value does not fit.
pub(crate) fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    // serde would take an array for a struct, one element a field.
    if !body.trim_ascii_start().starts_with(b"{") {
        serde_json::from_slice::<IgnoredAny>(body).map_err(malformed)?;
        return Err(Error::new(Code::ValidationFailed).detail("The body must be a JSON object."));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        if cause.is_data() { field_error(&path, &cause.to_string()) } else { malformed(cause) }
    })?;
    reader.end().map_err(malformed)?;
    Ok(value)
}

/// Path parameters. One that cannot be an id is answered as an id that does
/// not exist.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        #[expect(clippy::disallowed_types, reason = "this is the wrapper")]
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        // The rejection quotes the value, which may be anything: not for the log.
        path.map(|path| Self(path.0)).map_err(|_| Code::NotFound.into())
    }
}

/// The query string: 422 with the parameter's name where a value does not fit.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self> {
        let query = parts.uri.query().unwrap_or_default();
        let reader = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
        serde_path_to_error::deserialize(reader).map(Self).map_err(|error| {
            let path = error.path().to_string();
            field_error(&path, &error.into_inner().to_string())
        })
    }
}

/// A field of a PATCH that may be cleared. Use with `#[serde(default)]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Change<T> {
    /// Absent: it stays.
    #[default]
    Keep,
    /// Null: it is cleared.
    Clear,
    /// Its new value.
    Set(T),
}

impl<T> Change<T> {
    /// Whether the field is to be written.
    pub const fn is_given(&self) -> bool {
        !matches!(self, Self::Keep)
    }

    /// Its new value, if it has one.
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(reader)?.map_or(Self::Clear, Self::Set))
    }
}

/// For a field of a PATCH that may not be cleared: absent is `None`, null is
/// refused. Use with `#[serde(default, deserialize_with = "if_given")]`.
///
/// # Errors
/// As `T`'s own.
pub fn if_given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(reader: D) -> Result<Option<T>, D::Error> {
    T::deserialize(reader).map(Some)
}

/// A time as callers send it: RFC 3339, with any offset that leaves the year
/// in UTC between 0 and 9999, so that it can be written again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Rfc3339(pub OffsetDateTime);

impl TryFrom<String> for Rfc3339 {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let time = OffsetDateTime::parse(&text, &well_known::Rfc3339).ok();
        let time = time.and_then(|time| time.checked_to_offset(UtcOffset::UTC)).filter(|time| time.year() >= 0);
        time.map(|time| Self(to_microseconds(time))).ok_or("must be an RFC 3339 time")
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    states(headers, "application/json")
}

/// Whether the body says that it is of this type, in UTF-8.
fn states(headers: &HeaderMap, essence: &str) -> bool {
    let Some(Ok(content_type)) = headers.get(CONTENT_TYPE).map(|value| value.to_str()) else { return false };
    let mut parts = content_type.split(';').map(str::trim);
    parts.next().is_some_and(|stated| stated.eq_ignore_ascii_case(essence))
        && parts
            .all(|parameter| parameter.is_empty() || parameter.to_ascii_lowercase().replace('"', "") == "charset=utf-8")
}

fn malformed(cause: serde_json::Error) -> Error {
    Error::new(Code::MalformedRequest).detail("The body is not well-formed JSON.").caused_by(cause)
}

/// Puts serde's message into our words: its own would show library text, and
/// values that the caller sent.
fn field_error(path: &str, message: &str) -> Error {
    let name = |message: &str| message.split('`').nth(1).unwrap_or_default().to_owned();
    let inside = |name: String| match path {
        "." | "" => name,
        // An unknown field's path ends in its own name, a missing one's does not.
        path if path == name || path.ends_with(&format!(".{name}")) => path.to_owned(),
        path => format!("{path}.{name}"),
    };
    if message.starts_with("unknown field") {
        Error::field(inside(name(message)), "is not a field of this request")
    } else if message.starts_with("missing field") {
        Error::field(inside(name(message)), "is required")
    } else if message.starts_with("duplicate field") {
        Error::field(inside(name(message)), "must be given once")
    } else if message.starts_with("must ") {
        let ours = message.split(" at line ").next().unwrap_or(message);
        Error::field(path, ours.to_owned())
    } else {
        Error::field(path, "has a value of the wrong type or form")
    }
}
