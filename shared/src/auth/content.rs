//! What an access token says: strict types, and names that are given twice
//! refused (serde's derive does, which a map would not).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    Role,
    algorithm::{Algorithm, is_kid},
};
use crate::extract::if_given;

/// The longest token that is looked at, in bytes.
const LONGEST: usize = 8 * 1024;

/// A token's header and claims, once its signature was found good.
pub(crate) struct Content {
    pub(super) header: Header,
    pub(super) claims: Claims,
}

/// The header parameters that matter. Others (`jwk`, `jku`, `x5u`, `x5c`) are
/// ignored (RFC 7515, 4.1); `crit` names extensions, of which we know none, and
/// `b64` (RFC 7797) is one that may stand in no JWT.
#[derive(Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    pub(super) kid: String,
    #[serde(default)]
    pub(super) typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(super) crit: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    pub(super) b64: Option<Value>,
}

/// The claims as they are read.
#[derive(Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) sub: Uuid,
    pub(super) aud: String,
    pub(super) exp: i64,
    pub(super) iat: i64,
    #[serde(default, deserialize_with = "if_given")]
    pub(super) nbf: Option<i64>,
    pub(super) jti: Uuid,
    pub(super) sid: Uuid,
    pub(super) role: Role,
    #[serde(default, deserialize_with = "present")]
    pub(super) tenant_id: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    pub(super) organization_id: Option<Value>,
}

/// Keeps a claim that is null apart from one that is absent.
fn present<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(reader).map(Some)
}

/// A token in form, of which nothing is believed yet.
pub(super) struct Unverified<'a> {
    pub(super) header: Header,
    /// What is signed.
    pub(super) message: &'a str,
    /// In base64url.
    pub(super) signature: &'a str,
    claims: Vec<u8>,
}

impl<'a> Unverified<'a> {
    /// Whether a token of this length may be looked at.
    pub(super) fn fits(token: &str) -> bool {
        token.len() <= LONGEST
    }

    /// Takes a token apart; none if one of ours cannot look so: its algorithm
    /// and the form of its `kid` must be ones that keys of ours can have. The
    /// claims are not parsed.
    pub(super) fn read(token: &'a str) -> Option<Self> {
        let (message, signature) = token.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
        let known = is_kid(&header.kid) && Algorithm::named(&header.alg).is_some();
        let in_form = known && URL_SAFE_NO_PAD.decode(signature).is_ok_and(|bytes| !bytes.is_empty());
        in_form.then_some(Self { header, message, signature, claims })
    }

    /// Its content, to be asked for when its signature was found good.
    pub(super) fn into_content(self) -> Option<Content> {
        Some(Content { claims: serde_json::from_slice(&self.claims).ok()?, header: self.header })
    }
}
