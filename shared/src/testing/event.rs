//! API Gateway events (HTTP API, payload format 2.0), and what comes back.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use crate::event::clean;

/// A request as API Gateway sends it.
#[derive(Debug, Clone)]
pub struct Event(Value);

impl Event {
    /// A request without a body; `target` may have a query string.
    #[must_use]
    pub fn new(method: &Method, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let parameters: serde_json::Map<_, _> =
            form_urlencoded::parse(query.as_bytes()).map(|(name, value)| (name.into(), value.into())).collect();
        let mut event = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
            "headers": { "host": "api.example.com", "user-agent": "tenantry-test" },
            "requestContext": {
                "accountId": "123456789012", "apiId": "api", "domainName": "api.example.com",
                "domainPrefix": "api", "requestId": "JKJaXmPLvHcESHA=", "routeKey": "$default",
                "stage": "$default", "time": "21/Nov/2026:10:00:00 +0000", "timeEpoch": 1_795_255_200_000_u64,
                "http": {
                    "method": method.as_str(), "path": path, "protocol": "HTTP/1.1",
                    "sourceIp": "203.0.113.7", "userAgent": "tenantry-test",
                },
            },
            "isBase64Encoded": false,
        });
        if !parameters.is_empty() {
            event["queryStringParameters"] = parameters.into();
        }
        Self(event)
    }

    /// `GET`.
    #[must_use]
    pub fn get(target: &str) -> Self {
        Self::new(&Method::GET, target)
    }

    /// `POST` with a JSON body.
    #[must_use]
    pub fn post(target: &str, body: &Value) -> Self {
        Self::new(&Method::POST, target).json(body)
    }

    /// The event in `events/<name>.json`, as the README has people send it.
    #[must_use]
    pub fn from_file(name: &str) -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../events/");
        let text = std::fs::read_to_string(format!("{path}{name}.json")).unwrap();
        Self(serde_json::from_str(&text).unwrap())
    }

    /// Puts another value in for the placeholder `Bearer <access token>`.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Sets a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.0["headers"][name] = value.into();
        self
    }

    /// Sets a JSON body.
    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.0["isBase64Encoded"] = false.into();
        self.body("application/json", &body.to_string())
    }

    /// Sets a body of any type.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: &str) -> Self {
        self.0["body"] = body.into();
        self.header("content-type", content_type)
    }

    /// Sets a form body (RFC 6749, appendix B), encoded as API Gateway does.
    #[must_use]
    pub fn form(mut self, pairs: &[(&str, &str)]) -> Self {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.0["isBase64Encoded"] = true.into();
        self.body("application/x-www-form-urlencoded", &STANDARD.encode(body))
    }

    /// Sends cookies along, as API Gateway hands them over.
    #[must_use]
    pub fn cookies(mut self, cookies: &[String]) -> Self {
        self.0["cookies"] = cookies.into();
        self
    }

    /// Sets the address that API Gateway saw.
    #[must_use]
    pub fn source_address(mut self, address: &str) -> Self {
        self.0["requestContext"]["http"]["sourceIp"] = address.into();
        self
    }

    /// Changes the event's JSON at will.
    #[must_use]
    pub fn edit(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.0);
        self
    }

    pub(crate) fn into_request(self) -> lambda_http::Request {
        let event = serde_json::from_str(&self.0.to_string()).unwrap();
        clean(event).into()
    }
}

/// What a function answered, and what it logged.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers, but for those of the rate limit, which tell two answers apart.
    pub headers: HeaderMap,
    /// `RateLimit-Policy` and `RateLimit`; empty where there is none.
    pub rate_limit: [String; 2],
    /// The body's bytes.
    pub bytes: Bytes,
    /// The log's lines, in order.
    pub log: Vec<Value>,
}

impl Answer {
    /// The body as JSON; null where there is none.
    #[must_use]
    pub fn json(&self) -> Value {
        if self.bytes.is_empty() { Value::Null } else { serde_json::from_slice(&self.bytes).unwrap() }
    }

    /// The error code in the body, or "none".
    #[must_use]
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or("none").to_owned()
    }

    /// A header's text; empty where it is absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The one line that the boundary logged.
    #[must_use]
    pub fn request_line(&self) -> &Value {
        let mut lines = self.log.iter().filter(|line| line["message"] == "request");
        let line = lines.next().unwrap();
        assert!(lines.next().is_none(), "a request has one line");
        line
    }
}
