//! The chain, recomputed: a record after a record, in memory for one of them.

use aws_lc_rs::digest::{Context, SHA256};
use uuid::Uuid;

/// A hash, as long as it may be: a tampered one may be of any length.
pub(crate) type Hash = Vec<u8>;

/// What stands before the first record.
pub(crate) const NOTHING: [u8; 32] = [0; 32];

/// A record, with what is hashed of it.
pub(crate) struct Link {
    pub(crate) version: i16,
    pub(crate) tenant_id: Uuid,
    pub(crate) seq: i64,
    /// Microseconds since 1970; none where the time is not finite.
    pub(crate) at_micros: Option<i64>,
    pub(crate) action: String,
    pub(crate) outcome: String,
    pub(crate) reason: Option<String>,
    pub(crate) actor_id: Option<Uuid>,
    pub(crate) session_id: Option<Uuid>,
    pub(crate) object_id: Option<Uuid>,
    pub(crate) source_address: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) details: Option<String>,
    pub(crate) prev_hash: Hash,
    pub(crate) hash: Hash,
}

/// A chain up to some record, whose successor is to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chain {
    /// The seq that must come next.
    pub(crate) next_seq: i64,
    /// The hash that it must name.
    pub(crate) hash: Hash,
}

/// The first record that is not what was recorded, or is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadSeq(pub(crate) i64);

impl Chain {
    /// The chain goes on by this record.
    ///
    /// # Errors
    /// Which one is bad: this one, or the one that should stand in its place.
    pub(crate) fn extend(&mut self, link: &Link) -> Result<(), BadSeq> {
        if link.seq != self.next_seq {
            return Err(BadSeq(self.next_seq.min(link.seq)));
        }
        if link.prev_hash != self.hash || link.recomputed().as_deref() != Some(&*link.hash) {
            return Err(BadSeq(link.seq));
        }
        self.hash.clone_from(&link.hash);
        self.next_seq += 1;
        Ok(())
    }
}

impl Link {
    /// The hash of the canonical form (docs/AUDIT.md); none where the record
    /// has no such form.
    fn recomputed(&self) -> Option<Hash> {
        if !matches!((self.version, &self.details), (1, None) | (2, _)) {
            return None;
        }
        let id = |id: Option<Uuid>| id.map(|id| id.to_string());
        let mut hash = Context::new(&SHA256);
        hash.update(&self.prev_hash);
        let mut field = |value: Option<&str>| {
            let Some(value) = value else { return hash.update(&u32::MAX.to_be_bytes()) };
            hash.update(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
            hash.update(value.as_bytes());
        };
        field(Some(&self.version.to_string()));
        field(Some(&self.tenant_id.to_string()));
        field(Some(&self.seq.to_string()));
        field(Some(&self.at_micros?.to_string()));
        field(Some(&self.action));
        field(Some(&self.outcome));
        field(self.reason.as_deref());
        for value in [self.actor_id, self.session_id, self.object_id] {
            field(id(value).as_deref());
        }
        field(self.source_address.as_deref());
        field(self.request_id.as_deref());
        if self.version >= 2 {
            field(self.details.as_deref());
        }
        Some(hash.finish().as_ref().to_vec())
    }
}
