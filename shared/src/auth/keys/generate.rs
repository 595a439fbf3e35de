//! New keys, for a rotation.

use aws_lc_rs::{
    encoding::{AsBigEndian, EcPrivateKeyBin},
    rand::{SecureRandom, SystemRandom},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{Algorithm, KeyFault, PublishedKey, VerifyingKeys, published::Point};
use crate::error::{Code, Error, Result};

/// A key that nobody knows yet.
pub struct GeneratedKey {
    /// Its id: of a pair its thumbprint (RFC 7638), of a secret 128 random bits.
    pub kid: String,
    /// The private JWK.
    pub jwk: Value,
}

impl GeneratedKey {
    /// A key of this kind.
    ///
    /// # Errors
    /// `SYS_001` where there is no randomness.
    pub fn new(algorithm: Algorithm) -> Result<Self> {
        let failed = |cause| Error::new(Code::Internal).caused_by(cause);
        match algorithm {
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?;
                let public = pair.public_key().as_ref();
                let (x, y) = (coordinate(public, 1)?, coordinate(public, 33)?);
                let private: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().map_err(failed)?;
                Ok(Self::pair(&Point::P256 { x, y }, private.as_ref()))
            }
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::generate().map_err(failed)?;
                let x = coordinate(pair.public_key().as_ref(), 0)?;
                let seed = pair.seed().and_then(|seed| seed.as_be_bytes()).map_err(failed)?;
                Ok(Self::pair(&Point::Ed25519 { x }, seed.as_ref()))
            }
            Algorithm::Hs256 => {
                let (mut kid, mut secret) = ([0; 16], [0; 32]);
                SystemRandom::new()
                    .fill(&mut kid)
                    .and_then(|()| SystemRandom::new().fill(&mut secret))
                    .map_err(failed)?;
                let kid = super::published::encode(&kid);
                let k = super::published::encode(&secret);
                let jwk = json!({ "kty": "oct", "kid": kid, "alg": algorithm.name(), "use": "sig", "k": k });
                Ok(Self { kid, jwk })
            }
        }
    }

    fn pair(point: &Point, private: &[u8]) -> Self {
        let kid = point.thumbprint();
        let mut jwk = json!(PublishedKey::new(&kid, point));
        jwk["d"] = super::published::encode(private).into();
        Self { kid, jwk }
    }
}

fn coordinate(bytes: &[u8], from: usize) -> Result<[u8; 32]> {
    let coordinate = bytes.get(from..from + 32).and_then(|bytes| bytes.try_into().ok());
    coordinate.ok_or_else(|| Code::Internal.into())
}

/// The public part of each key of a set, private or public, but of secrets.
///
/// # Errors
/// Says what is wrong with the set, without a value of it.
pub fn published_keys(set: &SecretString) -> Result<Vec<PublishedKey>, KeyFault> {
    VerifyingKeys::read(set).map(|keys| keys.published())
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::auth::{SigningKey, keys::LocalKey};

    #[tokio::test]
    async fn a_generated_key_signs_and_its_public_part_checks() {
        for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Hs256] {
            let key = GeneratedKey::new(algorithm).unwrap();
            let set = SecretString::from(json!({ "keys": [key.jwk] }).to_string());
            let signing = LocalKey::first_of(&set).unwrap();
            assert_eq!((signing.kid(), signing.algorithm()), (&*key.kid, algorithm));
            let signature = super::super::published::encode(&signing.sign(b"message").await.unwrap());
            let published = published_keys(&set).unwrap();
            assert_eq!(published.len(), usize::from(algorithm != Algorithm::Hs256));
            let checking = if published.is_empty() { set } else { json!({ "keys": published }).to_string().into() };
            let checking = VerifyingKeys::read(&checking).unwrap();
            assert!(checking.get(&key.kid).unwrap().accepts(b"message", &signature));
            assert_ne!(GeneratedKey::new(algorithm).unwrap().kid, key.kid);
        }
    }
}
