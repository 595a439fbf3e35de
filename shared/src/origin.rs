//! Where a request came from.

use std::{net::IpAddr, sync::Arc};

use axum::extract::{FromRequestParts, Request};
use http::{HeaderMap, HeaderName, header::USER_AGENT, request::Parts};
use lambda_http::{RequestExt, request::RequestContext};

use crate::{
    clock::SharedClock,
    error::{Code, Error, Result},
};

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// An id of 1 to 128 characters of `A-Za-z0-9._-`: the caller's, or ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn read(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(X_REQUEST_ID)?.to_str().ok()?;
        let clean = text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-'));
        ((1..=128).contains(&text.len()) && clean).then(|| Self(text.into()))
    }
}

/// Where a request came from; extract it in a public handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The request's id.
    pub request_id: RequestId,
    /// The client's address, as API Gateway saw it: never a forwarded header.
    pub source_address: Option<IpAddr>,
    /// The client's `User-Agent`, cut to 512 characters.
    pub user_agent: Option<String>,
}

impl Origin {
    pub(crate) fn of(request: &Request, clock: &SharedClock) -> Self {
        let request_id =
            RequestId::read(request.headers()).unwrap_or_else(|| RequestId(clock.new_id().to_string().into()));
        let source_address = match request.request_context_ref() {
            Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref(),
            _ => None,
        };
        let user_agent = request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok());
        Self {
            request_id,
            source_address: source_address.and_then(|address| address.parse().ok()),
            user_agent: user_agent.map(|text| text.chars().take(512).collect()),
        }
    }

    /// The client's address as text.
    #[must_use]
    pub fn source_address_text(&self) -> Option<String> {
        self.source_address.map(|address| address.to_string())
    }
}

impl<S: Sync> FromRequestParts<S> for Origin {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Code::Internal.into())
    }
}
