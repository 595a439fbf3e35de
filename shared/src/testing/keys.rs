//! Signing keys of a test's own, and tokens that nobody should accept.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// A P-256 key pair.
pub struct TestKeys {
    kid: String,
    pair: EcdsaKeyPair,
}

impl TestKeys {
    /// A new pair.
    #[must_use]
    pub fn generate(kid: &str) -> Self {
        Self { kid: kid.to_owned(), pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap() }
    }

    /// The public JWK.
    #[must_use]
    pub fn public_jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let coordinate = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.kid,
            "x": coordinate(&point[1..33]), "y": coordinate(&point[33..65]),
        })
    }

    /// The private JWK.
    #[must_use]
    pub fn private_jwk(&self) -> Value {
        use aws_lc_rs::encoding::{AsBigEndian, EcPrivateKeyBin};
        let d: EcPrivateKeyBin<'_> = self.pair.private_key().as_be_bytes().unwrap();
        let mut jwk = self.public_jwk();
        jwk["d"] = URL_SAFE_NO_PAD.encode(d.as_ref()).into();
        jwk
    }

    /// A token with this header and these claims as they stand, duplicates and
    /// all, and a good signature.
    #[must_use]
    pub fn sign_raw(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A token with the header of ours and these claims.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": self.kid });
        self.sign_raw(&header.to_string(), &claims.to_string())
    }
}
