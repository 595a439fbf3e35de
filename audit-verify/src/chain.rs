//! A chain, record after record, in the memory of one.

use crate::{Hash, Record};

/// How far a tenant's chain is proven.
#[derive(Debug, Clone)]
pub struct Chain {
    tenant: Box<str>,
    seq: u64,
    hash: Hash,
    form: Vec<u8>,
}

/// Why a record is not the chain's next. The first bad seq is [`Chain::seq`]
/// plus one, whatever the line says of itself: all before it are proven.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Records are missing, repeated, or out of their order.
    #[error("seq {0} stands in its place")]
    Seq(u64),
    /// The record is of another chain.
    #[error("the record is of tenant {0}")]
    Tenant(String),
    /// The record does not link to the one before it.
    #[error("it does not link to the record before it")]
    Link,
    /// The record is not what was hashed.
    #[error("its content is not what was hashed")]
    Hash,
    /// The version is not known, or has no such fields.
    #[error("version {0} is not known, or has no details")]
    Version(i16),
}

impl Chain {
    /// The chain of a tenant (a UUID in lower-case text form) from its first record.
    #[must_use]
    pub fn new(tenant: &str) -> Self {
        Self::after(tenant, 0, Hash::ZERO)
    }

    /// The chain from what follows the record `seq`, whose hash is `hash`.
    #[must_use]
    pub fn after(tenant: &str, seq: u64, hash: Hash) -> Self {
        Self { tenant: tenant.into(), seq, hash, form: Vec::with_capacity(1024) }
    }

    /// The last record that is proven; 0 before the first.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The hash of that record.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// The record is not the next one; the chain stays where it was.
    pub fn push(&mut self, record: &Record<'_>) -> Result<(), Fault> {
        if *record.tenant_id.0 != *self.tenant {
            return Err(Fault::Tenant(record.tenant_id.0.clone().into_owned()));
        }
        if record.seq != self.seq + 1 {
            return Err(Fault::Seq(record.seq));
        }
        if record.prev_hash != self.hash {
            return Err(Fault::Link);
        }
        match record.expected_hash(&mut self.form) {
            None => return Err(Fault::Version(record.version)),
            Some(hash) if hash != record.hash => return Err(Fault::Hash),
            Some(hash) => (self.seq, self.hash) = (record.seq, hash),
        }
        Ok(())
    }
}
