//! Issues access tokens.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Role, SigningKey, Subject,
    keys::LocalKey,
    token::{LIFE, TYPE},
};
use crate::{
    config::{Faults, TokenConfig},
    error::{Code, Error, Result},
    secrets::Secrets,
};

/// The header of our access tokens.
#[derive(Serialize)]
struct Header<'a> {
    typ: &'static str,
    alg: &'static str,
    kid: &'a str,
}

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
    key: Arc<dyn SigningKey>,
    issuer: String,
    audience: String,
}

impl Signer {
    /// Takes the private keys, `secret_id`, from among `secrets`; the first one
    /// signs.
    ///
    /// # Errors
    /// Says which secret is missing or what is wrong with it, without a value.
    pub fn new(secret_id: &str, config: &TokenConfig, secrets: &Secrets) -> Result<Self, Faults> {
        let key = secrets.read(secret_id, LocalKey::first_of)?;
        Ok(Self { key: Arc::new(key), issuer: config.issuer.clone(), audience: config.audience.clone() })
    }

    /// Signs an access token for `subject`, good for [`LIFE`] from `now`.
    ///
    /// # Errors
    /// `SYS_001` where the key will not sign.
    pub async fn sign(&self, subject: &Subject, now: OffsetDateTime, id: Uuid) -> Result<AccessToken> {
        let header = Header { typ: TYPE, alg: self.key.algorithm().name(), kid: self.key.kid() };
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
        let message = format!("{}.{}", part(&header)?, part(&claims)?);
        let signature = self.key.sign(message.as_bytes()).await?;
        Ok(AccessToken(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}

/// A part of a token (RFC 7515, 7.1).
fn part(content: &impl Serialize) -> Result<String> {
    let json = serde_json::to_vec(content).map_err(|cause| Error::new(Code::Internal).caused_by(cause))?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}
