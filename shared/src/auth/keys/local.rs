//! A signing key in memory.

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use secrecy::{ExposeSecret, SecretString};

use super::{
    Algorithm, KeyFault, SigningKey,
    jwk::{self, Material},
    published::Point,
};
use crate::{
    error::{Code, Error, Result},
    secrets::BoxFuture,
};

/// A key of the private set.
pub struct LocalKey {
    kid: String,
    pair: Pair,
}

enum Pair {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Secret(Box<hmac::Key>),
}

impl LocalKey {
    /// Reads a JWK Set of private keys; the first one signs.
    ///
    /// # Errors
    /// Says what is wrong with any key of the set, without a value of it.
    pub fn first_of(set: &SecretString) -> Result<Self, KeyFault> {
        let keys = jwk::read(set.expose_secret())?.into_iter().map(Self::read).collect::<Result<Vec<_>, _>>()?;
        keys.into_iter().next().ok_or(KeyFault("has no key"))
    }

    fn read(key: jwk::Key) -> Result<Self, KeyFault> {
        let unfit = KeyFault("has a d that does not fit its public key");
        let pair = match key.material {
            Material::Secret(secret) => Pair::Secret(hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret()).into()),
            Material::Pair { private: None, .. } => return Err(KeyFault("has a key without its private member d")),
            Material::Pair { point, private: Some(private) } => {
                let (public, private) = (point.bytes(), private.expose_secret());
                match point {
                    Point::P256 { .. } => EcdsaKeyPair::from_private_key_and_public_key(
                        &ECDSA_P256_SHA256_FIXED_SIGNING,
                        private,
                        &public,
                    )
                    .map(Pair::P256),
                    Point::Ed25519 { .. } => {
                        Ed25519KeyPair::from_seed_and_public_key(private, &public).map(Pair::Ed25519)
                    }
                }
                .map_err(|_| unfit)?
            }
        };
        Ok(Self { kid: key.kid, pair })
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>> {
        let signature = match &self.pair {
            Pair::Secret(key) => return Ok(hmac::sign(key, message).as_ref().to_vec()),
            Pair::P256(pair) => pair.sign(&SystemRandom::new(), message),
            Pair::Ed25519(pair) => pair.try_sign(message),
        };
        Ok(signature.map_err(|cause| Error::new(Code::Internal).caused_by(cause))?.as_ref().to_vec())
    }
}

impl SigningKey for LocalKey {
    fn kid(&self) -> &str {
        &self.kid
    }

    fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::P256(_) => Algorithm::Es256,
            Pair::Ed25519(_) => Algorithm::EdDsa,
            Pair::Secret(_) => Algorithm::Hs256,
        }
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move { self.signature(message) })
    }
}
