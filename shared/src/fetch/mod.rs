//! The one way out: HTTP to identity providers, whose addresses their
//! administrators chose and whose answers nobody vouches for.
//!
//! https only, to addresses of the public internet only, no redirect followed,
//! 5 seconds in all and 1 MiB at most. The host's name is resolved once and the
//! connection goes to the very addresses that were checked, so a name that
//! changes its mind in between (DNS rebinding) gains nothing.

mod address;
mod connect;
mod error;
mod target;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use form_urlencoded::Serializer;
use futures_util::future::{Either, select};
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT},
};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;

use crate::{
    config::{Config, Environment},
    secrets::BoxFuture,
};
use connect::{SystemResolver, Tls};
pub use error::FetchError;
use target::Target;

/// How long a fetch may take: name, connection, headers, body.
pub const TIME_LIMIT: Duration = Duration::from_secs(5);
/// The longest answer that is taken, in bytes.
pub const SIZE_LIMIT: usize = 1024 * 1024;

/// What outbound HTTP reads from the environment.
#[derive(Debug, Clone, Copy, Default)]
pub struct FetchConfig {
    /// Whether http and loopback are let through: for development and tests.
    pub allow_loopback: bool,
}

impl Config for FetchConfig {
    fn read(env: &mut Environment<'_>) -> Self {
        let switch = |text: &str| ["off", "on"].iter().position(|word| *word == text).map(|at| at == 1);
        Self { allow_loopback: env.parsed("FEDERATION_ALLOW_LOOPBACK", false, "on or off", switch) }
    }
}

/// Resolves host names: the system, or a test's own.
pub trait Resolver: Send + Sync + 'static {
    /// The addresses of `host`, which is a name, with `port`.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}

/// Fetches from identity providers. Cheap to clone.
#[derive(Clone)]
pub struct Fetch {
    allow_loopback: bool,
    resolver: Arc<dyn Resolver>,
    tls: Arc<Tls>,
}

impl Fetch {
    /// By the system's resolver, and the roots that Mozilla trusts.
    #[must_use]
    pub fn new(config: FetchConfig) -> Self {
        let FetchConfig { allow_loopback } = config;
        Self { allow_loopback, resolver: Arc::new(SystemResolver), tls: Arc::new(Tls::mozilla()) }
    }

    /// The same with a resolver of a test's own.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn resolving_by(self, resolver: impl Resolver) -> Self {
        Self { resolver: Arc::new(resolver), ..self }
    }

    /// The same with one root of a test's own, as DER.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn trusting(self, root: &[u8]) -> Self {
        Self { tls: Arc::new(Tls::only(root)), ..self }
    }

    /// Whether `url` is one that may be called, or that a browser may be sent
    /// to: its host is not looked up.
    #[must_use]
    pub fn may_be_url(&self, url: &str) -> bool {
        self.target(url).is_ok()
    }

    /// Whether `issuer` may be registered: an https URL without user, query and
    /// fragment (OpenID Connect Core 1.0, 2), whose host resolves to addresses
    /// that may be called. Every fetch checks again.
    ///
    /// # Errors
    /// Says why not.
    pub async fn check_issuer(&self, issuer: &str) -> Result<(), FetchError> {
        let target = self.target(issuer)?;
        if issuer.contains('?') {
            return Err(FetchError::UrlRefused);
        }
        let resolved = tokio::time::timeout(TIME_LIMIT, self.addresses(&target)).await;
        resolved.unwrap_or(Err(FetchError::TimedOut)).map(drop)
    }

    /// Gets JSON.
    ///
    /// # Errors
    /// Says why it could not be had.
    pub async fn get<T: DeserializeOwned>(&self, url: &str) -> Result<T, FetchError> {
        self.json(self.target(url)?, Method::GET, None).await
    }

    /// Posts a form and gets JSON.
    ///
    /// # Errors
    /// Says why it could not be had.
    pub async fn post_form<T: DeserializeOwned>(&self, url: &str, form: &[(&str, &str)]) -> Result<T, FetchError> {
        let form = Serializer::new(String::new()).extend_pairs(form).finish();
        self.json(self.target(url)?, Method::POST, Some(form)).await
    }

    /// Sends a request as it stands, by the same rules; an answer of any status
    /// but a redirect is the caller's to judge.
    ///
    /// # Errors
    /// Says why there is no answer.
    pub async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, FetchError> {
        let target = self.target(&request.uri().to_string())?;
        let answer = self.exchange(&target, request.map(Bytes::from)).await?;
        Ok(answer.map(Vec::from))
    }

    async fn json<T: DeserializeOwned>(
        &self,
        target: Target,
        method: Method,
        form: Option<String>,
    ) -> Result<T, FetchError> {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = method;
        if let Some(form) = form {
            let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
            request.headers_mut().insert(CONTENT_TYPE, form_type);
            *request.body_mut() = form.into();
        }
        let answer = self.exchange(&target, request).await?;
        match answer.status() {
            StatusCode::OK => serde_json::from_slice(answer.body()).map_err(|_| FetchError::NotJson),
            status => Err(FetchError::Status(status)),
        }
    }

    fn target(&self, url: &str) -> Result<Target, FetchError> {
        Target::parse(url, self.allow_loopback)
    }

    async fn exchange(&self, target: &Target, request: Request<Bytes>) -> Result<Response<Bytes>, FetchError> {
        let exchange = async {
            let addresses = self.addresses(target).await?;
            let io = connect::open(target, &addresses, &self.tls).await?;
            let (sender, connection) = http1::handshake(TokioIo::new(io)).await.map_err(|_| FetchError::Unreachable)?;
            let answer = answer(sender, prepare(target, request)?);
            // The connection is driven here and not in a task, so that it ends with this future.
            match select(Box::pin(answer), Box::pin(connection)).await {
                Either::Left((answer, _)) => answer,
                Either::Right((_, answer)) => answer.await,
            }
        };
        tokio::time::timeout(TIME_LIMIT, exchange).await.unwrap_or(Err(FetchError::TimedOut))
    }

    /// The addresses of the host, if every one of them may be called.
    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, FetchError> {
        let addresses = match target.literal() {
            Some(address) => vec![address],
            None => self.resolver.resolve(&target.host, target.port).await.map_err(|_| FetchError::Unresolved)?,
        };
        let may_be_called = |address: &SocketAddr| {
            let ip = address.ip();
            (target.tls && address::is_public(ip)) || (self.allow_loopback && ip.is_loopback())
        };
        match addresses.as_slice() {
            [] => Err(FetchError::Unresolved),
            some if some.iter().all(may_be_called) => Ok(addresses),
            _ => Err(FetchError::AddressRefused),
        }
    }
}

/// Puts the request into the form of RFC 9112 (3.2.1), with what we always say.
fn prepare(target: &Target, mut request: Request<Bytes>) -> Result<Request<Full<Bytes>>, FetchError> {
    let host = HeaderValue::try_from(&target.authority).map_err(|_| FetchError::UrlRefused)?;
    *request.uri_mut() = target.path.clone().into();
    let headers = request.headers_mut();
    headers.insert(HOST, host);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    for (name, value) in [(ACCEPT, "application/json"), (USER_AGENT, "tenantry")] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    Ok(request.map(Full::new))
}

async fn answer(
    mut sender: http1::SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, FetchError> {
    let answer = sender.send_request(request).await.map_err(|_| FetchError::Unreachable)?;
    if answer.status().is_redirection() {
        return Err(FetchError::Redirected);
    }
    let (parts, body) = answer.into_parts();
    let body = Limited::new(body, SIZE_LIMIT)
        .collect()
        .await
        .map_err(|error| if error.is::<LengthLimitError>() { FetchError::TooLarge } else { FetchError::Unreachable })?;
    Ok(Response::from_parts(parts, body.to_bytes()))
}
