//! The chain, recomputed: a record after a record, in memory for one of them.

use crate::{Form, Hash, NOTHING};

/// A chain up to some record, whose successor is to be checked.
#[derive(Debug, Clone)]
pub struct Chain {
    next_seq: i64,
    hash: Hash,
    scratch: Vec<u8>,
}

/// The first record that is not what was recorded, or is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadSeq(pub i64);

impl Chain {
    /// A chain of which nothing was seen.
    #[must_use]
    pub const fn start() -> Self {
        Self::before(1, NOTHING)
    }

    /// A chain up to the record before `next_seq`, which has this hash.
    #[must_use]
    pub const fn before(next_seq: i64, hash: Hash) -> Self {
        Self { next_seq, hash, scratch: Vec::new() }
    }

    /// The seq that must come next.
    #[must_use]
    pub const fn next_seq(&self) -> i64 {
        self.next_seq
    }

    /// The hash that it must name.
    #[must_use]
    pub const fn hash(&self) -> Hash {
        self.hash
    }

    /// The chain goes on by this record.
    ///
    /// # Errors
    /// Which one is bad: this one, or the one that should stand in its place.
    pub fn extend(&mut self, record: &Form<'_>) -> Result<(), BadSeq> {
        if record.seq != self.next_seq {
            return Err(BadSeq(self.next_seq.min(record.seq)));
        }
        let Some(hash) = record.hash.filter(|_| record.prev_hash == Some(self.hash)) else {
            return Err(BadSeq(record.seq));
        };
        if record.recomputed(&mut self.scratch) != Some(hash) {
            return Err(BadSeq(record.seq));
        }
        self.hash = hash;
        self.next_seq += 1;
        Ok(())
    }
}
