//! The encrypted connection: the host's own certificate, by a trusted root.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use shared::{
    fetch::FetchError,
    testing::{TestProvider, provider::Behaviour},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivateKeyDer},
};

use crate::{addresses::Names, fetch::fetch};

/// Ends TLS before `provider`, with a certificate for `name`; returns its own
/// port, and the root's certificate as DER.
async fn tls_end(provider: u16, name: &str) -> (u16, Vec<u8>) {
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &root).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let acceptor: TlsAcceptor = Arc::new(config.with_single_cert(vec![certificate.der().clone()], key).unwrap()).into();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let mut server = TcpStream::connect(("127.0.0.1", provider)).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (port, root.der().to_vec())
}

#[tokio::test]
async fn k7_the_host_must_have_a_certificate_of_its_own_by_a_trusted_root() {
    let provider = TestProvider::start(&[]);
    provider.behave("/thing", Behaviour::Json(200, json!(1)));
    let (port, root) = tls_end(provider.port(), "idp.example").await;
    let address = format!("127.0.0.1:{port}");
    let resolving = || fetch().resolving_by(Names::new([&[&*address]]));
    let trusting = resolving().trusting(&root);
    assert_eq!(trusting.get("https://idp.example/thing").await, Ok(json!(1)));
    assert_eq!(provider.received()[0].headers["host"], "idp.example");
    assert_eq!(trusting.get::<Value>("https://other.example/thing").await, Err(FetchError::Untrusted));
    assert_eq!(trusting.get::<Value>(&format!("https://{address}/thing")).await, Err(FetchError::Untrusted));
    assert_eq!(resolving().get::<Value>("https://idp.example/thing").await, Err(FetchError::Untrusted));
    assert_eq!(provider.received().len(), 1, "a host that is not trusted is told nothing");
}
