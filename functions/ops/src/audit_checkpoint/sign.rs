//! A checkpoint is signed by KMS, and kept.

use std::sync::Arc;

use audit_verify::{Checkpoint, Hash, SignedCheckpoint};
use serde_json::json;
use shared::{
    auth::{KmsKeys, SigningKey},
    checkpoints::{CheckpointStore, CheckpointsConfig, Put, name_of_checkpoint, name_of_key},
    start::Start,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Fault;

/// The key that signs in this run, and the place where its checkpoints go.
pub(crate) struct Signer {
    key: Arc<dyn SigningKey>,
    store: Box<dyn CheckpointStore>,
}

/// A checkpoint that stands where it is kept.
pub(crate) struct Kept {
    pub(crate) signed: SignedCheckpoint,
    /// Whether it did not before.
    pub(crate) is_new: bool,
}

impl Signer {
    /// Keeps the key's public part first, so that no checkpoint stands without it.
    pub(crate) async fn begin(config: &CheckpointsConfig, start: &Start) -> Result<Self, Fault> {
        let store = config.store(start).await.map_err(Fault::Store)?;
        let (key, public) = KmsKeys::connect(start).await.signing_key(&config.kms_key_id).await.map_err(Fault::Kms)?;
        let set = json!({ "keys": [public] }).to_string();
        store.put(&name_of_key(key.kid()), set.as_bytes()).await.map_err(Fault::Store)?;
        Ok(Self { key, store })
    }

    /// Keeps something else beside the checkpoints. It is well where a run before
    /// this one has kept the same, and nothing goes over what is another.
    pub(crate) async fn keep(&self, name: &str, bytes: &[u8]) -> Result<(), Fault> {
        match self.store.put(name, bytes).await.map_err(Fault::Store)? {
            Put::StoodThere(stood) if stood != bytes => {
                Err(Fault::Store(format!("{name} is there already, and says something else")))
            }
            Put::Written | Put::StoodThere(_) => Ok(()),
        }
    }

    /// Signs a record's hash and keeps that. Where something is kept of this
    /// record already, it is what counts: a run before this one may have ended
    /// between the two.
    pub(crate) async fn sign(&self, tenant: Uuid, seq: i64, hash: Hash, now: OffsetDateTime) -> Result<Kept, Fault> {
        let micros = i64::try_from(now.unix_timestamp_nanos() / 1_000);
        let time_micros = micros.map_err(|_| Fault::Store("the time is not within bounds".to_owned()))?;
        let (tenant_id, kid) = (tenant.to_string(), self.key.kid().to_owned());
        let checkpoint = Checkpoint { tenant_id, seq, hash, time_micros, kid };
        let signature = self.key.sign(&checkpoint.signed_bytes()).await;
        let signature = signature.map_err(|error| Fault::Kms(format!("{error:?}")))?;
        let signed = SignedCheckpoint { checkpoint, signature };
        let json = signed.to_json().ok_or_else(|| Fault::Store("the time is not within bounds".to_owned()))?;
        let name = name_of_checkpoint(&signed.checkpoint.tenant_id, seq);
        match self.store.put(&name, json.as_bytes()).await.map_err(Fault::Store)? {
            Put::Written => Ok(Kept { signed, is_new: true }),
            Put::StoodThere(stood) => {
                let stood = SignedCheckpoint::read(&stood).filter(|stood| {
                    let Checkpoint { tenant_id, seq, .. } = &stood.checkpoint;
                    (tenant_id, seq) == (&signed.checkpoint.tenant_id, &signed.checkpoint.seq)
                });
                let signed = stood.ok_or_else(|| Fault::Store(format!("{name} is no checkpoint of this record")))?;
                Ok(Kept { signed, is_new: false })
            }
        }
    }
}
