//! Access tokens of ours: JWTs (RFC 7519) in the profile of RFC 9068, signed
//! with ES256 (RFC 7518, 3.4).

use std::collections::HashMap;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, ParsedPublicKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use super::{
    Role, TenantId, claims,
    key_set::{KeyFault, KeySet},
};
use crate::error::{Code, Error};

/// How long an access token lives.
pub const LIFE: Duration = Duration::minutes(15);
/// The longest life that any token may claim.
const LONGEST_LIFE: Duration = Duration::minutes(60);
/// How far the clocks of two execution environments may stand apart.
const CLOCK_SKEW: Duration = Duration::seconds(5);
/// The longest token that is looked at, in bytes.
const LONGEST: usize = 8 * 1024;
/// The `typ` of an access token (RFC 9068, 2.1).
const TYPE: &str = "at+jwt";

/// The claims of our access tokens, as they are signed.
#[derive(Serialize)]
struct Signed<'a> {
    iss: &'a str,
    sub: Uuid,
    aud: &'a str,
    exp: i64,
    iat: i64,
    jti: Uuid,
    sid: Uuid,
    tenant_id: Uuid,
    role: Role,
}

/// The same claims as they are read: strict types, and duplicate names refused
/// (serde's derive does, which a map would not).
#[derive(Deserialize)]
struct Read {
    iss: String,
    sub: Uuid,
    aud: String,
    exp: i64,
    iat: i64,
    #[serde(default)]
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

/// Whom an access token speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// The tenant.
    pub tenant: TenantId,
    /// The user.
    pub user: Uuid,
    /// The session.
    pub session: Uuid,
    /// The user's role.
    pub role: Role,
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
        Ok(Self { keys, issuer, audience })
    }

    /// Whom `token` speaks for at `now`.
    ///
    /// # Errors
    /// `AUTH_001`, `AUTH_002`, `AUTH_004`, `TEN_001` or `TEN_002`.
    pub fn verify(&self, token: &str, now: OffsetDateTime) -> Result<Subject, Refused> {
        let claims = self.signed_claims(token).ok_or(Code::InvalidToken)?;
        if claims.iss != self.issuer || claims.aud != self.audience {
            return Err(Code::InvalidToken.into());
        }
        let tenant = claims::tenant(claims.tenant_id.as_ref(), claims.organization_id.as_ref())?;
        let subject =
            Subject { tenant: TenantId::verified(tenant), user: claims.sub, session: claims.sid, role: claims.role };
        match check_times(&claims, now) {
            Ok(()) => Ok(subject),
            Err(error) => Err(Refused { error, subject: Some(subject) }),
        }
    }

    /// The claims of a token that one of our keys signed.
    fn signed_claims(&self, token: &str) -> Option<Read> {
        if token.len() > LONGEST {
            return None;
        }
        let (message, signature) = token.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        let header: ReadHeader = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        if header.alg != "ES256" || header.typ.as_deref() != Some(TYPE) || header.crit.is_some() {
            return None;
        }
        let key = self.keys.get(&header.kid?)?;
        let good = jsonwebtoken::crypto::verify(signature, message.as_bytes(), key, Algorithm::ES256).ok()?;
        if !good {
            return None;
        }
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
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

/// An access token as it is given to a client.
#[derive(Debug, Clone)]
pub struct AccessToken(pub String);

/// Issues access tokens.
#[derive(Clone)]
pub struct Signer {
    kid: String,
    key: EncodingKey,
    issuer: String,
    audience: String,
}

impl Signer {
    /// Reads a JWK Set of private P-256 keys; the first one signs.
    ///
    /// # Errors
    /// Says what is wrong with the set, without a value of it.
    pub fn new(jwk_set: &SecretString, issuer: String, audience: String) -> Result<Self, KeyFault> {
        let set: KeySet =
            serde_json::from_str(jwk_set.expose_secret()).map_err(|_| KeyFault("is not a JWK Set of P-256 keys"))?;
        let key = set.keys.into_iter().next().ok_or(KeyFault("has no key"))?;
        key.check()?;
        let d = key.d.as_ref().ok_or(KeyFault("has no private member d"))?;
        let d = URL_SAFE_NO_PAD.decode(d.expose_secret()).map_err(|_| KeyFault("has a d that is not base64url"))?;
        let pair = EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, &d, &key.point()?)
            .map_err(|_| KeyFault("has a d that does not fit its x and y"))?;
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| KeyFault("has an unreadable key"))?;
        Ok(Self { kid: key.kid, key: EncodingKey::from_ec_der(pkcs8.as_ref()), issuer, audience })
    }

    /// Signs an access token for `subject`, good for [`LIFE`] from `now`.
    ///
    /// # Errors
    /// `SYS_001` where the key will not sign.
    pub fn sign(&self, subject: &Subject, now: OffsetDateTime, id: Uuid) -> Result<AccessToken, Error> {
        let claims = Signed {
            iss: &self.issuer,
            sub: subject.user,
            aud: &self.audience,
            exp: (now + LIFE).unix_timestamp(),
            iat: now.unix_timestamp(),
            jti: id,
            sid: subject.session,
            tenant_id: subject.tenant.as_uuid(),
            role: subject.role,
        };
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(self.kid.clone());
        let token = jsonwebtoken::encode(&header, &claims, &self.key);
        token.map(AccessToken).map_err(|cause| Error::new(Code::Internal).caused_by(cause))
    }
}
