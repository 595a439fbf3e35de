//! An OpenID provider of a test's own: a real server on loopback, which says
//! what the test has it say and remembers what it was asked.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// Where its configuration stands (OpenID Connect Discovery 1.0, 4).
pub const DISCOVERY: &str = "/.well-known/openid-configuration";
/// Where its keys stand.
pub const KEYS: &str = "/keys";
/// Where its codes are redeemed.
pub const TOKEN: &str = "/token";

/// What it does when a path is asked for.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// Answers with this JSON.
    Json(u16, Value),
    /// Answers with this text as HTML.
    Html(u16, String),
    /// Never answers.
    Hang,
    /// Answers with JSON of so many bytes, whose length it announces or not.
    Huge(usize, bool),
    /// Leads elsewhere, with this status.
    Redirect(u16, String),
    /// Answers with this JSON, a byte at a time with so much between them.
    Slow(Duration, Value),
    /// Gives tokens for a code, once, to whom it was given out.
    Grant(Grant),
}

/// A code that was given out (RFC 6749, 4.1; RFC 7636), and what it is worth.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The code.
    pub code: String,
    /// The challenge (S256) that came with the request for it.
    pub challenge: String,
    /// To whom.
    pub client_id: String,
    /// By which secret that is proved, in the header or in the body.
    pub client_secret: Option<String>,
    /// Where the browser was to be sent back.
    pub redirect_uri: String,
    /// The tokens.
    pub tokens: Value,
}

impl Grant {
    fn is_asked_for(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let form: HashMap<_, _> = form_urlencoded::parse(body).into_owned().collect();
        let has = |name: &str, value: &str| form.get(name).is_some_and(|given| given == value);
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let proved = match (&self.client_secret, headers.get(header::AUTHORIZATION)) {
            (Some(secret), Some(basic)) => {
                let pair = format!("{}:{}", encoded(&self.client_id), encoded(secret));
                basic.as_bytes() == format!("Basic {}", STANDARD.encode(pair)).as_bytes()
            }
            (Some(secret), None) => has("client_id", &self.client_id) && has("client_secret", secret),
            (None, basic) => basic.is_none() && has("client_id", &self.client_id),
        };
        let verifier = form.get("code_verifier").map(String::as_bytes).unwrap_or_default();
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier));
        proved
            && has("grant_type", "authorization_code")
            && has("code", &self.code)
            && has("redirect_uri", &self.redirect_uri)
            && challenge == self.challenge
    }
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Received {
    /// Its method.
    pub method: Method,
    /// Its path and query.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

#[derive(Default)]
struct State {
    behaviours: HashMap<String, Behaviour>,
    received: Vec<Received>,
}

/// The provider. It runs in a thread of its own until it is dropped, so a test
/// may block meanwhile.
pub struct TestProvider {
    port: u16,
    state: Arc<Mutex<State>>,
    _stop: oneshot::Sender<()>,
}

impl TestProvider {
    /// Starts a provider with a sound configuration and these JWKs.
    #[must_use]
    pub fn start(keys: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (stop, stopped) = oneshot::channel();
        let provider = Self { port: listener.local_addr().unwrap().port(), state: Arc::default(), _stop: stop };
        provider.set_discovery(&json!({}));
        provider.set_keys(keys);
        let state = provider.state.clone();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = listen(listener, state) => {}
                    _ = stopped => {}
                }
            });
        });
        provider
    }

    /// Its issuer.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.url("")
    }

    /// Its URL of `path`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Has it behave so when `path` is asked for.
    pub fn behave(&self, path: &str, behaviour: Behaviour) {
        self.state.lock().unwrap().behaviours.insert(path.to_owned(), behaviour);
    }

    /// Sets its configuration: a sound one, with these members in place of its.
    pub fn set_discovery(&self, changed: &Value) {
        let mut discovery = json!({
            "issuer": self.issuer(),
            "jwks_uri": self.url(KEYS),
            "authorization_endpoint": self.url("/authorize"),
            "token_endpoint": self.url(TOKEN),
            "end_session_endpoint": self.url("/end"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        });
        for (name, value) in changed.as_object().unwrap() {
            discovery[name] = value.clone();
        }
        self.behave(DISCOVERY, Behaviour::Json(200, discovery));
    }

    /// Sets its keys.
    pub fn set_keys(&self, keys: &[Value]) {
        self.behave(KEYS, Behaviour::Json(200, json!({ "keys": keys })));
    }

    /// How often `path` was asked for.
    #[must_use]
    pub fn count(&self, path: &str) -> usize {
        self.received().iter().filter(|request| request.path == path).count()
    }

    /// All that it was asked.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.state.lock().unwrap().received.clone()
    }
}

type Body = BoxBody<Bytes, Infallible>;

async fn listen(listener: TcpListener, state: Arc<Mutex<State>>) {
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        let state = state.clone();
        let service = service_fn(move |request| answer(request, state.clone()));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(request: Request<Incoming>, state: Arc<Mutex<State>>) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let behaviour = {
        let mut state = state.lock().unwrap();
        let path = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
        let behaviour = state.behaviours.get(parts.uri.path()).cloned();
        let behaviour = match behaviour {
            Some(Behaviour::Grant(grant)) if grant.is_asked_for(&parts.headers, &body) => {
                state.behaviours.remove(parts.uri.path());
                Some(Behaviour::Json(200, grant.tokens))
            }
            Some(Behaviour::Grant(_)) => {
                let refusal = json!({ "error": "invalid_grant", "error_description": "WORDS-OF-THEIRS" });
                Some(Behaviour::Json(400, refusal))
            }
            other => other,
        };
        state.received.push(Received { method: parts.method, path, headers: parts.headers, body });
        behaviour
    };
    let json = "application/json";
    Ok(match behaviour.unwrap_or(Behaviour::Json(404, json!({ "error": "not_found" }))) {
        Behaviour::Json(status, value) => response(status, json, Full::from(value.to_string()).boxed()),
        Behaviour::Html(status, text) => response(status, "text/html", Full::from(text).boxed()),
        // A grant has become what it is worth.
        Behaviour::Hang | Behaviour::Grant(_) => std::future::pending().await,
        Behaviour::Huge(bytes, true) => {
            response(200, json, Full::from(format!("\"{}\"", "a".repeat(bytes - 2))).boxed())
        }
        Behaviour::Huge(bytes, false) => {
            let chunks = std::iter::once(Bytes::from_static(b"\""))
                .chain(std::iter::repeat_n(Bytes::from(vec![b'a'; 64 * 1024]), bytes / (64 * 1024)));
            let frames = chunks.map(|chunk| Ok(Frame::data(chunk)));
            response(200, json, BodyExt::boxed(StreamBody::new(stream::iter(frames))))
        }
        Behaviour::Redirect(status, location) => {
            let mut response = response(status, json, Full::default().boxed());
            response.headers_mut().insert(header::LOCATION, location.parse().unwrap());
            response
        }
        Behaviour::Slow(pause, value) => {
            let bytes = value.to_string().into_bytes();
            let frames = stream::unfold(bytes.into_iter(), move |mut bytes| async move {
                tokio::time::sleep(pause).await;
                Some((Ok(Frame::data(Bytes::from(vec![bytes.next()?]))), bytes))
            });
            response(200, json, BodyExt::boxed(StreamBody::new(frames)))
        }
    })
}

fn response(status: u16, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}
