//! A record as it stands in the database, for the check of the chain.

use audit_verify::{BadSeq, Chain, Form};
use uuid::{Uuid, fmt::Hyphenated};

/// A record, with what is hashed of it.
#[derive(Debug)]
pub struct Link {
    /// The canonical form that was hashed.
    pub version: i16,
    /// Whose it is.
    pub tenant_id: Uuid,
    /// Its place in the chain.
    pub seq: i64,
    /// Microseconds since 1970; none where the time is not finite.
    pub at_micros: Option<i64>,
    /// What was attempted.
    pub action: String,
    /// How it ended.
    pub outcome: String,
    /// Why it did not succeed.
    pub reason: Option<String>,
    /// The user.
    pub actor_id: Option<Uuid>,
    /// The session.
    pub session_id: Option<Uuid>,
    /// The thing that it was done to.
    pub object_id: Option<Uuid>,
    /// From where.
    pub source_address: Option<String>,
    /// Under which request.
    pub request_id: Option<String>,
    /// What changed.
    pub details: Option<String>,
    /// As long as a hash may be: a tampered one may be of any length.
    pub prev_hash: Vec<u8>,
    /// Its own, of any length too.
    pub hash: Vec<u8>,
}

impl Link {
    /// The chain goes on by this record.
    ///
    /// # Errors
    /// As [`Chain::extend`].
    pub fn follow(&self, chain: &mut Chain) -> Result<(), BadSeq> {
        chain.extend(&self.form(&mut [[0; Hyphenated::LENGTH]; 4]))
    }

    /// As it is hashed; the texts of its ids stand in the buffers.
    fn form<'a>(&'a self, buffers: &'a mut [[u8; Hyphenated::LENGTH]; 4]) -> Form<'a> {
        let [tenant_id, actor_id, session_id, object_id] = buffers;
        let optional = |id: Option<Uuid>, buffer| id.map(|id| text(id, buffer));
        Form {
            version: self.version,
            tenant_id: text(self.tenant_id, tenant_id),
            seq: self.seq,
            at_micros: self.at_micros,
            action: &self.action,
            outcome: &self.outcome,
            reason: self.reason.as_deref(),
            actor_id: optional(self.actor_id, actor_id),
            session_id: optional(self.session_id, session_id),
            object_id: optional(self.object_id, object_id),
            source_address: self.source_address.as_deref(),
            request_id: self.request_id.as_deref(),
            details: self.details.as_deref(),
            prev_hash: self.prev_hash.as_slice().try_into().ok(),
            hash: self.hash.as_slice().try_into().ok(),
        }
    }
}

fn text(id: Uuid, buffer: &mut [u8; Hyphenated::LENGTH]) -> &str {
    id.hyphenated().encode_lower(buffer)
}

#[cfg(test)]
mod tests;
