//! A whole export against the checkpoints.

use std::io::{self, BufRead, Read as _};

use crate::{Anchors, Chain, Record};

/// The longest line that is read, in bytes.
const LINE: u64 = 1 << 20;

/// What an export is found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Every record is the one that was written, as far as the last of
    /// `anchored`; what follows it is one chain, whose end nothing proves.
    Intact {
        /// The last record that a checkpoint proves; where the chain began, if none does.
        anchored: u64,
    },
    /// The first record that is not proven, and why.
    Bad {
        /// The first bad seq.
        seq: u64,
        /// Why.
        why: String,
    },
}

/// Reads an export to its end, or to the record `until`, in the memory of one
/// line. `chain` says where it begins and afterwards how far it is proven;
/// `progress` is called after each record with its seq.
///
/// # Errors
/// The export cannot be read.
pub fn verify(
    export: &mut dyn BufRead,
    chain: &mut Chain,
    anchors: &Anchors,
    until: Option<u64>,
    progress: &mut dyn FnMut(u64),
) -> io::Result<Found> {
    let mut anchored = chain.seq();
    let mut line = Vec::with_capacity(1024);
    loop {
        line.clear();
        let length = (&mut *export).take(LINE).read_until(b'\n', &mut line)?;
        if length == 0 {
            break;
        }
        let bad = |why: String, chain: &Chain| Ok(Found::Bad { seq: chain.seq() + 1, why });
        if until == Some(chain.seq()) {
            return bad("the export goes on after its last record".into(), chain);
        }
        let record = match serde_json::from_slice::<Record<'_>>(&line) {
            Ok(record) => record,
            Err(cause) => return bad(format!("its line is no record: {cause}"), chain),
        };
        if let Err(fault) = chain.push(&record) {
            return bad(fault.to_string(), chain);
        }
        match anchors.at(chain.seq()) {
            Some(hash) if hash == chain.hash() => anchored = chain.seq(),
            // A chain that was hashed anew: it is another one somewhere
            // between the last checkpoint that agrees and this one.
            Some(_) => {
                let why = format!("the checkpoint at seq {} has another hash: not proven since", chain.seq());
                return Ok(Found::Bad { seq: anchored + 1, why });
            }
            None => {}
        }
        progress(chain.seq());
    }
    let end = anchors.last().map_or(0, |(seq, _)| seq).min(until.unwrap_or(u64::MAX)).max(until.unwrap_or(0));
    if end > chain.seq() {
        return Ok(Found::Bad {
            seq: chain.seq() + 1,
            why: format!("the export ends before it, and not at seq {end}"),
        });
    }
    Ok(Found::Intact { anchored })
}
