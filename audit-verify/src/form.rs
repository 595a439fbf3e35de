//! The canonical form of a record (docs/AUDIT.md, versions 1 and 2).

use aws_lc_rs::digest::{SHA256, digest};

use crate::field::{put, put_number};

/// A SHA-256.
pub type Hash = [u8; 32];

/// What stands before the first record.
pub const NOTHING: Hash = [0; 32];

/// A record as it is hashed. What was tampered with may have no such form:
/// then a field is none that never is in what was recorded.
#[derive(Debug, Clone, Copy)]
pub struct Form<'a> {
    /// The canonical form: 1 or 2.
    pub version: i16,
    /// Whose record it is, in lower-case text.
    pub tenant_id: &'a str,
    /// Its place in the chain, from 1.
    pub seq: i64,
    /// Microseconds since 1970.
    pub at_micros: Option<i64>,
    /// What was attempted.
    pub action: &'a str,
    /// `success`, `denied` or `failure`.
    pub outcome: &'a str,
    /// The error code of the latter two.
    pub reason: Option<&'a str>,
    /// The user, in lower-case text.
    pub actor_id: Option<&'a str>,
    /// The session, in lower-case text.
    pub session_id: Option<&'a str>,
    /// The thing that it was done to, in lower-case text.
    pub object_id: Option<&'a str>,
    /// From where.
    pub source_address: Option<&'a str>,
    /// Under which request of the log.
    pub request_id: Option<&'a str>,
    /// What changed: the exact text; none in version 1.
    pub details: Option<&'a str>,
    /// The hash of the record before.
    pub prev_hash: Option<Hash>,
    /// Its own.
    pub hash: Option<Hash>,
}

impl Form<'_> {
    /// The hash of the canonical form; none where the record has no such form.
    /// `scratch` is overwritten.
    #[must_use]
    pub fn recomputed(&self, scratch: &mut Vec<u8>) -> Option<Hash> {
        self.write(scratch)?;
        digest(&SHA256, scratch).as_ref().try_into().ok()
    }

    fn write(&self, bytes: &mut Vec<u8>) -> Option<()> {
        if !matches!((self.version, self.details), (1, None) | (2, _)) {
            return None;
        }
        bytes.clear();
        bytes.extend(self.prev_hash?);
        put_number(bytes, self.version.into());
        put(bytes, Some(self.tenant_id));
        put_number(bytes, self.seq);
        put_number(bytes, self.at_micros?);
        put(bytes, Some(self.action));
        put(bytes, Some(self.outcome));
        for value in [self.reason, self.actor_id, self.session_id, self.object_id, self.source_address, self.request_id]
        {
            put(bytes, value);
        }
        if self.version >= 2 {
            put(bytes, self.details);
        }
        Some(())
    }
}
