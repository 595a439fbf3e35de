//! A signing key that never leaves KMS.

use std::sync::Arc;

use aws_sdk_kms::{
    Client,
    error::DisplayErrorContext,
    primitives::Blob,
    types::{KeyUsageType, MessageType, SigningAlgorithmSpec},
};

use super::{Algorithm, PublishedKey, SigningKey, der, kept::Source};
use crate::{
    aws,
    config::Faults,
    error::{Code, Error, Result},
    secrets::BoxFuture,
    start::Start,
};

/// What a fault calls the key.
pub(super) const VARIABLE: &str = "TOKEN_SIGNING_KMS_KEY_ID";

/// A key as KMS gave it: by its own id, since an alias may move while tokens
/// are signed under the `kid` of the key that it named.
struct KmsKey {
    client: Client,
    id: String,
    kid: String,
}

impl SigningKey for KmsKey {
    fn kid(&self) -> &str {
        &self.kid
    }

    fn algorithm(&self) -> Algorithm {
        Algorithm::Es256
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            let request = self.client.sign().key_id(&self.id).message(Blob::new(message));
            let request = request.message_type(MessageType::Raw).signing_algorithm(SigningAlgorithmSpec::EcdsaSha256);
            let unavailable = Error::new(Code::KeyManagementUnavailable);
            match request.send().await {
                Err(cause) => Err(unavailable.caused_by(cause)),
                Ok(signed) => {
                    let der = signed.signature.unwrap_or_else(|| Blob::new([])).into_inner();
                    let fixed = der::fixed_signature(&der).ok_or_else(|| unavailable.caused_by(NoSignature))?;
                    Ok(fixed.to_vec())
                }
            }
        })
    }
}

/// KMS's answer was no ECDSA signature on P-256.
#[derive(Debug, thiserror::Error)]
#[error("KMS answered with no ECDSA signature on P-256")]
struct NoSignature;

/// The key that an id, an ARN or an alias names.
pub(super) struct InKms {
    client: Client,
    id: String,
}

impl InKms {
    /// Sets up a client; no call is made.
    pub(super) async fn connect(id: String, start: &Start) -> Self {
        Self { client: Client::new(&aws::settings(start.base.aws_plaintext).await), id }
    }

    async fn find(&self) -> Result<Arc<dyn SigningKey>, Faults> {
        let found = public_key(&self.client, &self.id).await;
        let found = found.map_err(|cause| format!("KMS did not give the key that {VARIABLE} names: {cause}"))?;
        let (id, public) = found.ok_or_else(|| format!("{VARIABLE} must name an ECC_NIST_P256 key for SIGN_VERIFY"))?;
        Ok(Arc::new(KmsKey { client: self.client.clone(), id, kid: public.kid().to_owned() }))
    }
}

/// The id and the public key of what `id` names; none of another kind.
async fn public_key(client: &Client, id: &str) -> Result<Option<(String, PublishedKey)>, String> {
    let found = client.get_public_key().key_id(id).send().await;
    let found = found.map_err(|cause| DisplayErrorContext(&cause).to_string())?;
    let public = found.public_key.as_ref().and_then(|info| PublishedKey::of_kms(info.as_ref()));
    Ok(match (found.key_usage, found.key_id, public) {
        (Some(KeyUsageType::SignVerify), Some(id), Some(public)) => Some((id, public)),
        _ => None,
    })
}

/// Signing keys in KMS, for a rotation: `ops`.
pub struct KmsKeys(Client);

impl KmsKeys {
    /// Sets up a client; no call is made.
    pub async fn connect(start: &Start) -> Self {
        Self(Client::new(&aws::settings(start.base.aws_plaintext).await))
    }

    /// The public key of what `id` (an id, an ARN or an alias) names.
    ///
    /// # Errors
    /// Says what KMS said, or that the key is of another kind.
    pub async fn public_key(&self, id: &str) -> Result<PublishedKey, String> {
        let found = public_key(&self.0, id).await.map_err(|cause| format!("KMS did not give the key {id}: {cause}"))?;
        found.map(|(_, key)| key).ok_or_else(|| format!("{id} is no ECC_NIST_P256 key for SIGN_VERIFY"))
    }

    /// What signs with the key that `id` names from now on, and its public key.
    ///
    /// # Errors
    /// As [`Self::public_key`].
    pub async fn signing_key(&self, id: &str) -> Result<(Arc<dyn SigningKey>, PublishedKey), String> {
        let found = public_key(&self.0, id).await.map_err(|cause| format!("KMS did not give the key {id}: {cause}"))?;
        let (id, public) = found.ok_or_else(|| format!("{id} is no ECC_NIST_P256 key for SIGN_VERIFY"))?;
        Ok((Arc::new(KmsKey { client: self.0.clone(), id, kid: public.kid().to_owned() }), public))
    }

    /// Has an alias name the key `id` from now on.
    ///
    /// # Errors
    /// Says what KMS said.
    pub async fn point_alias(&self, alias: &str, id: &str) -> Result<(), String> {
        // An alias's ARN ends in its name.
        let name = alias.rfind("alias/").map_or(alias, |at| &alias[at..]);
        let moved = self.0.update_alias().alias_name(name).target_key_id(id).send().await;
        moved.map(drop).map_err(|cause| format!("{name} cannot be moved to {id}: {}", DisplayErrorContext(&cause)))
    }
}

impl Source<Arc<dyn SigningKey>> for InKms {
    fn read(&self) -> BoxFuture<'_, Result<Arc<dyn SigningKey>, Faults>> {
        Box::pin(self.find())
    }
}
