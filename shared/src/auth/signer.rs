//! Issues access tokens.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{
    Role, Signing, SigningKey, Subject, Verifier,
    keys::{Kept, Source},
    token::{LIFE, TYPE},
};
use crate::{
    clock::SharedClock,
    config::{Faults, TokenConfig},
    error::{Code, Error, Result},
    secrets::BoxFuture,
    start::Start,
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

/// How old the signing key may be: a rotation signs with the next one after
/// this time.
const MAX_AGE: Duration = Duration::minutes(5);

/// Issues access tokens.
#[derive(Clone)]
pub struct Signer {
    keys: Arc<Kept<Arc<dyn SigningKey>>>,
    verifier: Arc<Verifier>,
}

impl Signer {
    /// Issues tokens that `verifier` accepts.
    ///
    /// # Errors
    /// The key signs nothing, or is none that `verifier` accepts.
    pub async fn new(signing: Signing, verifier: Arc<Verifier>, start: &Start) -> Result<Self, Faults> {
        let Signing { key, source, name } = signing;
        let source = Accepted { source, name, verifier: verifier.clone(), clock: start.clock.clone() };
        source.check(&*key).await?;
        let keys = Kept::new(key, source, MAX_AGE, "signing_keys_not_read", start);
        Ok(Self { keys: Arc::new(keys), verifier })
    }

    /// Signs an access token for `subject`, good for [`LIFE`] from `now`.
    ///
    /// # Errors
    /// `SYS_001` where the key will not sign, `SYS_004` where KMS does not.
    pub async fn sign(&self, subject: &Subject, now: OffsetDateTime, id: Uuid) -> Result<AccessToken> {
        let key = self.keys.get(now).await;
        let TokenConfig { issuer, audience, .. } = self.verifier.config();
        let header = Header { typ: TYPE, alg: key.algorithm().name(), kid: key.kid() };
        let claims = Signed {
            iss: issuer,
            sub: subject.user,
            aud: audience,
            exp: (now + LIFE).unix_timestamp(),
            iat: now.unix_timestamp(),
            jti: id,
            sid: subject.session,
            tenant_id: subject.tenant.as_uuid(),
            role: subject.role,
        };
        let message = format!("{}.{}", part(&header)?, part(&claims)?);
        let signature = key.sign(message.as_bytes()).await?;
        Ok(AccessToken(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}

/// The signing key, once it is one that the readers of its tokens have: a
/// rotation that was begun at the wrong end changes nothing.
struct Accepted {
    source: Box<dyn Source<Arc<dyn SigningKey>>>,
    name: String,
    verifier: Arc<Verifier>,
    clock: SharedClock,
}

impl Accepted {
    async fn check(&self, key: &dyn SigningKey) -> Result<(), Faults> {
        let (name, public) = (&self.name, &self.verifier.config().public_keys_secret_id);
        match self.verifier.accepts(key, self.clock.now()).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!("the secret {public} lacks the key of {name}").into()),
            Err(error) => Err(format!("the key of {name} signs nothing: {error:?}").into()),
        }
    }
}

impl Source<Arc<dyn SigningKey>> for Accepted {
    fn read(&self) -> BoxFuture<'_, Result<Arc<dyn SigningKey>, Faults>> {
        Box::pin(async {
            let key = self.source.read().await?;
            self.check(&*key).await?;
            Ok(key)
        })
    }
}

/// A part of a token (RFC 7515, 7.1).
fn part(content: &impl Serialize) -> Result<String> {
    let json = serde_json::to_vec(content).map_err(|cause| Error::new(Code::Internal).caused_by(cause))?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}
