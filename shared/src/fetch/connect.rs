//! From a host's addresses to a connection.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName},
};

use super::{FetchError, Resolver, Target};
use crate::secrets::BoxFuture;

/// How long one of several addresses is tried.
const ADDRESS_TIMEOUT: Duration = Duration::from_millis(1500);

/// The system's resolver.
pub(super) struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(lookup_host((host, port)).await?.collect()) })
    }
}

/// TLS with the roots that it trusts; set up when it is first needed.
pub(super) struct Tls {
    roots: RootCertStore,
    connector: OnceLock<Option<TlsConnector>>,
}

impl Tls {
    /// Mozilla's roots, in the binary: providers are anybody's, and the reading
    /// of what the system trusts would be paid for at the first fetch.
    pub(super) fn mozilla() -> Self {
        let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
        Self { roots, connector: OnceLock::new() }
    }

    /// One root, as DER.
    #[cfg(feature = "testing")]
    pub(super) fn only(root: &[u8]) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates([root.to_vec().into()]);
        Self { roots, connector: OnceLock::new() }
    }

    fn connector(&self) -> Result<&TlsConnector, FetchError> {
        let set_up = || {
            let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
            let builder = builder.with_safe_default_protocol_versions().ok()?;
            let mut config = builder.with_root_certificates(self.roots.clone()).with_no_client_auth();
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Some(TlsConnector::from(Arc::new(config)))
        };
        self.connector.get_or_init(set_up).as_ref().ok_or(FetchError::Untrusted)
    }
}

/// A connection, plain or encrypted.
pub(super) trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}

/// Connects to the first of `addresses` that takes it; they have been checked,
/// and the host's name is not looked up again.
pub(super) async fn open(
    target: &Target,
    addresses: &[SocketAddr],
    tls: &Tls,
) -> Result<Box<dyn Connection>, FetchError> {
    let stream = connect(addresses).await?;
    let _ = stream.set_nodelay(true);
    if !target.tls {
        return Ok(Box::new(stream));
    }
    let name = ServerName::try_from(target.host.clone()).map_err(|_| FetchError::UrlRefused)?;
    let refused = |error: io::Error| match error.kind() {
        // rustls's refusals come as this kind.
        ErrorKind::InvalidData => FetchError::Untrusted,
        _ => FetchError::Unreachable,
    };
    Ok(Box::new(tls.connector()?.connect(name, stream).await.map_err(refused)?))
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, FetchError> {
    for address in addresses {
        if let Ok(Ok(stream)) = timeout(ADDRESS_TIMEOUT, TcpStream::connect(address)).await {
            return Ok(stream);
        }
    }
    Err(FetchError::Unreachable)
}
