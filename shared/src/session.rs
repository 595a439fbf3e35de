//! Sessions: how one begins, and the tokens that its client gets. Used by the
//! functions that sign somebody in.

mod allowed_origins;
mod begin;
pub mod cookie;
#[cfg(feature = "federation")]
mod federated;

use serde::Serialize;
use time::{Duration, OffsetDateTime};

pub use allowed_origins::AllowedOrigins;
pub use begin::{AtProvider, Begun, By, Verified};
#[cfg(feature = "federation")]
pub use federated::{Person, Refused, Signed};

use crate::{
    App,
    auth::{
        ACCESS_TOKEN_LIFE, AccessToken, Identity, RefreshToken, RefreshTokens, Role, Signer, Signing, SigningConfig,
        Subject,
    },
    clock::SharedClock,
    config::{Config, Environment, Faults},
    error::{Code, Error, Result},
    rate_limit::RateLimit,
    secrets::Secrets,
    start::Start,
    user::User,
};

/// How long a session lasts, however often it is refreshed.
const LIFE: Duration = Duration::days(30);

/// What begins sessions.
#[derive(Clone)]
pub struct Sessions {
    /// Makes and reads refresh tokens.
    pub refresh_tokens: RefreshTokens,
    /// The pages that may use the refresh cookie.
    pub allowed_origins: AllowedOrigins,
    /// What an address may post in a minute, at all functions that begin sessions.
    pub post_limit: RateLimit,
    signer: Signer,
    clock: SharedClock,
    most: i32,
}

/// What [`Sessions`] are configured by.
pub struct SessionsConfig {
    signing: SigningConfig,
    refresh_key_secret_id: String,
    most: i32,
    allowed_origins: AllowedOrigins,
    rate_limit_per_minute: u32,
}

impl Config for SessionsConfig {
    fn read(env: &mut Environment<'_>) -> Self {
        Self {
            signing: SigningConfig::read(env),
            refresh_key_secret_id: env
                .required("REFRESH_KEY_SECRET_ID", "the name or ARN of the secret with the key of refresh tokens"),
            most: env.parsed("MAX_SESSIONS_PER_USER", 20, "1 to 1000 sessions", |text| {
                text.parse().ok().filter(|sessions| (1..=1000).contains(sessions))
            }),
            allowed_origins: AllowedOrigins::read(env),
            rate_limit_per_minute: env.parsed("AUTH_RATE_LIMIT_PER_MINUTE", 60, "1 to 1000000 requests", |text| {
                text.parse().ok().filter(|requests| (1..=1_000_000).contains(requests))
            }),
        }
    }
}

impl SessionsConfig {
    /// The secrets to be read in the one batch.
    #[must_use]
    pub fn secret_ids(&self) -> Vec<&str> {
        self.signing.secret_id().into_iter().chain([&*self.refresh_key_secret_id]).collect()
    }

    /// The pages that may use the refresh cookie.
    #[must_use]
    pub fn allowed_origins(&self) -> &AllowedOrigins {
        &self.allowed_origins
    }
}

/// The answer to sign-up, sign-in and refresh (RFC 6749, 5.1).
#[derive(Debug, Serialize)]
pub struct Tokens {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
    /// Absent where it goes as a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    refresh_expires_in: i64,
    user: User,
}

/// What was read of the keys, before it is known whether the rest is sound.
pub struct SessionKeys {
    signing: Signing,
    refresh_tokens: RefreshTokens,
    most: i32,
    allowed_origins: AllowedOrigins,
    rate_limit_per_minute: u32,
}

impl SessionKeys {
    /// Reads the keys of access and refresh tokens.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub async fn read(config: SessionsConfig, secrets: &Secrets, start: &Start) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let SessionsConfig { signing, refresh_key_secret_id, most, allowed_origins, rate_limit_per_minute } = config;
        let signing = Signing::read(signing, secrets, start).await.map_err(|more| faults.extend(more)).ok();
        let refresh_key = secrets.key(&refresh_key_secret_id, &mut faults);
        match (signing, refresh_key) {
            (Some(signing), Some(key)) => {
                let refresh_tokens = RefreshTokens::new(&key);
                faults.or(Self { signing, refresh_tokens, most, allowed_origins, rate_limit_per_minute })
            }
            _ => Err(faults),
        }
    }

    /// Begins sessions whose tokens `app` accepts.
    ///
    /// # Errors
    /// As [`Signer::new`].
    pub async fn sessions(self, app: &App, start: &Start) -> Result<Sessions, Faults> {
        Ok(Sessions {
            refresh_tokens: self.refresh_tokens,
            allowed_origins: self.allowed_origins,
            post_limit: RateLimit::per_minute("auth", self.rate_limit_per_minute, app),
            signer: Signer::new(self.signing, app.verifier.clone(), start).await?,
            clock: app.clock.clone(),
            most: self.most,
        })
    }
}

impl Sessions {
    /// Signs the access token of `identity`'s session. To be done before its
    /// transaction locks the head of the trail, since a key in KMS may take
    /// seconds and every write of the tenant would wait for it; and before it
    /// commits: where nothing can be signed, nothing happens.
    ///
    /// # Errors
    /// As [`Signer::sign`].
    pub async fn access_token(&self, identity: &Identity, role: &str, now: OffsetDateTime) -> Result<AccessToken> {
        let (user, session) = identity.user.zip(identity.session).ok_or(Code::Internal)?;
        let role = Role::try_from(role).map_err(|()| Error::new(Code::Internal))?;
        let subject = Subject { tenant: identity.tenant, user, session, role };
        self.signer.sign(&subject, now, self.clock.new_id()).await
    }

    /// Makes the pair of tokens that a client gets; `life` is the refresh token's.
    #[must_use]
    pub fn tokens(&self, access: AccessToken, refresh: &RefreshToken, life: Duration, user: User) -> Tokens {
        Tokens {
            access_token: access.0,
            token_type: "Bearer",
            expires_in: ACCESS_TOKEN_LIFE.whole_seconds(),
            refresh_token: Some(self.refresh_tokens.encode(refresh)),
            refresh_expires_in: life.whole_seconds(),
            user,
        }
    }
}
