//! What every request passes through, from the outside in:
//!
//! 1. `boundary`: request id, clock, the one log line, headers, error bodies;
//! 2. within it the deadline and the panic guard: both must still be logged;
//! 3. [`crate::access`], a route's own: the rate limit, the caller, the size of
//!    the body before anything reads it, then the handler.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use http::{
    HeaderName, HeaderValue, Method,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
        X_FRAME_OPTIONS,
    },
};
use lambda_http::RequestExt;
use tracing::Instrument;

use crate::{
    access::Served,
    clock::SharedClock,
    config::BaseConfig,
    db::Db,
    error::{Code, Error, render},
    origin::{Origin, X_REQUEST_ID},
    telemetry::{self, RequestLine},
};

/// What is left of Lambda's time for the answer and its record.
const DEADLINE_MARGIN: Duration = Duration::from_millis(500);

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
    let origin = Origin::of(&request, &boundary.clock);
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

/// The configured limit, or what Lambda leaves of its own.
fn deadline(request: &Request, boundary: &Boundary) -> Duration {
    let limit = boundary.config.request_timeout;
    let Some(context) = request.lambda_context_ref() else { return limit };
    let now_ms = boundary.clock.now().unix_timestamp_nanos() / 1_000_000;
    // A deadline that has passed before the request came is an emulator's.
    let Ok(left_ms) = u64::try_from(i128::from(context.deadline) - now_ms) else { return limit };
    limit.min(Duration::from_millis(left_ms).saturating_sub(DEADLINE_MARGIN).max(Duration::from_millis(100)))
}
