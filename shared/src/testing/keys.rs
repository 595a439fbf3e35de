//! Signing keys of a test's own, and tokens that nobody should accept.

use aws_lc_rs::{
    encoding::{AsBigEndian, Curve25519SeedBin, EcPrivateKeyBin},
    hmac,
    rand::{SystemRandom, fill},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::auth::Algorithm;

/// A key of one algorithm that signs, and others that check beside it.
pub struct TestKeys {
    kid: String,
    pair: Pair,
    beside: Vec<Value>,
}

enum Pair {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Secret(Vec<u8>),
}

impl TestKeys {
    /// A new P-256 pair.
    #[must_use]
    pub fn generate(kid: &str) -> Self {
        Self::of(Algorithm::Es256, kid)
    }

    /// A new key of `algorithm`.
    #[must_use]
    pub fn of(algorithm: Algorithm, kid: &str) -> Self {
        let pair = match algorithm {
            Algorithm::Es256 => Pair::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()),
            Algorithm::EdDsa => Pair::Ed25519(Ed25519KeyPair::generate().unwrap()),
            Algorithm::Hs256 => {
                let mut secret = vec![0; 32];
                fill(&mut secret).unwrap();
                Pair::Secret(secret)
            }
        };
        Self { kid: kid.to_owned(), pair, beside: Vec::new() }
    }

    /// The symmetric key with these bytes.
    #[must_use]
    pub fn of_secret(kid: &str, secret: Vec<u8>) -> Self {
        Self { kid: kid.to_owned(), pair: Pair::Secret(secret), beside: Vec::new() }
    }

    /// The same, with another JWK in its public set.
    #[must_use]
    pub fn beside(mut self, other: Value) -> Self {
        self.beside.push(other);
        self
    }

    /// The JWK Set that checks.
    #[must_use]
    pub fn public_set(&self) -> String {
        let keys: Vec<_> = std::iter::once(self.public_jwk()).chain(self.beside.iter().cloned()).collect();
        json!({ "keys": keys }).to_string()
    }

    /// The JWK Set that signs.
    #[must_use]
    pub fn private_set(&self) -> String {
        json!({ "keys": [self.private_jwk()] }).to_string()
    }

    /// How it signs.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::P256(_) => Algorithm::Es256,
            Pair::Ed25519(_) => Algorithm::EdDsa,
            Pair::Secret(_) => Algorithm::Hs256,
        }
    }

    /// The JWK that checks; of a symmetric key it is the one that signs.
    #[must_use]
    pub fn public_jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::P256(pair) => {
                let point = pair.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..65]) })
            }
            Pair::Ed25519(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref()) })
            }
            Pair::Secret(secret) => json!({ "kty": "oct", "k": encode(secret) }),
        };
        jwk["alg"] = self.algorithm().name().into();
        jwk["use"] = "sig".into();
        jwk["kid"] = self.kid.clone().into();
        jwk
    }

    /// The JWK that signs.
    #[must_use]
    pub fn private_jwk(&self) -> Value {
        let mut jwk = self.public_jwk();
        match &self.pair {
            Pair::P256(pair) => {
                let d: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().unwrap();
                jwk["d"] = encode(d.as_ref()).into();
            }
            Pair::Ed25519(pair) => {
                let seed = pair.seed().unwrap();
                let seed: Curve25519SeedBin<'_> = seed.as_be_bytes().unwrap();
                jwk["d"] = encode(seed.as_ref()).into();
            }
            Pair::Secret(_) => {}
        }
        jwk
    }

    /// A signature over `message`.
    #[must_use]
    pub fn signature(&self, message: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::P256(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Secret(secret) => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec(),
        }
    }

    /// A token with this header and these claims as they stand, duplicates and
    /// all, and a good signature.
    #[must_use]
    pub fn sign_raw(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
        let signature = self.signature(message.as_bytes());
        format!("{message}.{}", encode(&signature))
    }

    /// A token with the header of ours and these claims.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        let header = json!({ "alg": self.algorithm().name(), "typ": "at+jwt", "kid": self.kid });
        self.sign_raw(&header.to_string(), &claims.to_string())
    }
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
