//! S3, by two calls: an object is put where none is, and is read. A client of
//! the whole service would be a quarter of the function.

use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials;
use aws_lc_rs::digest::{SHA256, digest};
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
        UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::{http::HttpConnector, identity::Identity};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{Method, Request};

use super::{CheckpointStore, Put};
use crate::{
    aws::{self, CALL_TIMEOUT},
    clock::SharedClock,
    secrets::BoxFuture,
    start::Start,
};

/// A bucket. How long its objects stay locked is its own setting.
pub struct S3 {
    bucket: String,
    /// What objects' names are put behind.
    base: String,
    region: String,
    settings: SdkConfig,
    connector: Connector,
    clock: SharedClock,
}

impl S3 {
    /// Sets up a client; no call is made.
    ///
    /// # Errors
    /// The bucket's name is none, or the region is not known.
    pub async fn connect(bucket: &str, start: &Start) -> Result<Self, String> {
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        // A dot would be one more label than the certificate is for.
        if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(is_name) {
            return Err("AUDIT_CHECKPOINT_BUCKET must be a bucket's name without dots".to_owned());
        }
        let settings = aws::settings(start.base.aws_plaintext).await;
        let region = settings.region().ok_or("the AWS region is not known")?.to_string();
        let base = settings.endpoint_url().map_or_else(
            || format!("https://{bucket}.s3.{region}.{}", suffix(&region)),
            |endpoint| format!("{}/{bucket}", endpoint.trim_end_matches('/')),
        );
        let connector = aws::connector(start.base.aws_plaintext);
        Ok(Self { bucket: bucket.to_owned(), base, region, settings, connector, clock: start.clock.clone() })
    }

    async fn write(&self, name: &str, json: &[u8]) -> Result<Put, String> {
        // Object Lock wants a checksum of what it locks.
        let checksum = STANDARD.encode(digest(&SHA256, json));
        let headers = [
            ("content-type", "application/json"),
            ("if-none-match", "*"),
            ("x-amz-sdk-checksum-algorithm", "SHA256"),
            ("x-amz-checksum-sha256", &checksum),
        ];
        match self.send(Method::PUT, name, &headers, json).await? {
            (200, _) => Ok(Put::Written),
            (412, _) => match self.send(Method::GET, name, &[], &[]).await? {
                (200, stood) => Ok(Put::StoodThere(stood)),
                (status, answer) => Err(self.refused("GetObject", name, status, &answer)),
            },
            (status, answer) => Err(self.refused("PutObject", name, status, &answer)),
        }
    }

    fn refused(&self, call: &str, name: &str, status: u16, answer: &[u8]) -> String {
        let answer = String::from_utf8_lossy(answer);
        let code = answer.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
        let code = code.map_or("no code", |(code, _)| code);
        format!("S3 answered {status}, {code}, to {call} of {name} in {}", self.bucket)
    }

    async fn send(
        &self,
        method: Method,
        name: &str,
        headers: &[(&'static str, &str)],
        body: &[u8],
    ) -> Result<(u16, Vec<u8>), String> {
        let mut request = Request::builder().method(method).uri(format!("{}/{name}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(SdkBody::from(body.to_vec())).map_err(|error| error.to_string())?;
        self.sign(&mut request, headers, body).await?;
        let request = request.try_into().map_err(|error| format!("the call of S3 cannot be made: {error}"))?;
        let exchange = async {
            let answer = self.connector.call(request).await.map_err(|_| "S3 could not be reached")?;
            let status = answer.status().as_u16();
            let body = ByteStream::new(answer.into_body()).collect().await;
            Ok((status, body.map_err(|_| "S3's answer broke off")?.to_vec()))
        };
        let answer: Result<_, &str> =
            tokio::time::timeout(CALL_TIMEOUT, exchange).await.unwrap_or(Err("S3 did not answer in time"));
        answer.map_err(ToOwned::to_owned)
    }

    async fn sign(
        &self,
        request: &mut Request<SdkBody>,
        headers: &[(&'static str, &str)],
        body: &[u8],
    ) -> Result<(), String> {
        let provider = self.settings.credentials_provider().ok_or("there are no credentials for S3")?;
        let credentials = provider.provide_credentials().await;
        let identity: Identity = credentials.map_err(|error| format!("no credentials for S3: {error}"))?.into();
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(SystemTime::from(self.clock.now()))
            .settings(settings)
            .build();
        let parameters = parameters.map_err(|error| error.to_string())?.into();
        let uri = request.uri().to_string();
        let signable =
            SignableRequest::new(request.method().as_str(), &uri, headers.iter().copied(), SignableBody::Bytes(body));
        let signed = signable.and_then(|signable| sign(signable, &parameters));
        let (instructions, _) =
            signed.map_err(|error| format!("the call of S3 cannot be signed: {error}"))?.into_parts();
        instructions.apply_to_request_http1x(request);
        Ok(())
    }
}

impl CheckpointStore for S3 {
    fn put<'a>(&'a self, name: &'a str, json: &'a [u8]) -> BoxFuture<'a, Result<Put, String>> {
        Box::pin(self.write(name, json))
    }
}

fn suffix(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}
