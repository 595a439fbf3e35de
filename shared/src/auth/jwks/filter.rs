//! Which keys of a provider's set may be used: each one is judged by itself,
//! and what is not readable or not sound is as if it were not there.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ParsedPublicKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm::{self, ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512},
    DecodingKey,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How many keys of a set are looked at. Providers have a handful.
const MOST: usize = 100;
/// The longest `kid`, in bytes.
const LONGEST_KID: usize = 256;

/// A JWK Set (RFC 7517, 5), its keys not looked at yet.
#[derive(Deserialize)]
pub(super) struct JwkSet {
    keys: Vec<Value>,
}

/// A public key (RFC 7517, 4; RFC 7518, 6; RFC 8037, 2). Only these members
/// are kept: no certificates, and no private ones.
#[derive(Deserialize, Serialize)]
struct Jwk {
    kty: String,
    kid: String,
    #[serde(flatten)]
    limits: Limits,
    #[serde(flatten)]
    numbers: Numbers,
}

/// What the key says that it is for.
#[derive(Deserialize, Serialize)]
struct Limits {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alg: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r#use: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_ops: Option<Vec<String>>,
}

#[derive(Deserialize, Serialize)]
struct Numbers {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    y: Option<String>,
}

/// The usable keys of a provider, by their `kid`.
#[derive(Default)]
pub(super) struct Keys(HashMap<String, Key>);

struct Key {
    jwk: Jwk,
    decoding: Arc<DecodingKey>,
    algorithms: Vec<Algorithm>,
}

/// Whether a provider could have a key by this name: 1 to 256 bytes and no
/// control character.
pub(super) fn is_kid(text: &str) -> bool {
    (1..=LONGEST_KID).contains(&text.len()) && !text.contains(char::is_control)
}

/// Whether a provider could have a key by this name for `alg`: a public one.
pub(super) fn can_be(kid: &str, alg: Algorithm) -> bool {
    !matches!(alg, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) && is_kid(kid)
}

impl Keys {
    /// The usable keys of `set`. Of two by one name neither is usable.
    pub(super) fn of(set: JwkSet) -> Self {
        let mut names = HashSet::new();
        let kids = set.keys.iter().filter_map(|key| key.get("kid")?.as_str());
        let twice: HashSet<String> = kids.filter(|kid| !names.insert(*kid)).map(str::to_owned).collect();
        let keys = set.keys.into_iter().take(MOST).filter_map(|key| Key::read(serde_json::from_value(key).ok()?));
        Self(keys.filter(|key| !twice.contains(&key.jwk.kid)).map(|key| (key.jwk.kid.clone(), key)).collect())
    }

    /// Reads what [`Keys::to_text`] has written. It is judged anew; what
    /// cannot be read has no keys.
    pub(super) fn from_text(text: &str) -> Self {
        serde_json::from_str(text).map(Self::of).unwrap_or_default()
    }

    /// The set as text, with nothing in it but what is usable.
    pub(super) fn to_text(&self) -> String {
        let keys: Vec<_> = self.0.values().map(|key| &key.jwk).collect();
        serde_json::json!({ "keys": keys }).to_string()
    }

    /// Whether there is a key by the name `kid`.
    pub(super) fn has(&self, kid: &str) -> bool {
        self.0.contains_key(kid)
    }

    /// The key `kid`, if it is one for `alg`.
    pub(super) fn get(&self, kid: &str, alg: Algorithm) -> Option<Arc<DecodingKey>> {
        self.0.get(kid).filter(|key| key.algorithms.contains(&alg)).map(|key| key.decoding.clone())
    }
}

impl Key {
    fn read(jwk: Jwk) -> Option<Self> {
        let Limits { alg, r#use, key_ops } = &jwk.limits;
        let verifies = r#use.as_deref().is_none_or(|purpose| purpose == "sig")
            && key_ops.as_ref().is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
        if !verifies || !is_kid(&jwk.kid) {
            return None;
        }
        let (decoding, fitting) = jwk.numbers.read(&jwk.kty)?;
        let algorithms = match alg {
            None => fitting.to_vec(),
            Some(alg) => vec![alg.parse().ok().filter(|alg| fitting.contains(alg))?],
        };
        Some(Self { decoding: Arc::new(decoding), algorithms, jwk })
    }
}

impl Numbers {
    /// The key, if it is sound, and the algorithms that it can be used by.
    fn read(&self, kty: &str) -> Option<(DecodingKey, &'static [Algorithm])> {
        match (kty, self.crv.as_deref()) {
            ("RSA", _) => Some((self.rsa()?, &[RS256, RS384, RS512, PS256, PS384, PS512])),
            ("EC", Some("P-256")) => Some((self.point(32)?, &[ES256])),
            ("EC", Some("P-384")) => Some((self.point(48)?, &[ES384])),
            ("OKP", Some("Ed25519")) => Some((self.ed25519()?, &[EdDSA])),
            _ => None,
        }
    }

    /// 2048 to 8192 bits, and an odd exponent from 3 on of 32 bits at most:
    /// more than that costs whoever checks a signature, and no one has it.
    fn rsa(&self) -> Option<DecodingKey> {
        let (n, e) = (number(self.n.as_ref()?)?, number(self.e.as_ref()?)?);
        let bits = n.len() * 8 - usize::try_from(n.first()?.leading_zeros()).ok()?;
        let odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
        let sound = (2048..=8192).contains(&bits) && odd(&n) && odd(&e) && e.len() <= 4 && e != [1];
        sound.then(|| DecodingKey::from_rsa_raw_components(&n, &e))
    }

    /// A point on the curve, its coordinates of `length` bytes.
    fn point(&self, length: usize) -> Option<DecodingKey> {
        let (x, y) = (self.x.as_ref()?, self.y.as_ref()?);
        let mut point = vec![0x04];
        for coordinate in [x, y] {
            point.extend(bytes(coordinate).filter(|bytes| bytes.len() == length)?);
        }
        let algorithm = if length == 32 { &ECDSA_P256_SHA256_FIXED } else { &ECDSA_P384_SHA384_FIXED };
        // Reading the point checks that it is on the curve.
        ParsedPublicKey::new(algorithm, point).ok()?;
        DecodingKey::from_ec_components(x, y).ok()
    }

    fn ed25519(&self) -> Option<DecodingKey> {
        let x = self.x.as_ref()?;
        let point: [u8; 32] = bytes(x)?.try_into().ok()?;
        if has_small_order(point) { None } else { DecodingKey::from_ed_components(x).ok() }
    }
}

/// Whether the point is one of the few that whoever wishes can sign for: those
/// of order 1, 2, 4 and 8 on the curve of RFC 8032 (5.1), however they are written.
fn has_small_order(mut point: [u8; 32]) -> bool {
    const ORDER_8: [[u8; 32]; 2] = [
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
            0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
            0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
    ];
    // The sign of x.
    point[31] &= 0x7f;
    // 0 and 1; p - 1, p and p + 1.
    let low = point[0] <= 1 && point[1..].iter().all(|byte| *byte == 0);
    let high = (0xec..=0xee).contains(&point[0]) && point[1..31].iter().all(|byte| *byte == 0xff) && point[31] == 0x7f;
    low || high || ORDER_8.contains(&point)
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// A number without the leading zeros that some write.
fn number(text: &str) -> Option<Vec<u8>> {
    let bytes = bytes(text)?;
    let start = bytes.iter().position(|byte| *byte != 0)?;
    Some(bytes[start..].to_vec())
}

#[cfg(test)]
mod tests;
