//! Issues access tokens.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Role, Subject,
    key_set::{KeyFault, KeySet},
    token::{LIFE, TYPE},
};
use crate::error::{Code, Error};

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
