//! Public keys as everybody may have them (RFC 7517). Made of typed public
//! members and nothing else, so that no secret one can slip through.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, Serializer};

use super::Algorithm;

/// A public key's point on its curve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kty")]
pub(crate) enum Point {
    /// RFC 7518, 6.2.
    #[serde(rename = "EC")]
    P256 {
        #[serde(serialize_with = "base64url")]
        x: [u8; 32],
        #[serde(serialize_with = "base64url")]
        y: [u8; 32],
    },
    /// RFC 8037, 2.
    #[serde(rename = "OKP")]
    Ed25519 {
        #[serde(serialize_with = "base64url")]
        x: [u8; 32],
    },
}

/// A public key with its id and its use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublishedKey {
    kid: String,
    alg: &'static str,
    r#use: &'static str,
    crv: &'static str,
    #[serde(flatten)]
    point: Point,
}

impl PublishedKey {
    pub(super) fn new(kid: &str, point: &Point) -> Self {
        Self {
            kid: kid.to_owned(),
            alg: point.algorithm().name(),
            r#use: "sig",
            crv: point.curve(),
            point: point.clone(),
        }
    }

    /// The P-256 key that KMS's `GetPublicKey` tells of (`SubjectPublicKeyInfo`
    /// in DER), under its thumbprint; none of any other.
    #[cfg(feature = "signing")]
    #[must_use]
    pub fn of_kms(info: &[u8]) -> Option<Self> {
        let point = super::der::p256_point(info)?;
        Some(Self::new(&point.thumbprint(), &point))
    }

    /// Its id.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The key's thumbprint (RFC 7638; RFC 8037, 2), which is a `kid` that
    /// nobody has to choose.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        self.point.thumbprint()
    }
}

impl Point {
    pub(crate) const fn algorithm(&self) -> Algorithm {
        match self {
            Self::P256 { .. } => Algorithm::Es256,
            Self::Ed25519 { .. } => Algorithm::EdDsa,
        }
    }

    const fn curve(&self) -> &'static str {
        match self {
            Self::P256 { .. } => "P-256",
            Self::Ed25519 { .. } => "Ed25519",
        }
    }

    /// The point's bytes: uncompressed (SEC 1, 2.3.3), or as RFC 8032 has them.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::P256 { x, y } => [&[0x04], &x[..], &y[..]].concat(),
            Self::Ed25519 { x } => x.to_vec(),
        }
    }

    /// See [`PublishedKey::thumbprint`].
    pub(crate) fn thumbprint(&self) -> String {
        let curve = self.curve();
        let members = match self {
            Self::P256 { x, y } => {
                format!(r#"{{"crv":"{curve}","kty":"EC","x":"{}","y":"{}"}}"#, encode(x), encode(y))
            }
            Self::Ed25519 { x } => format!(r#"{{"crv":"{curve}","kty":"OKP","x":"{}"}}"#, encode(x)),
        };
        encode(digest(&SHA256, members.as_bytes()).as_ref())
    }
}

pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn base64url<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> [u8; 32] {
        URL_SAFE_NO_PAD.decode(text).unwrap().try_into().unwrap()
    }

    #[test]
    fn the_thumbprint_is_the_one_of_rfc_8037() {
        let point = Point::Ed25519 { x: bytes("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo") };
        assert_eq!(point.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_published_key_says_what_it_is_and_nothing_else() {
        let (x, y) = ("MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM");
        let key = PublishedKey::new("1", &Point::P256 { x: bytes(x), y: bytes(y) });
        assert_eq!(
            serde_json::to_value(key).unwrap(),
            serde_json::json!({ "kty": "EC", "crv": "P-256", "kid": "1", "alg": "ES256", "use": "sig", "x": x, "y": y }),
        );
    }
}
