//! Checks access tokens.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use time::{Duration, OffsetDateTime};

use super::{
    Identity, PublishedKey, RegisteredClaims, SigningKey, Subject, TenantId,
    claims::{self, Times},
    content::{Claims, Content, Header, Unverified},
    keys::{InSecret, Kept, VerifyingKeys},
    token::TYPE,
};
use crate::{
    config::{Faults, TokenConfig},
    error::{Code, Error},
    secrets::Secrets,
    start::Start,
};

/// A token that was refused. Where its signature was good, it is known in whose
/// audit trail the refusal is to be recorded.
#[derive(Debug)]
pub struct Refused {
    /// What the caller is told.
    pub error: Error,
    /// Whom the token spoke for.
    pub identity: Option<Identity>,
}

impl<E: Into<Error>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self { error: error.into(), identity: None }
    }
}

/// How old the public keys may be: a key that was taken from the set is refused
/// from then on.
const MAX_AGE: Duration = Duration::minutes(10);
/// What a signing key has to sign before its tokens are given out; no token
/// can be made of it.
const PROBE: &[u8] = b"tenantry checks that its readers accept this key";

/// Checks access tokens of ours.
pub struct Verifier {
    keys: Kept<Arc<VerifyingKeys>>,
    config: TokenConfig,
}

impl Verifier {
    /// Takes the public keys from among `secrets`.
    ///
    /// # Errors
    /// Says which secret is missing or what is wrong with it, without a value.
    pub fn new(config: TokenConfig, secrets: &Secrets, start: &Start) -> Result<Self, Faults> {
        let read = |set: &_| VerifyingKeys::read(set).map(Arc::new);
        let id = config.public_keys_secret_id.clone();
        let keys = secrets.read(&id, read)?;
        let source = InSecret { id, secrets: start.secrets.clone(), read };
        Ok(Self { keys: Kept::new(keys, source, MAX_AGE, "token_keys_not_read", start), config })
    }

    /// Who issues the tokens that it takes, and for whom.
    #[must_use]
    pub fn config(&self) -> &TokenConfig {
        &self.config
    }

    /// The public keys that everybody may have.
    pub async fn published_keys(&self, now: OffsetDateTime) -> Vec<PublishedKey> {
        self.keys.get(now).await.published()
    }

    /// Whether tokens that `key` signs are accepted here, and so, by the same
    /// set, wherever they are checked.
    ///
    /// # Errors
    /// What the key cannot sign for, or `SYS_004` where the set cannot be read.
    pub async fn accepts(&self, key: &dyn SigningKey, now: OffsetDateTime) -> Result<bool, Error> {
        let signature = URL_SAFE_NO_PAD.encode(key.sign(PROBE).await?);
        match self.keys_with(key.kid(), now).await {
            Ok(keys) => Ok(keys
                .get(key.kid())
                .is_some_and(|public| public.algorithm() == key.algorithm() && public.accepts(PROBE, &signature))),
            Err(error) if error.code() == Code::InvalidToken => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whom `token` speaks for at `now`.
    ///
    /// # Errors
    /// `AUTH_001`, `AUTH_002`, `AUTH_004`, `TEN_001` or `TEN_002`; `SYS_004`
    /// where its key is not known and the keys cannot be read.
    pub async fn verify(&self, token: &str, now: OffsetDateTime) -> Result<Subject, Refused> {
        self.admit(token, now).await.map(|(subject, _)| subject)
    }

    /// The same, with what the token says.
    async fn admit(&self, token: &str, now: OffsetDateTime) -> Result<(Subject, Arc<Content>), Refused> {
        let content = self.signed(token, now).await?;
        self.judge(&content, now).map(|subject| (subject, content))
    }

    /// The same for a token whose signature was found good before; none where
    /// it was not.
    #[cfg(feature = "federation")]
    pub(crate) fn verify_known(&self, token: &str, now: OffsetDateTime) -> Option<Result<Subject, Refused>> {
        let content = self.keys.young(now)?.known.get(token)?;
        Some(self.judge(&content, now))
    }

    fn judge(&self, content: &Content, now: OffsetDateTime) -> Result<Subject, Refused> {
        let Content { header, claims } = content;
        if claims.iss != self.config.issuer {
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
            Err(error) => Err(Refused { error, identity: subject.ok().map(Identity::from) }),
        }
    }

    /// Whom `token` speaks for at `now` and what it says, or none where it is
    /// refused.
    ///
    /// # Errors
    /// `SYS_004` where that cannot be known.
    pub async fn introspect(
        &self,
        token: &str,
        now: OffsetDateTime,
    ) -> Result<Option<(Subject, RegisteredClaims)>, Error> {
        match self.admit(token, now).await {
            Ok((subject, content)) => Ok(Some((subject, RegisteredClaims::from(&content.claims)))),
            Err(refused) if refused.error.code() == Code::KeyManagementUnavailable => Err(refused.error),
            Err(_) => Ok(None),
        }
    }

    /// What a good signature does not say: that it is an access token, for us,
    /// and of today.
    fn check(&self, header: &Header, claims: &Claims, now: OffsetDateTime) -> Result<(), Error> {
        if header.typ.as_deref() != Some(TYPE)
            || header.crit.is_some()
            || header.b64.is_some()
            || claims.aud != self.config.audience
        {
            return Err(Code::InvalidToken.into());
        }
        let Claims { iat, exp, nbf, .. } = *claims;
        Times { iat, exp, nbf }.check(now)
    }

    /// The content of a token that one of our keys signed. What cannot be one
    /// of ours by its form has no key read for it.
    async fn signed(&self, token: &str, now: OffsetDateTime) -> Result<Arc<Content>, Error> {
        if !Unverified::fits(token) {
            return Err(Code::InvalidToken.into());
        }
        if let Some(content) = self.keys.young(now).and_then(|keys| keys.known.get(token)) {
            return Ok(content);
        }
        let unverified = Unverified::read(token).ok_or(Code::InvalidToken)?;
        let keys = self.keys_with(&unverified.header.kid, now).await?;
        verified(&keys, token, unverified).ok_or_else(|| Code::InvalidToken.into())
    }

    /// A set with the key `kid`, which may have come to it just now.
    async fn keys_with(&self, kid: &str, now: OffsetDateTime) -> Result<Arc<VerifyingKeys>, Error> {
        let mut keys = self.keys.get(now).await;
        if keys.get(kid).is_none() {
            keys = self.keys.read_again(now).await;
        }
        if keys.get(kid).is_some() {
            return Ok(keys);
        }
        // It may well be a key of today, which we cannot know.
        let in_doubt = self.keys.is_in_doubt();
        Err(if in_doubt {
            Error::new(Code::KeyManagementUnavailable).caused_by(InDoubt)
        } else {
            Code::InvalidToken.into()
        })
    }
}

/// The key of a token is not known, and the keys could not be read again.
#[derive(Debug, thiserror::Error)]
#[error("an unknown key, while the keys cannot be read")]
struct InDoubt;

/// The content of a token whose signature is good.
fn verified(keys: &VerifyingKeys, token: &str, unverified: Unverified<'_>) -> Option<Arc<Content>> {
    let key = keys.get(&unverified.header.kid)?;
    let good = unverified.header.alg == key.algorithm().name()
        && key.accepts(unverified.message.as_bytes(), unverified.signature);
    if !good {
        return None;
    }
    let content = Arc::new(unverified.into_content()?);
    keys.known.add(token, &content);
    Some(content)
}
