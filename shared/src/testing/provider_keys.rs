//! Signing keys of an identity provider of a test's own.

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
        RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// A key pair of a provider.
pub struct ProviderKey {
    kid: String,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair, &'static str),
    Ed(Ed25519KeyPair),
}

impl ProviderKey {
    /// RSA of 2048 bits, for RS256 and PS256 (and their 384, 512). Slow to make.
    #[must_use]
    pub fn rsa(kid: &str) -> Self {
        Self { kid: kid.to_owned(), pair: Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()) }
    }

    /// P-256, for ES256.
    #[must_use]
    pub fn p256(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { kid: kid.to_owned(), pair: Pair::Ec(pair, "P-256") }
    }

    /// P-384, for ES384.
    #[must_use]
    pub fn p384(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        Self { kid: kid.to_owned(), pair: Pair::Ec(pair, "P-384") }
    }

    /// Ed25519, for `EdDSA`.
    #[must_use]
    pub fn ed25519(kid: &str) -> Self {
        Self { kid: kid.to_owned(), pair: Pair::Ed(Ed25519KeyPair::generate().unwrap()) }
    }

    /// The public JWK: `kty`, `kid` and the numbers, and `use`, but no `alg`.
    #[must_use]
    pub fn public_jwk(&self) -> Value {
        let base64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let kid = &self.kid;
        match &self.pair {
            Pair::Rsa(pair) => {
                let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
                let (n, e) = (n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
                json!({ "kty": "RSA", "kid": kid, "use": "sig", "n": base64(n), "e": base64(e) })
            }
            Pair::Ec(pair, curve) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(if *curve == "P-256" { 32 } else { 48 });
                json!({ "kty": "EC", "crv": curve, "kid": kid, "use": "sig", "x": base64(x), "y": base64(y) })
            }
            Pair::Ed(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "use": "sig", "x": base64(pair.public_key().as_ref()) })
            }
        }
    }

    /// The public key as DER (`SubjectPublicKeyInfo`), for those who would
    /// take it as an HMAC secret.
    #[must_use]
    pub fn public_der(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => AsDer::as_der(pair.public_key()).unwrap().as_ref().to_vec(),
            Pair::Ec(pair, _) => AsDer::as_der(pair.public_key()).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => AsDer::as_der(pair.public_key()).unwrap().as_ref().to_vec(),
        }
    }

    /// A token with this header and these claims as they stand, duplicates and
    /// all, and a good signature by `alg`, which the header may deny.
    #[must_use]
    pub fn sign_raw(&self, alg: &str, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.signature(alg, message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A token by `alg` with the key's own `kid` and these claims.
    #[must_use]
    pub fn sign(&self, alg: &str, claims: &Value) -> String {
        let header = json!({ "alg": alg, "typ": "JWT", "kid": self.kid });
        self.sign_raw(alg, &header.to_string(), &claims.to_string())
    }

    /// A signature by `alg` of any bytes.
    #[must_use]
    pub fn signature(&self, alg: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match (&self.pair, alg) {
            (Pair::Rsa(pair), _) => {
                let padding: &dyn aws_lc_rs::signature::RsaEncoding = match alg {
                    "RS256" => &RSA_PKCS1_SHA256,
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    _ => panic!("RSA does not sign by {alg}"),
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
            (Pair::Ec(pair, "P-256"), "ES256") | (Pair::Ec(pair, "P-384"), "ES384") => {
                pair.sign(&random, message).unwrap().as_ref().to_vec()
            }
            (Pair::Ed(pair), "EdDSA") => pair.sign(message).as_ref().to_vec(),
            _ => panic!("the key does not sign by {alg}"),
        }
    }
}
