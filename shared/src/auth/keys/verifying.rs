//! The keys that access tokens are checked with.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey};
use jsonwebtoken::DecodingKey;
use secrecy::{ExposeSecret, SecretString};

use super::{
    Algorithm, KeyFault, PublishedKey,
    jwk::{self, Material},
    published::Point,
};
use crate::auth::content::Content;

/// A set of keys, and the tokens that they found good.
pub(crate) struct VerifyingKeys {
    keys: Vec<VerifyingKey>,
    pub(crate) known: Known,
}

/// A key that checks.
pub(crate) struct VerifyingKey {
    kid: String,
    algorithm: Algorithm,
    key: DecodingKey,
    /// None of a key that must not be published.
    point: Option<Point>,
}

impl VerifyingKeys {
    /// Reads a JWK Set of public keys; a private member is not looked at.
    ///
    /// # Errors
    /// Says what is wrong with any key of the set, without a value of it.
    pub(crate) fn read(set: &SecretString) -> Result<Self, KeyFault> {
        let keys = jwk::read(set.expose_secret())?.into_iter().map(VerifyingKey::read);
        Ok(Self { keys: keys.collect::<Result<_, _>>()?, known: Known::default() })
    }

    /// The key with this id.
    pub(crate) fn get(&self, kid: &str) -> Option<&VerifyingKey> {
        self.keys.iter().find(|key| key.kid == kid)
    }

    /// Those that everybody may have: a symmetric key is none of them.
    pub(crate) fn published(&self) -> Vec<PublishedKey> {
        let published = |key: &VerifyingKey| Some(PublishedKey::new(&key.kid, key.point.as_ref()?));
        self.keys.iter().filter_map(published).collect()
    }
}

impl VerifyingKey {
    fn read(key: jwk::Key) -> Result<Self, KeyFault> {
        let (algorithm, decoding, point) = match key.material {
            Material::Secret(secret) => (Algorithm::Hs256, DecodingKey::from_secret(secret.expose_secret()), None),
            Material::Pair { point, .. } => {
                let bytes = point.bytes();
                // Parsing the point checks that it is on its curve.
                let (parsed, decoding) = match point {
                    Point::P256 { .. } => {
                        (ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &bytes), DecodingKey::from_ec_der(&bytes))
                    }
                    Point::Ed25519 { .. } => (ParsedPublicKey::new(&ED25519, &bytes), DecodingKey::from_ed_der(&bytes)),
                };
                parsed.map_err(|_| KeyFault("has a key whose point is not on its curve"))?;
                (point.algorithm(), decoding, Some(point))
            }
        };
        Ok(Self { kid: key.kid, algorithm, key: decoding, point })
    }

    /// Its one algorithm.
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether `signature` (base64url) is its own over `message`.
    pub(crate) fn accepts(&self, message: &[u8], signature: &str) -> bool {
        jsonwebtoken::crypto::verify(signature, message, &self.key, self.algorithm.jwt()).unwrap_or(false)
    }
}

/// Tokens whose signature was found good. A client sends the same one with
/// every request of its fifteen minutes; its signature is checked once, and all
/// else about it each time. Only good ones come in, so nobody can fill this who
/// cannot sign, and it belongs to the keys that found them good: others start
/// with an empty one.
#[derive(Default)]
pub(crate) struct Known(Mutex<HashMap<String, Arc<Content>>>);

impl Known {
    const MOST: usize = 256;

    pub(crate) fn get(&self, token: &str) -> Option<Arc<Content>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    pub(crate) fn add(&self, token: &str, content: &Arc<Content>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= Self::MOST {
            known.clear();
        }
        known.insert(token.to_owned(), content.clone());
    }
}
