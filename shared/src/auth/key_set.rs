//! Key sets of ours, as they stand in Secrets Manager: JWK Sets (RFC 7517, 5)
//! of P-256 keys.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::SecretString;
use serde::Deserialize;

/// What is wrong with a key set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyFault(pub(super) &'static str);

#[derive(Deserialize)]
pub(super) struct KeySet {
    pub(super) keys: Vec<Key>,
}

#[derive(Deserialize)]
pub(super) struct Key {
    kty: String,
    crv: String,
    pub(super) kid: String,
    pub(super) x: String,
    pub(super) y: String,
    #[serde(default)]
    pub(super) d: Option<SecretString>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default)]
    r#use: Option<String>,
}

impl Key {
    pub(super) fn check(&self) -> Result<(), KeyFault> {
        let fits = self.kty == "EC"
            && self.crv == "P-256"
            && self.alg.as_deref().is_none_or(|alg| alg == "ES256")
            && self.r#use.as_deref().is_none_or(|purpose| purpose == "sig");
        if fits { Ok(()) } else { Err(KeyFault("has a key that is not an ES256 signing key")) }
    }

    /// The public point, uncompressed (SEC 1, 2.3.3).
    pub(super) fn point(&self) -> Result<Vec<u8>, KeyFault> {
        let mut point = vec![0x04];
        for coordinate in [&self.x, &self.y] {
            let bytes = URL_SAFE_NO_PAD.decode(coordinate).ok().filter(|bytes| bytes.len() == 32);
            point.extend(bytes.ok_or(KeyFault("has a coordinate that is not 32 bytes of base64url"))?);
        }
        Ok(point)
    }
}
