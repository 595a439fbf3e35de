//! A signed statement of how far a tenant's chain had come, kept outside the
//! database.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use serde::{Deserialize, Serialize};

use crate::{At, Hash, Keys, field, record::decimal};

/// What the signed bytes begin with: no other signature of the key passes for
/// a checkpoint's.
const PURPOSE: &str = "tenantry audit checkpoint 1";

/// A checkpoint, as its JSON has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The chain's tenant: a UUID in lower-case text form.
    pub tenant_id: String,
    /// The chain's last record at that time.
    pub seq: u64,
    /// That record's hash.
    pub hash: Hash,
    /// When it was signed.
    pub at: At,
    /// The key's id.
    pub kid: String,
    /// ECDSA on P-256 with SHA-256: r and s, base64url without padding.
    pub signature: String,
}

/// A checkpoint that proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointFault {
    /// The signature is not the key's.
    #[error("the checkpoint at seq {0} has a bad signature")]
    Signature(u64),
    /// The key is not among the public keys.
    #[error("the checkpoint at seq {0} is signed by the unknown key {1}")]
    Kid(u64, String),
    /// Two checkpoints have different hashes for one record.
    #[error("two checkpoints at seq {0} contradict each other")]
    Contradiction(u64),
}

impl Checkpoint {
    /// What is signed: the purpose, tenant, seq, hash, time in microseconds
    /// since 1970 and key id, each with its length before it.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut form = Vec::with_capacity(256);
        field(&mut form, Some(PURPOSE));
        field(&mut form, Some(&self.tenant_id));
        decimal(&mut form, i128::from(self.seq));
        field(&mut form, Some(&self.hash.to_string()));
        decimal(&mut form, i128::from(self.at.0));
        field(&mut form, Some(&self.kid));
        form
    }

    /// The same checkpoint with this signature (r and s).
    #[must_use]
    pub fn signed(self, signature: &[u8]) -> Self {
        Self { signature: BASE64.encode(signature), ..self }
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// The key is unknown, or the signature is not its own.
    pub fn check(&self, keys: &Keys) -> Result<(), CheckpointFault> {
        let signature = BASE64.decode(&self.signature).unwrap_or_default();
        match keys.verify(&self.kid, &self.signed_bytes(), &signature) {
            None => Err(CheckpointFault::Kid(self.seq, self.kid.clone())),
            Some(false) => Err(CheckpointFault::Signature(self.seq)),
            Some(true) => Ok(()),
        }
    }
}

/// One tenant's checkpoints, checked, in the order of their records.
#[derive(Debug, Default)]
pub struct Anchors(Vec<(u64, Hash)>);

impl Anchors {
    /// Checks those that are of `tenant`; others are left out.
    ///
    /// # Errors
    /// One of them proves nothing, or contradicts another.
    pub fn of<'a>(
        tenant: &str,
        checkpoints: impl IntoIterator<Item = &'a Checkpoint>,
        keys: &Keys,
    ) -> Result<Self, CheckpointFault> {
        let mut anchors = Vec::new();
        for checkpoint in checkpoints.into_iter().filter(|checkpoint| checkpoint.tenant_id == tenant) {
            checkpoint.check(keys)?;
            anchors.push((checkpoint.seq, checkpoint.hash));
        }
        anchors.sort_unstable_by_key(|(seq, hash)| (*seq, hash.0));
        anchors.dedup();
        match anchors.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(CheckpointFault::Contradiction(pair[0].0)),
            None => Ok(Self(anchors)),
        }
    }

    /// The hash that a checkpoint has for the record `seq`.
    #[must_use]
    pub fn at(&self, seq: u64) -> Option<Hash> {
        let found = self.0.binary_search_by_key(&seq, |(seq, _)| *seq).ok()?;
        Some(self.0[found].1)
    }

    /// The last record that is anchored, and its hash.
    #[must_use]
    pub fn last(&self) -> Option<(u64, Hash)> {
        self.0.last().copied()
    }
}
