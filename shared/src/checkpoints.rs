//! Where signed checkpoints of the audit trail are kept: outside of the
//! database, each written once and never again. docs/AUDIT.md has the model.

mod folder;
mod s3;

use std::path::PathBuf;

pub use folder::Folder;
pub use s3::S3;

use crate::{config::Environment, secrets::BoxFuture, start::Start};

/// What became of something that was to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// It stands there.
    Written,
    /// Something stood there before, and still does: this.
    StoodThere(Vec<u8>),
}

/// A place for checkpoints and for the public keys that go with them.
pub trait CheckpointStore: Send + Sync {
    /// Writes `json` under `name`, whose parts are divided by `/`, where
    /// nothing stands. Says what went wrong; then it may stand there or not.
    fn put<'a>(&'a self, name: &'a str, json: &'a [u8]) -> BoxFuture<'a, Result<Put, String>>;
}

/// What signs checkpoints, and where they are kept.
#[derive(Debug, Clone)]
pub struct CheckpointsConfig {
    /// The KMS key that signs: its id, ARN or alias.
    pub kms_key_id: String,
    bucket: Option<String>,
    folder: Option<PathBuf>,
}

impl CheckpointsConfig {
    /// None where the function is told of no key: then it signs nothing.
    pub fn read(env: &mut Environment<'_>) -> Option<Self> {
        let kms_key_id = env.optional("AUDIT_SIGNING_KMS_KEY_ID")?;
        let bucket = env.optional("AUDIT_CHECKPOINT_BUCKET");
        Some(Self { kms_key_id, bucket, folder: env.optional("AUDIT_CHECKPOINT_FOLDER").map(Into::into) })
    }

    /// The place.
    ///
    /// # Errors
    /// Says what of the configuration does not fit.
    pub async fn store(&self, start: &Start) -> Result<Box<dyn CheckpointStore>, String> {
        match (&self.bucket, &self.folder) {
            (Some(bucket), None) => Ok(Box::new(S3::connect(bucket, start).await?)),
            (None, Some(folder)) => Ok(Box::new(Folder::new(folder.clone()))),
            _ => Err("one of AUDIT_CHECKPOINT_BUCKET and AUDIT_CHECKPOINT_FOLDER must be set".to_owned()),
        }
    }
}

/// Where the checkpoint of a record stands: in the order of the chain.
#[must_use]
pub fn name_of_checkpoint(tenant_id: &str, seq: i64) -> String {
    format!("checkpoints/{tenant_id}/{seq:020}.json")
}

/// Where a public key stands, as a JWK Set of it alone: nothing that was
/// written is ever changed, so old keys stay beside what they signed.
#[must_use]
pub fn name_of_key(kid: &str) -> String {
    format!("keys/{kid}.json")
}
