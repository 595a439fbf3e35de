//! KMS as the development stack emulates it, counted, and told to fail: the
//! emulator decrypts with a disabled key, is never slow and refuses nothing.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use aws_sdk_kms::error::ProvideErrorMetadata;
use tokio::sync::OnceCell;

use super::setting;
use crate::{
    auth::TenantId,
    error::{Code, Error, Result},
    kms::{self, DataKey, DataKeySource, Kms, WrappedKey},
    secrets::BoxFuture,
};

/// How KMS takes the next calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mood {
    /// As it is.
    #[default]
    Obliging,
    /// The key is disabled.
    KeyDisabled,
    /// Too many calls.
    Throttled,
    /// No answer until the client gives up.
    Slow,
}

/// The emulated KMS with one key that all tests share.
#[derive(Default)]
pub struct TestKms {
    mood: Mutex<Mood>,
    calls: AtomicUsize,
    real: OnceCell<Kms>,
}

impl TestKms {
    /// The key, by its alias.
    pub const KEY_ID: &str = "alias/tenantry-tests";

    /// Changes how the next calls are taken.
    pub fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// How many calls there were.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Makes another key and returns its ARN.
    pub async fn another_key() -> String {
        let _ = setting("AWS_ENDPOINT_URL");
        let made = kms::connect(true).await.create_key().send().await.expect("KMS makes a key");
        made.key_metadata.and_then(|key| key.arn).expect("a key has an ARN")
    }

    /// Counts a call and fails it if it shall.
    async fn admit(&self) -> Result<&Kms> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let refused = match *self.mood.lock().unwrap() {
            Mood::Obliging => None,
            Mood::KeyDisabled => Some("DisabledException"),
            Mood::Throttled => Some("ThrottlingException"),
            Mood::Slow => Some("no answer in time"),
        };
        match refused {
            None => Ok(self.real.get_or_init(with_key).await),
            Some(what) => {
                if what.starts_with("no answer") {
                    tokio::time::sleep(crate::aws::CALL_TIMEOUT).await;
                }
                Err(Error::new(Code::KeyManagementUnavailable).caused_by(std::io::Error::other(what)))
            }
        }
    }
}

/// The emulator, with the tests' key. Tests that start together may each make
/// one: the alias is the first one's.
async fn with_key() -> Kms {
    let arn = TestKms::another_key().await;
    let client = kms::connect(true).await;
    let named = client.create_alias().alias_name(TestKms::KEY_ID).target_key_id(arn).send().await;
    if let Err(error) = named {
        assert_eq!(error.code(), Some("AlreadyExistsException"), "{error:?}");
    }
    Kms::with_client(client)
}

impl DataKeySource for TestKms {
    fn generate<'a>(&'a self, kms_key_id: &'a str, tenant: TenantId) -> BoxFuture<'a, Result<(DataKey, WrappedKey)>> {
        Box::pin(async move { self.admit().await?.generate(kms_key_id, tenant).await })
    }

    fn unwrap<'a>(&'a self, wrapped: &'a WrappedKey, tenant: TenantId) -> BoxFuture<'a, Result<DataKey>> {
        Box::pin(async move { self.admit().await?.unwrap(wrapped, tenant).await })
    }
}
