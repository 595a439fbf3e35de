//! Keys as they stand in Secrets Manager: JWK Sets (RFC 7517, 5) of P-256
//! (RFC 7518, 6.2), Ed25519 (RFC 8037, 2) and symmetric keys (RFC 7518, 6.4).
//! Members that are not named here are ignored, of the set and of its keys.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde::Deserialize;

use super::{Algorithm, KeyFault, is_kid, published::Point};

/// The shortest symmetric key, in bytes (RFC 7518, 3.2).
const SHORTEST_SECRET: usize = 32;

/// A key of a set.
pub(super) struct Key {
    pub(super) kid: String,
    pub(super) material: Material,
}

/// What a key is made of.
pub(super) enum Material {
    /// A pair; its private part only where it is to sign.
    Pair { point: Point, private: Option<SecretSlice<u8>> },
    /// The one secret that signs and checks.
    Secret(SecretSlice<u8>),
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Written>,
}

#[derive(Deserialize)]
struct Written {
    kty: String,
    kid: String,
    crv: Option<String>,
    alg: Option<String>,
    r#use: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<SecretString>,
    k: Option<SecretString>,
}

/// Reads a set of at least one key.
///
/// # Errors
/// Says what is wrong with it, without a value of it.
pub(super) fn read(set: &str) -> Result<Vec<Key>, KeyFault> {
    let set: Set = serde_json::from_str(set).map_err(|_| KeyFault("is not a JWK Set"))?;
    let keys = set.keys.into_iter().map(Written::read).collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() {
        return Err(KeyFault("has no key"));
    }
    if keys.iter().enumerate().any(|(index, key)| keys[..index].iter().any(|other| other.kid == key.kid)) {
        return Err(KeyFault("has two keys with the same kid"));
    }
    Ok(keys)
}

impl Written {
    fn read(self) -> Result<Key, KeyFault> {
        if !is_kid(&self.kid) {
            return Err(KeyFault("has a key whose kid is not 1 to 64 of A-Z, a-z, 0-9, - and _"));
        }
        let (algorithm, material) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("EC", Some("P-256")) => {
                let point = Point::P256 { x: coordinate(self.x)?, y: coordinate(self.y)? };
                (Algorithm::Es256, Material::Pair { point, private: self.d.as_ref().map(private).transpose()? })
            }
            ("OKP", Some("Ed25519")) => {
                let point = Point::Ed25519 { x: coordinate(self.x)? };
                (Algorithm::EdDsa, Material::Pair { point, private: self.d.as_ref().map(private).transpose()? })
            }
            ("oct", None) => (Algorithm::Hs256, Material::Secret(secret(self.k.as_ref())?)),
            _ => return Err(KeyFault("has a key that is none of EC P-256, OKP Ed25519 and oct")),
        };
        if self.alg.is_some_and(|alg| alg != algorithm.name()) {
            return Err(KeyFault("has a key whose alg is not the one of its kind (ES256, EdDSA, HS256)"));
        }
        if self.r#use.is_some_and(|purpose| purpose != "sig") {
            return Err(KeyFault("has a key whose use is not sig"));
        }
        Ok(Key { kid: self.kid, material })
    }
}

fn coordinate(text: Option<String>) -> Result<[u8; 32], KeyFault> {
    let bytes = text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or(KeyFault("has a coordinate that is not 32 bytes of base64url"))
}

fn private(text: &SecretString) -> Result<SecretSlice<u8>, KeyFault> {
    let bytes = bytes(text).filter(|bytes| bytes.expose_secret().len() == 32);
    bytes.ok_or(KeyFault("has a d that is not 32 bytes of base64url"))
}

fn secret(text: Option<&SecretString>) -> Result<SecretSlice<u8>, KeyFault> {
    let bytes = text.and_then(bytes).filter(|bytes| bytes.expose_secret().len() >= SHORTEST_SECRET);
    bytes.ok_or(KeyFault("has a k that is not base64url of 32 bytes or more"))
}

fn bytes(text: &SecretString) -> Option<SecretSlice<u8>> {
    URL_SAFE_NO_PAD.decode(text.expose_secret()).ok().map(Into::into)
}
