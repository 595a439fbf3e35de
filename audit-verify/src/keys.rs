//! The public keys of checkpoints: a JWKS (RFC 7517) of P-256 keys.

use std::collections::HashMap;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use serde::Deserialize;

/// Public keys by their ids.
#[derive(Debug, Default)]
pub struct Keys(HashMap<String, Vec<u8>>);

/// A key set that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFault {
    /// Not a JWKS.
    #[error("it is no JWKS: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// A key of another kind, or with coordinates of another length.
    #[error("key {0} is no EC key on P-256")]
    Kind(String),
    /// Two keys that differ have one id.
    #[error("two keys are called {0}")]
    Twice(String),
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    kid: String,
    kty: String,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
}

impl Keys {
    /// Reads a JWKS.
    ///
    /// # Errors
    /// It is none, or has a key that signs no checkpoints.
    pub fn of_jwks(jwks: &[u8]) -> Result<Self, KeyFault> {
        let mut keys = HashMap::new();
        for key in serde_json::from_slice::<Set>(jwks)?.keys {
            let coordinates = (BASE64.decode(&key.x), BASE64.decode(&key.y));
            let ((Ok(x), Ok(y)), "EC", "P-256") = (coordinates, &*key.kty, &*key.crv) else {
                return Err(KeyFault::Kind(key.kid));
            };
            if (x.len(), y.len()) != (32, 32) {
                return Err(KeyFault::Kind(key.kid));
            }
            // SEC 1, 2.3.3: an uncompressed point.
            let point = [&[4], &*x, &*y].concat();
            if keys.insert(key.kid.clone(), point.clone()).is_some_and(|other| other != point) {
                return Err(KeyFault::Twice(key.kid));
            }
        }
        Ok(Self(keys))
    }

    /// Whether `signature` (r and s) is the key's for `message`; none where no
    /// key has this id.
    pub(crate) fn verify(&self, kid: &str, message: &[u8], signature: &[u8]) -> Option<bool> {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.0.get(kid)?);
        Some(key.verify(message, signature).is_ok())
    }
}
