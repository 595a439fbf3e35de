//! Secrets that are replaced: by `ops`, whose role may.

use aws_sdk_secretsmanager::error::DisplayErrorContext;
use secrecy::{ExposeSecret, SecretString};

use super::SecretsManager;
use crate::clock::{Clock, SystemClock};

/// A secret's text, as one version of it has it.
#[derive(Debug, Clone)]
pub struct Version {
    /// The text.
    pub text: SecretString,
    /// The secret's ARN: one secret has several names.
    pub arn: String,
    id: String,
}

impl SecretsManager {
    /// The current version of the secret `id`.
    ///
    /// # Errors
    /// Says which secret cannot be read, and why.
    pub async fn current(&self, id: &str) -> Result<Version, String> {
        let answer = self.client().await.get_secret_value().secret_id(id).send().await;
        let answer =
            answer.map_err(|cause| format!("the secret {id} cannot be read: {}", DisplayErrorContext(&cause)))?;
        match (answer.secret_string, answer.arn, answer.version_id) {
            (Some(text), Some(arn), Some(version)) => Ok(Version { text: text.into(), arn, id: version }),
            _ => Err(format!("the secret {id} has no text")),
        }
    }

    /// Puts `text` in the place of the version that was read. Secrets Manager
    /// keeps that one under the label `AWSPREVIOUS`.
    ///
    /// # Errors
    /// Nothing was written: somebody else changed it meanwhile, or it may not be.
    pub async fn replace(&self, id: &str, read: &Version, text: &SecretString) -> Result<Version, String> {
        if self.current(id).await?.id != read.id {
            return Err(format!("the secret {id} was changed by somebody else in this moment; invoke again"));
        }
        let request = self.client().await.put_secret_value().secret_id(id).secret_string(text.expose_secret());
        let answer = request.client_request_token(SystemClock.new_id().to_string()).send().await;
        let answer =
            answer.map_err(|cause| format!("the secret {id} cannot be written: {}", DisplayErrorContext(&cause)))?;
        let version = answer.version_id.ok_or_else(|| format!("the secret {id} has no version"))?;
        Ok(Version { text: text.clone(), arn: read.arn.clone(), id: version })
    }
}
