//! The key of checkpoints, and the public keys beside them.

use std::sync::Arc;

use audit_verify::{At, Chain, Checkpoint, Keys};
use serde_json::{Value, json};
use shared::{
    auth::{KmsKeys, SigningKey},
    start::Start,
};
use time::OffsetDateTime;

use super::store::CheckpointStore;

/// Signs checkpoints, and knows every key that ever did.
pub(crate) struct Signer {
    key: Arc<dyn SigningKey>,
    /// All public keys.
    pub(super) keys: Keys,
}

impl Signer {
    /// Finds the key, and publishes it before it signs anything. Keys that
    /// signed before it stay published.
    pub(super) async fn ready(start: &Start, id: &str, store: &dyn CheckpointStore) -> Result<Self, String> {
        let (key, public) = KmsKeys::connect(start).await.signing_key(id).await?;
        let mut jwks = store.keys().await?;
        let published = jwks["keys"].as_array_mut().ok_or("the public keys of checkpoints are no JWKS")?;
        if !published.iter().any(|known| known["kid"] == public.kid()) {
            published.push(json!(public));
            store.put_keys(&jwks).await?;
        }
        Ok(Self { key, keys: keys_of(&jwks)? })
    }

    /// Signs how far the chain is proven.
    pub(crate) async fn sign(&self, chain: &Chain, now: OffsetDateTime) -> Result<Checkpoint, String> {
        let checkpoint = Checkpoint {
            tenant_id: chain.tenant().to_owned(),
            seq: chain.seq(),
            hash: chain.hash(),
            at: At(i64::try_from(now.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX)),
            kid: self.key.kid().to_owned(),
            signature: String::new(),
        };
        let signature = self.key.sign(&checkpoint.signed_bytes()).await;
        let signature = signature.map_err(|error| format!("KMS does not sign: {error:?}"))?;
        Ok(checkpoint.signed(&signature))
    }
}

fn keys_of(jwks: &Value) -> Result<Keys, String> {
    Keys::of_jwks(jwks.to_string().as_bytes()).map_err(|fault| format!("the public keys of checkpoints: {fault}"))
}
