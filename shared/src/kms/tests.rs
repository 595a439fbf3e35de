use std::time::Instant;

use aws_sdk_kms::config::Credentials;
use secrecy::ExposeSecret;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::{clock::SystemClock, testing::TestKms};

fn tenant() -> TenantId {
    TenantId::of_new_tenant(&SystemClock)
}

/// The real client, against a server that answers every call with `answer`,
/// or never where there is none.
async fn kms_that_says(answer: Option<(u16, &'static str)>) -> Kms {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                    let Some((status, body)) = answer else { continue };
                    let head = "content-type: application/x-amz-json-1.1";
                    let answer =
                        format!("HTTP/1.1 {status} X\r\n{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    let shared = aws::settings(true).await;
    let config = aws_sdk_kms::config::Builder::from(&shared)
        .endpoint_url(url)
        .region(aws_sdk_kms::config::Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"));
    Kms::with_client(Client::from_conf(config.build()))
}

fn stored() -> WrappedKey {
    WrappedKey { bytes: vec![7; 152], kms_key_id: "arn:aws:kms:us-east-1:123456789012:key/k".into() }
}

#[tokio::test]
async fn a_data_key_is_unwrapped_for_its_own_tenant_only() {
    let kms = TestKms::default();
    let (ada, eve) = (tenant(), tenant());
    let (key, wrapped) = kms.generate(TestKms::KEY_ID, ada).await.unwrap();
    assert!(wrapped.kms_key_id.starts_with("arn:aws:kms:"), "the alias may name another key tomorrow");
    assert_eq!(kms.unwrap(&wrapped, ada).await.unwrap().expose_secret(), key.expose_secret());
    assert!(!wrapped.bytes.windows(32).any(|window| window == key.expose_secret()));
    assert_eq!(kms.unwrap(&wrapped, eve).await.unwrap_err().code(), Code::Undecryptable, "E2: another context");
    let mut altered = wrapped.clone();
    *altered.bytes.last_mut().unwrap() ^= 1;
    assert_eq!(kms.unwrap(&altered, ada).await.unwrap_err().code(), Code::Undecryptable, "E2: altered");
    let (_, other) = kms.generate(&TestKms::another_key().await, ada).await.unwrap();
    assert_ne!(other.kms_key_id, wrapped.kms_key_id);
}

#[tokio::test]
async fn what_kms_says_of_the_wrapped_key_is_sys_005_and_all_else_is_sys_004() {
    for (status, answer, code) in [
        (400, r#"{"__type":"InvalidCiphertextException"}"#, Code::Undecryptable),
        (400, r#"{"__type":"IncorrectKeyException","message":"wrong"}"#, Code::Undecryptable),
        (400, r#"{"__type":"DisabledException","message":"disabled"}"#, Code::KeyManagementUnavailable),
        (400, r#"{"__type":"KMSInvalidStateException"}"#, Code::KeyManagementUnavailable),
        (400, r#"{"__type":"NotFoundException"}"#, Code::KeyManagementUnavailable),
        (400, r#"{"__type":"AccessDeniedException"}"#, Code::KeyManagementUnavailable),
        (400, r#"{"__type":"ThrottlingException"}"#, Code::KeyManagementUnavailable),
        (500, r#"{"__type":"KMSInternalException"}"#, Code::KeyManagementUnavailable),
        (503, "<html>", Code::KeyManagementUnavailable),
        (200, "<html>canary</html>", Code::KeyManagementUnavailable),
        (200, r#"{"Plaintext":"Y2FuYXJ5","KeyId":"k"}"#, Code::KeyManagementUnavailable),
        (200, "{}", Code::KeyManagementUnavailable),
    ] {
        let error = kms_that_says(Some((status, answer))).await.unwrap(&stored(), tenant()).await.unwrap_err();
        assert_eq!(error.code(), code, "{status} {answer}: {error:?}");
        let said = format!("{error:?}");
        assert!(said.contains("KMS Decrypt: ") && !said.contains("canary") && !said.contains("Y2Fu"), "{said}");
    }
}

#[tokio::test]
async fn e4_a_kms_that_hangs_or_throttles_is_given_up_within_the_clients_time() {
    for answer in [None, Some((400, r#"{"__type":"ThrottlingException"}"#))] {
        let kms = kms_that_says(answer).await;
        let start = Instant::now();
        let error = kms.generate("alias/x", tenant()).await.unwrap_err();
        assert_eq!(error.code(), Code::KeyManagementUnavailable);
        assert!(
            start.elapsed() < crate::aws::CALL_TIMEOUT + std::time::Duration::from_millis(500),
            "{:?}",
            start.elapsed()
        );
    }
}
