//! What is public of a key, in every form that a careless verifier might take
//! for the secret of an HMAC.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::Value;

use crate::Result;

/// What begins a P-256 key in DER (RFC 5480).
const P256: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
/// What begins an Ed25519 key in DER (RFC 8410).
const ED25519: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// PEM with and without its last line end, DER, the point, the JWK, its set,
/// a coordinate as text, and nothing.
///
/// # Errors
/// It is neither a P-256 nor an Ed25519 key.
pub(crate) fn forms(jwk: &Value) -> Result<Vec<Vec<u8>>> {
    let coordinate = |name: &str| Ok::<_, crate::Error>(URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap_or(""))?);
    let (prefix, point) = match jwk["crv"].as_str() {
        Some("P-256") => (&P256[..], [coordinate("x")?, coordinate("y")?].concat()),
        Some("Ed25519") => (&ED25519[..], coordinate("x")?),
        _ => return Err("neither a P-256 nor an Ed25519 key".into()),
    };
    let der = [prefix, &point].concat();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", STANDARD.encode(&der));
    let texts = [
        format!("{pem}\n"),
        pem,
        jwk.to_string(),
        format!("{{\"keys\":[{jwk}]}}"),
        jwk["x"].as_str().unwrap_or_default().to_owned(),
        String::new(),
    ];
    Ok(texts.into_iter().map(String::into_bytes).chain([der, point]).collect())
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519 as ED25519_ALGORITHM, ParsedPublicKey};
    use shared::{auth::Algorithm, testing::TestKeys};

    use super::*;

    #[test]
    fn the_der_that_is_made_of_a_key_is_that_key() {
        let der = |jwk: &Value| {
            let mut forms = forms(jwk).unwrap();
            forms.swap_remove(6)
        };
        assert!(ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, der(&TestKeys::generate("k").public_jwk())).is_ok());
        let jwk = TestKeys::of(Algorithm::EdDsa, "k").public_jwk();
        assert!(ParsedPublicKey::new(&ED25519_ALGORITHM, der(&jwk)).is_ok());
        assert!(forms(&TestKeys::of(Algorithm::Hs256, "k").public_jwk()).is_err());
    }
}
