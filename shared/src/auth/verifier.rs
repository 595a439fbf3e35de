//! Checks access tokens.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use super::{
    Role, Subject, TenantId, claims,
    key_set::{KeyFault, KeySet},
    token::TYPE,
};
use crate::{
    error::{Code, Error},
    extract::if_given,
};

/// The longest life that any token may claim.
const LONGEST_LIFE: Duration = Duration::minutes(60);
/// How far the clocks of two execution environments may stand apart.
const CLOCK_SKEW: Duration = Duration::seconds(5);
/// The longest token that is looked at, in bytes.
const LONGEST: usize = 8 * 1024;

/// The same claims as they are read: strict types, and duplicate names refused
/// (serde's derive does, which a map would not).
#[derive(Deserialize)]
struct Read {
    iss: String,
    sub: Uuid,
    aud: String,
    exp: i64,
    iat: i64,
    #[serde(default, deserialize_with = "if_given")]
    nbf: Option<i64>,
    #[serde(rename = "jti")]
    _jti: Uuid,
    sid: Uuid,
    role: Role,
    #[serde(default, deserialize_with = "present")]
    tenant_id: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    organization_id: Option<Value>,
}

/// Keeps a claim that is null apart from one that is absent.
fn present<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(reader).map(Some)
}

/// The header parameters that matter. Others (`jwk`, `jku`, `x5u`, `x5c`) are
/// ignored (RFC 7515, 4.1); `crit` names extensions, of which we know none.
#[derive(Deserialize)]
struct ReadHeader {
    alg: String,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: Option<Value>,
}

/// A token that was refused. Where its signature was good, its subject is
/// known, and the refusal can be recorded in the tenant's audit trail.
#[derive(Debug)]
pub struct Refused {
    /// What the caller is told.
    pub error: Error,
    /// Whom the token spoke for.
    pub subject: Option<Subject>,
}

impl From<Code> for Refused {
    fn from(code: Code) -> Self {
        Self { error: code.into(), subject: None }
    }
}

/// Checks access tokens of ours.
pub struct Verifier {
    keys: HashMap<String, DecodingKey>,
    issuer: String,
    audience: String,
    known: Known,
}

/// Tokens whose signature was found good. A client sends the same one with
/// every request of its fifteen minutes; its signature is checked once, and all
/// else about it each time. Only good ones come in, so nobody can fill this who
/// cannot sign; its keys are those of this process for as long as it lives.
#[derive(Default)]
struct Known(Mutex<HashMap<String, Arc<Content>>>);

/// A token's header and claims.
type Content = (ReadHeader, Read);

impl Known {
    const MOST: usize = 256;

    fn get(&self, token: &str) -> Option<Arc<Content>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    fn add(&self, token: &str, content: &Arc<Content>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= Self::MOST {
            known.clear();
        }
        known.insert(token.to_owned(), content.clone());
    }
}

impl Verifier {
    /// Reads a JWK Set (RFC 7517, 5) of public P-256 keys.
    ///
    /// # Errors
    /// Says what is wrong with the set, without a value of it.
    pub fn new(jwk_set: &str, issuer: String, audience: String) -> Result<Self, KeyFault> {
        let set: KeySet = serde_json::from_str(jwk_set).map_err(|_| KeyFault("is not a JWK Set of P-256 keys"))?;
        let mut keys = HashMap::new();
        for key in set.keys {
            key.check()?;
            // Reading the point checks that it is on the curve.
            ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.point()?)
                .map_err(|_| KeyFault("has a key whose point is not on P-256"))?;
            let decoding =
                DecodingKey::from_ec_components(&key.x, &key.y).map_err(|_| KeyFault("has an unreadable key"))?;
            if keys.insert(key.kid, decoding).is_some() {
                return Err(KeyFault("has two keys with the same kid"));
            }
        }
        if keys.is_empty() {
            return Err(KeyFault("has no key"));
        }
        Ok(Self { keys, issuer, audience, known: Known::default() })
    }

    /// Whom `token` speaks for at `now`.
    ///
    /// # Errors
    /// `AUTH_001`, `AUTH_002`, `AUTH_004`, `TEN_001` or `TEN_002`.
    pub fn verify(&self, token: &str, now: OffsetDateTime) -> Result<Subject, Refused> {
        let content = self.signed(token).ok_or(Code::InvalidToken)?;
        let (header, claims) = &*content;
        if claims.iss != self.issuer {
            return Err(Code::InvalidToken.into());
        }
        let tenant = claims::tenant(claims.tenant_id.as_ref(), claims.organization_id.as_ref());
        let subject = tenant.map(|tenant| Subject {
            tenant: TenantId::verified(tenant),
            user: claims.sub,
            session: claims.sid,
            role: claims.role,
        });
        match self.check(header, claims, now) {
            Ok(()) => Ok(subject?),
            Err(error) => Err(Refused { error, subject: subject.ok() }),
        }
    }

    /// What a good signature does not say: that it is an access token, for us,
    /// and of today.
    fn check(&self, header: &ReadHeader, claims: &Read, now: OffsetDateTime) -> Result<(), Error> {
        if header.typ.as_deref() != Some(TYPE) || header.crit.is_some() || claims.aud != self.audience {
            return Err(Code::InvalidToken.into());
        }
        check_times(claims, now)
    }

    /// The header and the claims of a token that one of our keys signed.
    fn signed(&self, token: &str) -> Option<Arc<Content>> {
        if token.len() > LONGEST {
            return None;
        }
        if let Some(content) = self.known.get(token) {
            return Some(content);
        }
        let (message, signature) = token.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        let header: ReadHeader = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        if header.alg != "ES256" {
            return None;
        }
        let key = self.keys.get(header.kid.as_ref()?)?;
        let good = jsonwebtoken::crypto::verify(signature, message.as_bytes(), key, Algorithm::ES256).ok()?;
        if !good {
            return None;
        }
        let claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        let content = Arc::new((header, claims));
        self.known.add(token, &content);
        Some(content)
    }
}

fn check_times(claims: &Read, now: OffsetDateTime) -> Result<(), Error> {
    let time = |seconds| OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| Code::InvalidToken);
    let (issued, expires) = (time(claims.iat)?, time(claims.exp)?);
    if issued > now + CLOCK_SKEW || claims.nbf.map(time).transpose()?.is_some_and(|nbf| nbf > now + CLOCK_SKEW) {
        return Err(Code::InvalidToken.into());
    }
    if expires - issued > LONGEST_LIFE {
        return Err(Code::TokenLifetimeTooLong.into());
    }
    if expires <= now {
        let at = expires.format(&Rfc3339).unwrap_or_default();
        return Err(Error::new(Code::TokenExpired).detail(format!("The access token expired at {at}.")));
    }
    Ok(())
}
