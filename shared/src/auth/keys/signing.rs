//! Where the signing key is, and how it is had.

use std::sync::Arc;

use super::{
    LocalKey, SigningKey,
    kept::{InSecret, Source},
};
use crate::{
    config::{Config, Environment, Faults},
    secrets::Secrets,
    start::Start,
};

/// Where the key is that signs our tokens.
#[derive(Debug, Clone)]
pub enum SigningConfig {
    /// It is the first key of the private JWK Set in this secret.
    Secret(String),
}

impl Config for SigningConfig {
    fn read(env: &mut Environment<'_>) -> Self {
        Self::Secret(
            env.required("TOKEN_PRIVATE_KEYS_SECRET_ID", "the name or ARN of the secret with the private JWK Set"),
        )
    }
}

impl SigningConfig {
    /// The id of the secret to be read at the start, if it is in one.
    #[must_use]
    pub fn secret_id(&self) -> Option<&str> {
        match self {
            Self::Secret(id) => Some(id),
        }
    }
}

/// A signing key, and where it is read again.
pub struct Signing {
    pub(crate) key: Arc<dyn SigningKey>,
    pub(crate) source: Box<dyn Source<Arc<dyn SigningKey>>>,
    /// What a fault calls it.
    pub(crate) name: String,
}

impl Signing {
    /// Reads the key, from among `secrets` if it is in one.
    ///
    /// # Errors
    /// Says what is missing or wrong, by its name and without a value.
    pub async fn read(config: SigningConfig, secrets: &Secrets, start: &Start) -> Result<Self, Faults> {
        match config {
            SigningConfig::Secret(id) => {
                let key = secrets.read(&id, LocalKey::first_of)?;
                let name = format!("the secret {id}");
                let read = |set: &_| LocalKey::first_of(set).map(|key| Arc::new(key) as Arc<dyn SigningKey>);
                let source = InSecret { id, secrets: start.secrets.clone(), read };
                Ok(Self { key: Arc::new(key), source: Box::new(source), name })
            }
        }
    }
}
