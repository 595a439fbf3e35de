//! The connection to Postgres: encrypted, and only to a host whose certificate
//! a trusted root has signed. The Postgres of the tests knows no TLS, so an end
//! of it stands before the server, as RDS Proxy does.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use shared::testing::{Answer, Event, TestApp, TestDatabase, TestKeys};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivateKeyDer},
};

/// Ends TLS before the server on `port`, with a certificate for localhost;
/// returns its own port, and the root's certificate as PEM.
async fn tls_end(port: u16) -> (u16, String) {
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &root).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let acceptor: TlsAcceptor = Arc::new(config.with_single_cert(vec![certificate.der().clone()], key).unwrap()).into();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own_port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            // SSLRequest: its length, and a code in the place of a version.
            let mut request = [0; 8];
            client.read_exact(&mut request).await.unwrap();
            assert_eq!(request, [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f], "nothing is sent in plain text");
            client.write_all(b"S").await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (own_port, root.pem())
}

/// Asks for the list over TLS to `host`, which trusts the root or does not.
async fn over_tls(host: &str, trusted: bool) -> Answer {
    let database = TestDatabase::create().await;
    let (port, root) = tls_end(database.address().1).await;
    let (port, file) = (port.to_string(), std::env::temp_dir().join(format!("{}.pem", database.address().2)));
    std::fs::write(&file, root).unwrap();
    let mut settings = vec![
        ("DATABASE_HOST", host),
        ("DATABASE_PORT", &port),
        ("DATABASE_TLS", "verify-full"),
        ("AWS_REGION", "us-east-1"),
    ];
    settings.extend(trusted.then_some(("DATABASE_CA_FILE", file.to_str().unwrap())));
    let keys = TestKeys::generate("test-key").into();
    let app: TestApp<todos::Todos> = TestApp::start_with(todos::routes(), database, keys, &settings).await;
    std::fs::remove_file(&file).unwrap();
    let ada = app.tenant("acme").await;
    app.send(Event::get("/api/v1/todos").bearer(&ada.token)).await
}

#[tokio::test]
async fn the_certificate_of_a_trusted_root_is_taken() {
    let answer = over_tls("localhost", true).await;
    assert_eq!(answer.status, 200, "{:?}", answer.log);
}

#[tokio::test]
async fn a_certificate_for_another_host_or_of_an_unknown_root_is_503_and_the_caller_learns_no_reason() {
    for (host, trusted) in [("127.0.0.1", true), ("localhost", false)] {
        let answer = over_tls(host, trusted).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (503, "SYS_002"), "{host}");
        assert!(answer.json()["error"]["detail"].is_null());
        let cause = answer.request_line()["cause"].as_str().unwrap().to_owned();
        assert!(cause.contains("TLS"), "{host}: {cause}");
    }
}
