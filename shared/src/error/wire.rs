//! The two wire forms of an error: ours, and RFC 9457 for those who ask for it.

use axum::{body::Body, response::Response};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde::Serialize;

use super::{Code, Error, FieldError};

const PROBLEM_JSON: &str = "application/problem+json";

/// Where a code's entry in the documentation stands; see `docs/ERROR_CODES.md`.
const DOCS: &str = "/docs/error-codes#";

#[derive(Serialize)]
struct Envelope<'a> {
    error: Native<'a>,
}

#[derive(Serialize)]
struct Native<'a> {
    code: Code,
    message: &'static str,
    detail: Option<&'a str>,
    status: u16,
    request_id: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    fields: &'a [FieldError],
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    instance: &'a str,
    code: Code,
    request_id: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

/// Writes the error that `response` carries into its body and headers; headers
/// that stand there already (`Allow`) stay.
pub(crate) fn render(error: &Error, response: &mut Response, request: &HeaderMap, path: &str, request_id: &str) {
    let inner = &error.0;
    let (code, status) = (inner.code, inner.code.status());
    let (detail, fields) = (inner.detail.as_deref(), inner.fields.as_slice());
    let (body, content_type) = if wants_problem(request) {
        let problem = Problem {
            r#type: format!("{DOCS}{}", code.as_str()),
            title: code.message(),
            status: status.as_u16(),
            detail,
            instance: path,
            code,
            request_id,
            errors: fields,
        };
        (serde_json::to_vec(&problem), PROBLEM_JSON)
    } else {
        let native = Native { code, message: code.message(), detail, status: status.as_u16(), request_id, fields };
        (serde_json::to_vec(&Envelope { error: native }), "application/json")
    };
    *response.body_mut() = Body::from(body.unwrap_or_default());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.remove(http::header::CONTENT_LENGTH);
    if status == StatusCode::UNAUTHORIZED {
        let challenge = if inner.token_sent { "Bearer error=\"invalid_token\"" } else { "Bearer" };
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    let retry_after = inner.retry_after_seconds.or((status == StatusCode::TOO_MANY_REQUESTS).then_some(60));
    if let Some(seconds) = retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
}

fn wants_problem(request: &HeaderMap) -> bool {
    request
        .get_all(ACCEPT)
        .iter()
        .filter_map(|accept| accept.to_str().ok())
        .flat_map(|accept| accept.split(','))
        .any(|range| range.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(PROBLEM_JSON))
}
