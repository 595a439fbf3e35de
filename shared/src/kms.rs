//! KMS: it makes data keys and unwraps them. A wrapped key is bound to its
//! tenant by the encryption context, which also stands in CloudTrail's record
//! of each call.

use std::collections::HashMap;

use aws_sdk_kms::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    primitives::Blob,
    types::DataKeySpec,
};
use secrecy::{SecretBox, zeroize::Zeroizing};
use tokio::sync::OnceCell;

use crate::{
    auth::TenantId,
    aws,
    config::BaseConfig,
    error::{Code, Error, Result},
    secrets::BoxFuture,
};

/// A 256-bit data key, wiped when it is dropped.
pub type DataKey = SecretBox<[u8; 32]>;

/// A data key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// The key under the KMS key.
    pub bytes: Vec<u8>,
    /// The KMS key's ARN.
    pub kms_key_id: String,
}

/// Where data keys come from: KMS, or a test that lets it fail.
pub trait DataKeySource: Send + Sync + 'static {
    /// Makes a data key for `tenant` under the KMS key `kms_key_id`.
    fn generate<'a>(&'a self, kms_key_id: &'a str, tenant: TenantId) -> BoxFuture<'a, Result<(DataKey, WrappedKey)>>;

    /// Unwraps a data key of `tenant`. `SYS_005` where it was wrapped for
    /// another one, under another key, or was altered; `SYS_004` where KMS
    /// cannot be had or the KMS key may not be used.
    fn unwrap<'a>(&'a self, wrapped: &'a WrappedKey, tenant: TenantId) -> BoxFuture<'a, Result<DataKey>>;
}

/// AWS KMS. The client is set up when it is first needed.
pub struct Kms {
    plaintext: bool,
    client: OnceCell<Client>,
}

impl Kms {
    /// A client of the environment that Lambda provides.
    #[must_use]
    pub fn new(config: &BaseConfig) -> Self {
        Self { plaintext: config.aws_plaintext, client: OnceCell::new() }
    }

    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn with_client(client: Client) -> Self {
        Self { plaintext: true, client: OnceCell::new_with(Some(client)) }
    }

    async fn client(&self) -> &Client {
        self.client.get_or_init(|| connect(self.plaintext)).await
    }
}

pub(crate) async fn connect(plaintext: bool) -> Client {
    Client::new(&aws::settings(plaintext).await)
}

impl DataKeySource for Kms {
    fn generate<'a>(&'a self, kms_key_id: &'a str, tenant: TenantId) -> BoxFuture<'a, Result<(DataKey, WrappedKey)>> {
        Box::pin(async move {
            let call = self.client().await.generate_data_key().key_id(kms_key_id).key_spec(DataKeySpec::Aes256);
            let made = call.set_encryption_context(Some(context(tenant))).send().await;
            let made = made.map_err(|error| Failure::of("GenerateDataKey", &error).into_error())?;
            let wrapped = WrappedKey {
                bytes: made.ciphertext_blob.map(Blob::into_inner).unwrap_or_default(),
                kms_key_id: made.key_id.unwrap_or_default(),
            };
            Ok((key("GenerateDataKey", made.plaintext)?, wrapped))
        })
    }

    fn unwrap<'a>(&'a self, wrapped: &'a WrappedKey, tenant: TenantId) -> BoxFuture<'a, Result<DataKey>> {
        Box::pin(async move {
            let call = self.client().await.decrypt().key_id(&wrapped.kms_key_id);
            let call = call.ciphertext_blob(Blob::new(wrapped.bytes.clone()));
            let opened = call.set_encryption_context(Some(context(tenant))).send().await;
            let opened = opened.map_err(|error| Failure::of("Decrypt", &error).into_error())?;
            key("Decrypt", opened.plaintext)
        })
    }
}

/// What a wrapped key is bound to.
fn context(tenant: TenantId) -> HashMap<String, String> {
    HashMap::from([("tenant_id".to_owned(), tenant.as_uuid().to_string())])
}

fn key(call: &'static str, plaintext: Option<Blob>) -> Result<DataKey> {
    let bytes = Zeroizing::new(plaintext.map(Blob::into_inner).unwrap_or_default());
    let key = <[u8; 32]>::try_from(bytes.as_slice()).map(Zeroizing::new);
    let key =
        key.map_err(|_| Failure { call, what: "no 256-bit key in the answer".into(), code: None }.into_error())?;
    Ok(DataKey::init_with_mut(|place| place.copy_from_slice(key.as_slice())))
}

/// What went wrong, as the log may say it: never an answer, which may hold a key.
#[derive(Debug, thiserror::Error)]
#[error("KMS {call}: {what}")]
struct Failure {
    call: &'static str,
    what: String,
    code: Option<String>,
}

impl Failure {
    fn of<E: ProvideErrorMetadata, R>(call: &'static str, error: &SdkError<E, R>) -> Self {
        let what = match error {
            SdkError::ServiceError(refusal) => {
                let refusal = refusal.err();
                format!("{}, {}", refusal.code().unwrap_or("no code"), refusal.message().unwrap_or("no message"))
            }
            SdkError::TimeoutError(_) => "no answer in time".into(),
            SdkError::DispatchFailure(_) => "could not be reached".into(),
            SdkError::ResponseError(_) => "answer unreadable".into(),
            _ => "call could not be made".into(),
        };
        Self { call, what, code: error.code().map(Into::into) }
    }

    /// What KMS says of the wrapped key itself is a fault of what is stored;
    /// all else, a disabled key too, keeps us from looking.
    fn into_error(self) -> Error {
        let code = match self.code.as_deref() {
            Some("InvalidCiphertextException" | "IncorrectKeyException") => Code::Undecryptable,
            _ => Code::KeyManagementUnavailable,
        };
        Error::new(code).caused_by(self)
    }
}

#[cfg(test)]
mod tests;
