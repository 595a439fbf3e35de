//! What of a chain may be signed: what hangs on the last checkpoint, link by link.

use audit_verify::{BadSeq, Chain, Hash};
use shared::{
    Result,
    db::maintenance::{ChainEnds, Maintenance},
};
use uuid::Uuid;

/// How many records are held at a time.
const BATCH: i64 = 1_000;

/// What was found of a tenant's chain.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verified {
    /// Nothing was recorded since the last checkpoint.
    Unmoved,
    /// It is good from the last checkpoint to here; `more` may come after it.
    Grown { seq: i64, hash: Hash, more: bool },
    /// It is not what was recorded.
    Broken { bad_seq: i64 },
}

/// Recomputes the chain from the last checkpoint on, `most` records at most.
pub(super) async fn verified(database: &mut Maintenance, tenant: Uuid, most: i64) -> Result<Verified> {
    let ends = database.chain_ends(tenant).await?;
    let (mut chain, head_seq, head_hash) = match begun(ends) {
        Ok(begun) => begun,
        Err(known) => return Ok(known),
    };
    let to = head_seq.min(chain.next_seq() - 1 + most);
    while chain.next_seq() <= to {
        let missing = chain.next_seq();
        for link in database.links(tenant, missing, to, BATCH).await? {
            if let Err(BadSeq(bad_seq)) = link.follow(&mut chain) {
                return Ok(Verified::Broken { bad_seq });
            }
        }
        if chain.next_seq() == missing {
            return Ok(Verified::Broken { bad_seq: missing });
        }
    }
    let more = to < head_seq;
    if !more && chain.hash()[..] != head_hash {
        return Ok(Verified::Broken { bad_seq: head_seq });
    }
    Ok(Verified::Grown { seq: to, hash: chain.hash(), more })
}

/// The chain up to its last checkpoint, and its head; or what the two say
/// already.
fn begun(ChainEnds { head, signed }: ChainEnds) -> Result<(Chain, i64, Vec<u8>), Verified> {
    let (head_seq, head_hash) = match (head, &signed) {
        (Some(head), _) => head,
        (None, Some(_)) => return Err(Verified::Broken { bad_seq: 1 }),
        (None, None) => return Err(Verified::Unmoved),
    };
    let Some((signed_seq, signed_hash)) = signed else { return Ok((Chain::start(), head_seq, head_hash)) };
    // A tail was cut off, and the head set back.
    if head_seq < signed_seq {
        return Err(Verified::Broken { bad_seq: head_seq + 1 });
    }
    let same = head_hash == signed_hash;
    match signed_hash.try_into() {
        Ok::<Hash, _>(_) if head_seq == signed_seq && same => Err(Verified::Unmoved),
        Ok(hash) if head_seq > signed_seq => Ok((Chain::before(signed_seq + 1, hash), head_seq, head_hash)),
        _ => Err(Verified::Broken { bad_seq: signed_seq }),
    }
}
