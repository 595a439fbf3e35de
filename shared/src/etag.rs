//! Strong entity tags of versioned resources, and their preconditions (RFC 9110, 8.8 and 13).

use axum::extract::FromRequestParts;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{IF_MATCH, IF_NONE_MATCH},
    request::Parts,
};

use crate::error::{Code, Error, Result};

/// The tag of a resource's `version`.
#[must_use]
pub fn etag(version: i64) -> HeaderValue {
    HeaderValue::try_from(format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// `If-Match`, which a change must carry: `REQ_006` where it is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IfMatch(Vec<String>);

impl IfMatch {
    /// Succeeds where the header names `version`; `*` names any.
    ///
    /// # Errors
    /// `REQ_007`.
    pub fn check(&self, version: i64) -> Result<()> {
        if names(&self.0, version) { Ok(()) } else { Err(Code::ResourceChanged.into()) }
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self> {
        tags(&parts.headers, &IF_MATCH)
            .map(Self)
            .ok_or_else(|| Error::new(Code::IfMatchRequired).detail("Send If-Match with the resource's ETag."))
    }
}

/// `If-None-Match`, if it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IfNoneMatch(Option<Vec<String>>);

impl IfNoneMatch {
    /// Whether the caller has `version` already and wants a 304.
    #[must_use]
    pub fn holds(&self, version: i64) -> bool {
        self.0.as_ref().is_some_and(|tags| {
            // Weak comparison (RFC 9110, 13.1.2): W/ does not matter here.
            let tags: Vec<_> = tags.iter().map(|tag| tag.trim_start_matches("W/").to_owned()).collect();
            names(&tags, version)
        })
    }
}

impl<S: Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self> {
        Ok(Self(tags(&parts.headers, &IF_NONE_MATCH)))
    }
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<String>> {
    let mut values = headers.get_all(name).iter().peekable();
    values.peek()?;
    let lists = values.filter_map(|value| value.to_str().ok());
    Some(lists.flat_map(|list| list.split(',')).map(|tag| tag.trim().to_owned()).collect())
}

fn names(tags: &[String], version: i64) -> bool {
    tags.iter().any(|tag| tag == "*" || *tag == format!("\"{version}\""))
}
