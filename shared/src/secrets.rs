//! Secrets Manager: one batch at the cold start, and single reads after a
//! rotation. A secret is in memory only, and `secrecy` keeps it out of logs.

use std::{collections::HashMap, future::Future, pin::Pin, time::Duration};

use aws_sdk_secretsmanager::{Client, error::DisplayErrorContext};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use crate::{
    aws,
    config::{BaseConfig, Faults},
};

/// How long one read may take, its retries included.
const READ_TIMEOUT: Duration = Duration::from_secs(3);

/// A future that a trait object may return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where secrets come from: Secrets Manager, or a test's own.
pub trait SecretSource: Send + Sync + 'static {
    /// Reads the secrets with these ids (names or ARNs).
    fn read<'a>(&'a self, ids: &'a [&'a str]) -> BoxFuture<'a, Result<Secrets, Faults>>;
}

/// AWS Secrets Manager. The client is set up when it is first needed: a
/// function that reads no secret at its start does not pay for one.
pub struct SecretsManager {
    plaintext: bool,
    client: OnceCell<Client>,
}

impl SecretsManager {
    /// A client of the environment that Lambda provides.
    #[must_use]
    pub fn new(config: &BaseConfig) -> Self {
        Self { plaintext: config.aws_plaintext, client: OnceCell::new() }
    }

    async fn client(&self) -> &Client {
        self.client.get_or_init(|| connect(self.plaintext)).await
    }
}

pub(crate) async fn connect(plaintext: bool) -> Client {
    Client::new(&aws::config(plaintext, READ_TIMEOUT).await)
}

impl SecretSource for SecretsManager {
    fn read<'a>(&'a self, ids: &'a [&'a str]) -> BoxFuture<'a, Result<Secrets, Faults>> {
        Box::pin(async move {
            let list = ids.iter().map(ToString::to_string).collect();
            let batch = self.client().await.batch_get_secret_value().set_secret_id_list(Some(list)).send().await;
            let batch = batch.map_err(|cause| {
                let (ids, cause) = (ids.join(", "), DisplayErrorContext(&cause));
                Faults::from(format!("Secrets Manager did not give the secrets {ids}: {cause}"))
            })?;
            let mut values = HashMap::new();
            for entry in batch.secret_values.unwrap_or_default() {
                let matches = |id: &&&str| entry.name.as_deref() == Some(**id) || entry.arn.as_deref() == Some(**id);
                if let (Some(id), Some(text)) = (ids.iter().find(matches), &entry.secret_string) {
                    values.insert((*id).to_owned(), SecretString::from(text.clone()));
                }
            }
            Ok(Secrets(values))
        })
    }
}

/// Secrets by their ids.
#[derive(Debug, Default)]
pub struct Secrets(HashMap<String, SecretString>);

impl Secrets {
    /// Secrets that are known already.
    #[must_use]
    pub fn new(values: HashMap<String, SecretString>) -> Self {
        Self(values)
    }

    /// The text of the secret `id`, or its absence as a fault.
    pub fn text<'a>(&'a self, id: &str, faults: &mut Faults) -> Option<&'a SecretString> {
        let secret = self.0.get(id);
        if secret.is_none() && !id.is_empty() {
            faults.push(format!("the secret {id} is missing in Secrets Manager, or may not be read"));
        }
        secret
    }

    /// The secret `id` as JSON.
    pub fn json<T: DeserializeOwned>(&self, id: &str, form: &str, faults: &mut Faults) -> Option<T> {
        let secret = self.text(id, faults)?;
        let value = serde_json::from_str(secret.expose_secret()).ok();
        if value.is_none() {
            faults.push(format!("the secret {id} must be JSON of the form {form}"));
        }
        value
    }

    /// The secret `id` as a 256-bit key in base64url.
    pub fn key(&self, id: &str, faults: &mut Faults) -> Option<[u8; 32]> {
        let secret = self.text(id, faults)?;
        let bytes = URL_SAFE_NO_PAD.decode(secret.expose_secret().trim()).ok();
        let key = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        if key.is_none() {
            faults.push(format!("the secret {id} must be 32 bytes in base64url without padding"));
        }
        key
    }
}
