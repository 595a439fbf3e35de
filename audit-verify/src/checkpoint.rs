//! A checkpoint: what the head of a chain was at a time, signed.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::{
    Hash,
    field::{put, put_number},
    hex, instant,
};

/// The form that is signed and written; another one gets another number.
const VERSION: u8 = 1;

/// Stands first in what is signed, so that no signature for another purpose
/// is one for this.
const LABEL: &str = "tenantry audit checkpoint 1";

/// The head of a tenant's chain at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose chain, in lower-case text.
    pub tenant_id: String,
    /// The last record.
    pub seq: i64,
    /// Its hash.
    pub hash: Hash,
    /// When it was signed: microseconds since 1970.
    pub time_micros: i64,
    /// The thumbprint (RFC 7638) of the key that signs it.
    pub kid: String,
}

/// A checkpoint with its signature, which was not checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What is signed.
    pub checkpoint: Checkpoint,
    /// ECDSA on P-256 with SHA-256: r || s, of 32 bytes each (RFC 7518, 3.4).
    pub signature: Vec<u8>,
}

/// As it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u8,
    tenant_id: String,
    seq: i64,
    hash: String,
    time: String,
    kid: String,
    signature: String,
}

impl Checkpoint {
    /// The bytes that are signed: `field` of a label, tenant, seq, hash in
    /// hexadecimal, microseconds and kid (docs/AUDIT.md).
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        put(&mut bytes, Some(LABEL));
        put(&mut bytes, Some(&self.tenant_id));
        put_number(&mut bytes, self.seq);
        put(&mut bytes, Some(&hex::encode(&self.hash)));
        put_number(&mut bytes, self.time_micros);
        put(&mut bytes, Some(&self.kid));
        bytes
    }
}

impl SignedCheckpoint {
    /// Reads one as it is written; none where it is no checkpoint.
    #[must_use]
    pub fn read(json: &[u8]) -> Option<Self> {
        let written: Written =
            serde_json::from_slice(json).ok().filter(|written: &Written| written.version == VERSION)?;
        Some(Self {
            checkpoint: Checkpoint {
                tenant_id: written.tenant_id,
                seq: written.seq,
                hash: hex::decode(&written.hash)?,
                time_micros: instant::parse(&written.time)?,
                kid: written.kid,
            },
            signature: URL_SAFE_NO_PAD.decode(written.signature).ok()?,
        })
    }

    /// As it is written: one line of JSON; none where its time is of no year
    /// with four digits.
    #[must_use]
    pub fn to_json(&self) -> Option<String> {
        let Checkpoint { tenant_id, seq, hash, time_micros, kid } = self.checkpoint.clone();
        let written = Written {
            version: VERSION,
            tenant_id,
            seq,
            hash: hex::encode(&hash),
            time: instant::text(time_micros)?,
            kid,
            signature: URL_SAFE_NO_PAD.encode(&self.signature),
        };
        serde_json::to_string(&written).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed() -> SignedCheckpoint {
        let checkpoint =
            Checkpoint { tenant_id: "0193".into(), seq: 7, hash: [0xab; 32], time_micros: 1_000_000, kid: "k".into() };
        SignedCheckpoint { checkpoint, signature: vec![7; 64] }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let json = signed().to_json().unwrap();
        assert!(json.starts_with(r#"{"version":1,"tenant_id":"0193","seq":7,"hash":"abab"#), "{json}");
        assert_eq!(SignedCheckpoint::read(json.as_bytes()), Some(signed()));
        for (part, other) in
            [(r#""version":1"#, r#""version":2"#), ("abab", "ABab"), ("T00:", "t00:"), ("{", "{\"x\":1,")]
        {
            assert_eq!(SignedCheckpoint::read(json.replacen(part, other, 1).as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn every_part_is_signed() {
        let Checkpoint { tenant_id, seq, hash, time_micros, kid } = signed().checkpoint;
        let checkpoint = || signed().checkpoint;
        for other in [
            Checkpoint { tenant_id: format!("{tenant_id}7"), seq: 0, ..checkpoint() },
            Checkpoint { tenant_id: format!("{tenant_id}0"), ..checkpoint() },
            Checkpoint { seq: seq + 1, ..checkpoint() },
            Checkpoint { hash: hash.map(|byte| byte ^ 1), ..checkpoint() },
            Checkpoint { time_micros: time_micros + 1, ..checkpoint() },
            Checkpoint { kid: format!("{kid}k"), ..checkpoint() },
        ] {
            assert_ne!(other.signed_bytes(), checkpoint().signed_bytes(), "{other:?}");
        }
    }
}
