//! Where the signing key is, and how it is had.

use std::sync::Arc;

use super::{
    LocalKey, SigningKey,
    kept::{InSecret, Source},
    kms::{InKms, VARIABLE as KMS_KEY},
};
use crate::{
    config::{Config, Environment, Faults},
    secrets::Secrets,
    start::Start,
};

const PRIVATE_SET: &str = "TOKEN_PRIVATE_KEYS_SECRET_ID";

/// Where the key is that signs our tokens.
#[derive(Debug, Clone)]
pub enum SigningConfig {
    /// It is the first key of the private JWK Set in this secret.
    Secret(String),
    /// It is in KMS, under this id, ARN or alias.
    Kms(String),
}

impl Config for SigningConfig {
    fn read(env: &mut Environment<'_>) -> Self {
        match (env.optional(PRIVATE_SET), env.optional(KMS_KEY)) {
            (Some(id), None) => return Self::Secret(id),
            (None, Some(id)) => return Self::Kms(id),
            (Some(_), Some(_)) => env.fault(format!("of {PRIVATE_SET} and {KMS_KEY} only one may be set")),
            (None, None) => env.fault(format!(
                "{PRIVATE_SET} is not set: the name or ARN of the secret with the private JWK Set (or {KMS_KEY}: the id, \
                 ARN or alias of a key in KMS)"
            )),
        }
        Self::Secret(String::new())
    }
}

impl SigningConfig {
    /// The id of the secret to be read at the start, if it is in one.
    #[must_use]
    pub fn secret_id(&self) -> Option<&str> {
        match self {
            Self::Secret(id) => Some(id),
            Self::Kms(_) => None,
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
            SigningConfig::Kms(id) => {
                let source = InKms::connect(id, start).await;
                let key = source.read().await?;
                Ok(Self { key, source: Box::new(source), name: KMS_KEY.to_owned() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_lookup;

    fn read(set: &[(&str, &str)]) -> String {
        let lookup = |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        from_lookup::<SigningConfig>(&lookup).map_or_else(|faults| faults.to_string(), |config| format!("{config:?}"))
    }

    #[test]
    fn the_key_is_in_a_secret_or_in_kms_and_not_in_both() {
        let (secret, kms) = ((PRIVATE_SET, "token-private-keys"), (KMS_KEY, "alias/tokens"));
        assert_eq!(read(&[secret, (KMS_KEY, " ")]), r#"Secret("token-private-keys")"#);
        assert_eq!(read(&[kms, (PRIVATE_SET, "")]), r#"Kms("alias/tokens")"#);
        for faulty in [read(&[secret, kms]), read(&[])] {
            assert!(
                faulty.starts_with("1 fault") && faulty.contains(PRIVATE_SET) && faulty.contains(KMS_KEY),
                "{faulty}"
            );
            assert!(!faulty.contains("token-private") && !faulty.contains("alias/"), "{faulty}");
        }
    }
}
