//! The public keys that are trusted: JWK Sets (RFC 7517, 5) of P-256 keys.

use std::collections::BTreeMap;

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

use crate::SignedCheckpoint;

/// A public key on P-256: its point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    x: [u8; 32],
    y: [u8; 32],
}

/// The keys, each under its thumbprint.
#[derive(Debug, Clone, Default)]
pub struct Keys(BTreeMap<String, Key>);

#[derive(Deserialize)]
struct Set {
    keys: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    kty: String,
    crv: Option<String>,
    kid: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Key {
    /// The thumbprint (RFC 7638).
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, encode(&self.x), encode(&self.y));
        encode(digest(&SHA256, members.as_bytes()).as_ref())
    }

    fn has_signed(&self, signed: &SignedCheckpoint) -> bool {
        let point = [&[0x04], &self.x[..], &self.y[..]].concat();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        key.verify(&signed.checkpoint.signed_bytes(), &signed.signature).is_ok()
    }
}

impl Keys {
    /// Adds the keys of a set. Those of other kinds are passed over.
    ///
    /// # Errors
    /// Says what of the set is unreadable, or which key has a `kid` that is
    /// not its thumbprint.
    pub fn add_set(&mut self, json: &[u8]) -> Result<(), String> {
        let set: Set = serde_json::from_slice(json).map_err(|error| format!("no JWK Set: {error}"))?;
        for member in set.keys {
            if member.kty != "EC" || member.crv.as_deref() != Some("P-256") {
                continue;
            }
            let coordinate = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?).ok()?.try_into().ok();
            let (Some(x), Some(y)) = (coordinate(member.x), coordinate(member.y)) else {
                return Err("a P-256 key has no point".into());
            };
            let key = Key { x, y };
            let thumbprint = key.thumbprint();
            if member.kid.as_ref().is_some_and(|kid| *kid != thumbprint) {
                return Err(format!("the kid of a key is not its thumbprint, which is {thumbprint}"));
            }
            self.0.insert(thumbprint, key);
        }
        Ok(())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the key that a checkpoint names has signed it; none where it is
    /// not among these.
    #[must_use]
    pub fn check(&self, signed: &SignedCheckpoint) -> Option<bool> {
        self.0.get(&signed.checkpoint.kid).map(|key| key.has_signed(signed))
    }
}
