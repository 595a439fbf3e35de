//! Checkpoints whose signatures are good, by seq.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
};

use crate::{Checkpoint, Keys, SignedCheckpoint};

/// The checkpoints of one tenant that are to be believed.
#[derive(Debug, Clone, Default)]
pub struct Anchors {
    tenant_id: Option<String>,
    by_seq: BTreeMap<i64, Checkpoint>,
}

/// Why a checkpoint is not to be believed. Then nothing is: somebody put it
/// there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Untrusted {
    /// The signature is not of this checkpoint and the key that it names.
    BadSignature {
        /// What it claims to be of.
        seq: i64,
    },
    /// No key of this `kid` is known.
    UnknownKid {
        /// What it claims to be of.
        seq: i64,
        /// The key that it names.
        kid: String,
    },
    /// It is another tenant's.
    OtherTenant {
        /// What it is of.
        seq: i64,
        /// Whose it is.
        tenant_id: String,
    },
    /// Another one, as well signed, says another hash of the same record.
    Contradiction {
        /// The record.
        seq: i64,
    },
}

impl Anchors {
    /// None yet, of the tenant that is given or else of the first one's.
    #[must_use]
    pub const fn of(tenant_id: Option<String>) -> Self {
        Self { tenant_id, by_seq: BTreeMap::new() }
    }

    /// Adds one, once its signature was checked.
    ///
    /// # Errors
    /// It is not to be believed.
    pub fn add(&mut self, signed: SignedCheckpoint, keys: &Keys) -> Result<(), Untrusted> {
        let seq = signed.checkpoint.seq;
        match keys.check(&signed) {
            None => return Err(Untrusted::UnknownKid { seq, kid: signed.checkpoint.kid }),
            Some(false) => return Err(Untrusted::BadSignature { seq }),
            Some(true) => {}
        }
        let checkpoint = signed.checkpoint;
        let tenant_id = self.tenant_id.get_or_insert_with(|| checkpoint.tenant_id.clone());
        if *tenant_id != checkpoint.tenant_id {
            return Err(Untrusted::OtherTenant { seq, tenant_id: checkpoint.tenant_id });
        }
        match self.by_seq.entry(seq) {
            Entry::Occupied(same) if same.get().hash != checkpoint.hash => Err(Untrusted::Contradiction { seq }),
            Entry::Occupied(_) => Ok(()),
            Entry::Vacant(place) => {
                place.insert(checkpoint);
                Ok(())
            }
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_seq.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_seq.is_empty()
    }

    pub(crate) fn into_parts(self) -> (Option<String>, Vec<Checkpoint>) {
        (self.tenant_id, self.by_seq.into_values().collect())
    }
}

impl Untrusted {
    /// The record that the checkpoint claims to be of.
    #[must_use]
    pub const fn seq(&self) -> i64 {
        match self {
            Self::BadSignature { seq }
            | Self::UnknownKid { seq, .. }
            | Self::OtherTenant { seq, .. }
            | Self::Contradiction { seq } => *seq,
        }
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seq = self.seq();
        match self {
            Self::BadSignature { .. } => write!(formatter, "the checkpoint of seq {seq} has a bad signature"),
            Self::UnknownKid { kid, .. } => {
                write!(formatter, "the checkpoint of seq {seq} names the key {kid:?}, which is not among the keys")
            }
            Self::OtherTenant { tenant_id, .. } => {
                write!(formatter, "the checkpoint of seq {seq} is the tenant's {tenant_id:?}, not this one's")
            }
            Self::Contradiction { .. } => {
                write!(formatter, "two checkpoints of seq {seq}, both well signed, contradict each other")
            }
        }
    }
}
