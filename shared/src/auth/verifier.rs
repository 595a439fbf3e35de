//! Checks access tokens.

use std::sync::Arc;

use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    PublishedKey, Subject, TenantId, claims,
    content::{Claims, Content, Header, Unverified},
    keys::VerifyingKeys,
    token::TYPE,
};
use crate::{
    config::{Faults, TokenConfig},
    error::{Code, Error},
    secrets::Secrets,
};

/// The longest life that any token may claim.
const LONGEST_LIFE: Duration = Duration::minutes(60);
/// How far the clocks of two execution environments may stand apart.
const CLOCK_SKEW: Duration = Duration::seconds(5);
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
    keys: VerifyingKeys,
    issuer: String,
    audience: String,
}

impl Verifier {
    /// Takes the public keys from among `secrets`.
    ///
    /// # Errors
    /// Says which secret is missing or what is wrong with it, without a value.
    pub fn new(config: TokenConfig, secrets: &Secrets) -> Result<Self, Faults> {
        let TokenConfig { issuer, audience, public_keys_secret_id: id } = config;
        let keys = secrets.read(&id, VerifyingKeys::read)?;
        Ok(Self { keys, issuer, audience })
    }

    /// The issuer of the tokens that it takes.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The public keys that everybody may have.
    #[must_use]
    pub fn published_keys(&self) -> Vec<PublishedKey> {
        self.keys.published()
    }

    /// Whom `token` speaks for at `now`.
    ///
    /// # Errors
    /// `AUTH_001`, `AUTH_002`, `AUTH_004`, `TEN_001` or `TEN_002`.
    pub async fn verify(&self, token: &str, now: OffsetDateTime) -> Result<Subject, Refused> {
        let content = self.signed(token).ok_or(Code::InvalidToken)?;
        let Content { header, claims } = &*content;
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
    fn check(&self, header: &Header, claims: &Claims, now: OffsetDateTime) -> Result<(), Error> {
        if header.typ.as_deref() != Some(TYPE) || header.crit.is_some() || claims.aud != self.audience {
            return Err(Code::InvalidToken.into());
        }
        check_times(claims, now)
    }

    /// The content of a token that one of our keys signed.
    fn signed(&self, token: &str) -> Option<Arc<Content>> {
        if !Unverified::fits(token) {
            return None;
        }
        if let Some(content) = self.keys.known.get(token) {
            return Some(content);
        }
        let unverified = Unverified::read(token)?;
        let key = self.keys.get(&unverified.header.kid)?;
        if unverified.header.alg != key.algorithm().name() {
            return None;
        }
        if !key.accepts(unverified.message.as_bytes(), unverified.signature) {
            return None;
        }
        let content = Arc::new(unverified.into_content()?);
        self.keys.known.add(token, &content);
        Some(content)
    }
}

fn check_times(claims: &Claims, now: OffsetDateTime) -> Result<(), Error> {
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
