//! What every client of AWS is made of.

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig, timeout::TimeoutConfig};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};

/// The roots that the certificates of AWS's endpoints chain to. To name them
/// spares the cold start the reading of all that the system trusts.
const AMAZON_ROOTS: &[u8] = include_bytes!("../certs/amazon-roots.pem");

/// The configuration of a client in the environment that Lambda provides. One
/// call may take `timeout`, its retries included; `plaintext` is for an
/// emulator on loopback.
pub(crate) async fn config(plaintext: bool, timeout: Duration) -> SdkConfig {
    let http = if plaintext {
        Builder::new().build_http()
    } else {
        let roots = TrustStore::empty().with_pem_certificate(AMAZON_ROOTS);
        let builder = Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
        match TlsContext::builder().with_trust_store(roots).build() {
            Ok(context) => builder.tls_context(context).build_https(),
            Err(_) => builder.build_https(),
        }
    };
    let timeouts = TimeoutConfig::builder().operation_timeout(timeout).build();
    aws_config::defaults(BehaviorVersion::latest()).http_client(http).timeout_config(timeouts).load().await
}
