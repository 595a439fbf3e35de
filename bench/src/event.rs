//! Events as an API Gateway HTTP API sends them (payload format 2.0).

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use crate::process::unix_ms;

/// A request, to be turned into an event.
pub(crate) struct Event<'a> {
    /// The method.
    pub(crate) method: &'a str,
    /// The path, without its query.
    pub(crate) path: &'a str,
    /// The query, without its question mark.
    pub(crate) query: &'a str,
    /// The bearer token, if any.
    pub(crate) token: Option<&'a str>,
    /// Further headers, by names in lower case.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    /// The body, if any.
    pub(crate) body: Option<Body>,
}

/// A request's body.
pub(crate) enum Body {
    /// As it stands.
    Json(Value),
    /// Encoded, as API Gateway does with what is neither JSON nor text.
    Form(String),
}

impl Body {
    fn content_type(&self) -> &'static str {
        match self {
            Self::Json(_) => "application/json",
            Self::Form(_) => "application/x-www-form-urlencoded",
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Json(value) => value.to_string(),
            Self::Form(text) => STANDARD.encode(text),
        }
    }
}

impl Event<'_> {
    /// A request for `path` with nothing else.
    pub(crate) fn new<'a>(method: &'a str, path: &'a str) -> Event<'a> {
        Event { method, path, query: "", token: None, headers: &[], body: None }
    }

    /// The event's bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let usual = [
            ("accept", "application/json"),
            ("host", "api.example.com"),
            ("user-agent", "bench"),
            ("x-forwarded-for", "203.0.113.7"),
            ("x-forwarded-port", "443"),
            ("x-forwarded-proto", "https"),
        ];
        let headers = usual.iter().chain(self.headers);
        let mut headers: Map<_, _> = headers.map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let text = self.body.as_ref().map(Body::text);
        if let Some((body, text)) = self.body.as_ref().zip(text.as_ref()) {
            headers.insert("content-type".into(), json!(body.content_type()));
            headers.insert("content-length".into(), json!(text.len().to_string()));
        }
        if let Some(token) = self.token {
            headers.insert("authorization".into(), json!(format!("Bearer {token}")));
        }
        let parameters: Map<_, _> = self
            .query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect();
        let route_key = format!("{} {}", self.method, self.path);
        let mut event = json!({
            "version": "2.0",
            "routeKey": route_key,
            "rawPath": self.path,
            "rawQueryString": self.query,
            "headers": headers,
            "requestContext": {
                "accountId": "123456789012",
                "apiId": "api",
                "domainName": "api.example.com",
                "domainPrefix": "api",
                "http": {
                    "method": self.method,
                    "path": self.path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": "203.0.113.7",
                    "userAgent": "bench"
                },
                "requestId": "JKJaXmPLvHcESHA=",
                "routeKey": route_key,
                "stage": "$default",
                "time": "01/Jan/2026:00:00:00 +0000",
                "timeEpoch": unix_ms()
            },
            "isBase64Encoded": matches!(self.body, Some(Body::Form(_)))
        });
        if !parameters.is_empty() {
            event["queryStringParameters"] = Value::Object(parameters);
        }
        if let Some(text) = text {
            event["body"] = json!(text);
        }
        event.to_string().into_bytes()
    }
}
