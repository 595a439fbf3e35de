//! How AWS's services are reached: one HTTP client's making for all of them.

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig, timeout::TimeoutConfig};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};

/// The roots that the certificates of AWS's endpoints chain to. To name them
/// spares the cold start the reading of all that the system trusts.
const AMAZON_ROOTS: &[u8] = include_bytes!("../certs/amazon-roots.pem");

/// How long one call may take, its retries included.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// What a client is made of, in the environment that Lambda provides.
pub(crate) async fn settings(plaintext: bool) -> SdkConfig {
    let http = if plaintext {
        Builder::new().build_http()
    } else {
        let builder = Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
        match amazon() {
            Some(context) => builder.tls_context(context).build_https(),
            None => builder.build_https(),
        }
    };
    let timeouts = TimeoutConfig::builder().operation_timeout(CALL_TIMEOUT).build();
    aws_config::defaults(BehaviorVersion::latest()).http_client(http).timeout_config(timeouts).load().await
}

/// What a request of our own making goes by: no client of a service does it.
#[cfg(feature = "checkpoints")]
pub(crate) fn connector(plaintext: bool) -> aws_smithy_http_client::Connector {
    let builder = aws_smithy_http_client::Connector::builder();
    if plaintext {
        return builder.build_http();
    }
    let builder = builder.tls_provider(Provider::Rustls(CryptoMode::AwsLc));
    match amazon() {
        Some(context) => builder.tls_context(context).build(),
        None => builder.build(),
    }
}

fn amazon() -> Option<TlsContext> {
    let roots = TrustStore::empty().with_pem_certificate(AMAZON_ROOTS);
    TlsContext::builder().with_trust_store(roots).build().ok()
}
