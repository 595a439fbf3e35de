//! What every request passes through, from the outside in:
//!
//! 1. `boundary`: request id, clock, the one log line, headers, error bodies;
//! 2. within it the deadline and the panic guard: both must still be logged;
//! 3. the size of the body, before anything reads it;
//! 4. [`crate::access`], a route's own: the rate limit, the caller, then the handler.

use std::{
    net::IpAddr,
    panic::AssertUnwindSafe,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
        X_FRAME_OPTIONS,
    },
    request::Parts,
};
use http_body::Body as _;
use lambda_http::{RequestExt, request::RequestContext};
use tracing::Instrument;

use crate::{
    auth::Identity,
    clock::SharedClock,
    config::BaseConfig,
    db::Db,
    error::{Code, Error, Result, render},
    rate_limit::Standing,
    telemetry::{self, RequestLine},
};

/// The largest body, in bytes.
const BODY_LIMIT: u64 = 1024 * 1024;
/// What is left of Lambda's time for the answer and its record.
const DEADLINE_MARGIN: Duration = Duration::from_millis(500);

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The headers that every response carries, unless it has its own.
const HEADERS: [(HeaderName, HeaderValue); 7] = [
    (HeaderName::from_static("api-version"), HeaderValue::from_static("1")),
    (STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000; includeSubDomains")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin")),
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

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

/// What the access check tells the boundary about a request that found its
/// route: as soon as it knows, so that a panic or the deadline cannot lose it.
#[derive(Debug, Default)]
pub(crate) struct Served {
    pub(crate) route: OnceLock<&'static str>,
    pub(crate) identity: OnceLock<Identity>,
    pub(crate) standing: OnceLock<Standing>,
}

/// What the boundary knows of its function.
#[derive(Clone)]
pub(crate) struct Boundary {
    pub(crate) config: Arc<BaseConfig>,
    pub(crate) clock: SharedClock,
    pub(crate) db: Option<Db>,
    pub(crate) cold: Arc<AtomicBool>,
}

pub(crate) async fn boundary(State(boundary): State<Boundary>, mut request: Request, next: Next) -> Response {
    let start = Instant::now();
    let origin = origin(&request, &boundary.clock);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let headers = request.headers().clone();
    let deadline = deadline(&request, &boundary);
    let served = Arc::<Served>::default();
    request.extensions_mut().insert(origin.clone());
    request.extensions_mut().insert(served.clone());
    let request_id = origin.request_id.as_str();

    // Whatever else is logged on the way stands under the request's id too.
    let span = tracing::error_span!("request", request_id);
    let mut response = guarded(&boundary, deadline, request, next).instrument(span).await;

    let error = response.extensions_mut().remove::<Error>();
    if let Some(error) = &error {
        render(error, &mut response, &headers, &path, request_id);
        if method == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
    }
    if let Some(standing) = served.standing.get() {
        standing.write(response.headers_mut());
    }
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(value);
    }
    if let Ok(value) = HeaderValue::try_from(request_id) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    telemetry::request(&RequestLine {
        config: &boundary.config,
        now: boundary.clock.now(),
        request_id,
        method: method.as_str(),
        route: served.route.get().copied().unwrap_or("none"),
        identity: served.identity.get().copied(),
        status: response.status().as_u16(),
        error: error.as_ref(),
        duration: start.elapsed(),
        cold_start: boundary.cold.swap(false, Ordering::Relaxed),
    });
    response
}

/// Runs the request within its deadline; a panic becomes an error, and the
/// process lives.
async fn guarded(boundary: &Boundary, deadline: Duration, request: Request, next: Next) -> Response {
    if request.body().size_hint().lower() > BODY_LIMIT {
        return Error::new(Code::BodyTooLarge).detail("A body may have 1 MiB.").into_response();
    }
    let mut cut_short = CutShort(boundary.db.as_ref());
    let handler = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(deadline, handler).await {
        Ok(Ok(response)) => {
            if let Some(db) = cut_short.0.take() {
                db.settle(response.extensions().get()).await;
            }
            response
        }
        // The panic hook has logged it.
        Ok(Err(_)) => Error::new(Code::Internal).into_response(),
        Err(_) => Error::new(Code::DeadlineReached).into_response(),
    }
}

/// Closes what the handler left open, unless it came to its end: on a panic, at
/// the deadline, and where the request itself is dropped.
struct CutShort<'a>(Option<&'a Db>);

impl Drop for CutShort<'_> {
    fn drop(&mut self) {
        if let Some(db) = self.0 {
            db.discard();
        }
    }
}

fn origin(request: &Request, clock: &SharedClock) -> Origin {
    let request_id = RequestId::read(request.headers()).unwrap_or_else(|| RequestId(clock.new_id().to_string().into()));
    let source_address = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref(),
        _ => None,
    };
    let user_agent = request.headers().get(http::header::USER_AGENT).and_then(|value| value.to_str().ok());
    Origin {
        request_id,
        source_address: source_address.and_then(|address| address.parse().ok()),
        user_agent: user_agent.map(|text| text.chars().take(512).collect()),
    }
}

/// The configured limit, or what Lambda leaves of its own.
fn deadline(request: &Request, boundary: &Boundary) -> Duration {
    let limit = boundary.config.request_timeout;
    let Some(context) = request.lambda_context_ref() else { return limit };
    let now_ms = boundary.clock.now().unix_timestamp_nanos() / 1_000_000;
    // A deadline that has passed before the request came is an emulator's.
    let Ok(left_ms) = u64::try_from(i128::from(context.deadline) - now_ms) else { return limit };
    limit.min(Duration::from_millis(left_ms).saturating_sub(DEADLINE_MARGIN).max(Duration::from_millis(100)))
}
