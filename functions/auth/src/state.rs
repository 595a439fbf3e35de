//! What the group's handlers share.

use axum::extract::FromRef;
use shared::{
    App, Db,
    app::AppConfig,
    app::Group,
    auth::{RefreshTokens, Signer, Signing, SigningConfig},
    config::{Config, Environment, Faults},
    page::Cursors,
    password::{Passwords, Peppers},
    rate_limit::RateLimit,
    secrets::Secrets,
    start::Start,
};

use crate::allowed_origins::AllowedOrigins;

/// The group's state.
#[derive(Clone)]
pub struct Auth {
    pub(crate) app: App,
    pub(crate) signer: Signer,
    pub(crate) refresh_tokens: RefreshTokens,
    pub(crate) passwords: Passwords,
    pub(crate) signup_is_open: bool,
    pub(crate) most_sessions: i32,
    pub(crate) allowed_origins: AllowedOrigins,
    post_limit: RateLimit,
}

/// The group's configuration.
pub struct AuthConfig {
    app: AppConfig,
    signing: SigningConfig,
    refresh_key_secret_id: String,
    pepper_secret_id: String,
    signup_is_open: bool,
    most_sessions: i32,
    allowed_origins: AllowedOrigins,
    rate_limit_per_minute: u32,
}

impl Config for AuthConfig {
    fn read(env: &mut Environment<'_>) -> Self {
        Self {
            app: AppConfig::read(env),
            signing: SigningConfig::read(env),
            refresh_key_secret_id: env
                .required("REFRESH_KEY_SECRET_ID", "the name or ARN of the secret with the key of refresh tokens"),
            pepper_secret_id: env
                .required("PASSWORD_PEPPER_SECRET_ID", "the name or ARN of the secret with the peppers of passwords"),
            signup_is_open: env.parsed("SIGNUP", false, "open or closed", |text| match text {
                "open" => Some(true),
                "closed" => Some(false),
                _ => None,
            }),
            most_sessions: env.parsed("MAX_SESSIONS_PER_USER", 20, "1 to 1000 sessions", |text| {
                text.parse().ok().filter(|sessions| (1..=1000).contains(sessions))
            }),
            allowed_origins: AllowedOrigins::read(env),
            rate_limit_per_minute: env.parsed("AUTH_RATE_LIMIT_PER_MINUTE", 60, "1 to 1000000 requests", |text| {
                text.parse().ok().filter(|requests| (1..=1_000_000).contains(requests))
            }),
        }
    }
}

impl Group for Auth {
    type Config = AuthConfig;

    fn secret_ids(config: &AuthConfig) -> Vec<&str> {
        let mut ids = App::secret_ids(&config.app);
        ids.extend(config.signing.secret_id());
        ids.extend([&*config.refresh_key_secret_id, &*config.pepper_secret_id]);
        ids
    }

    async fn build(config: AuthConfig, secrets: &Secrets, start: &Start) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let quota = config.rate_limit_per_minute;
        let AuthConfig { app, signing, refresh_key_secret_id, pepper_secret_id, .. } = config;
        let AuthConfig { signup_is_open, most_sessions, allowed_origins, .. } = config;
        let signing = Signing::read(signing, secrets, start).await.map_err(|more| faults.extend(more)).ok();
        let refresh_key = secrets.key(&refresh_key_secret_id, &mut faults);
        let peppers: Option<Peppers> = secrets.json(&pepper_secret_id, Peppers::FORM, &mut faults);
        let passwords = peppers.and_then(|peppers| {
            Passwords::new(start.base.memory_mib, peppers).map_err(|fault| faults.push(fault)).ok()
        });
        let app = App::build(app, secrets, start).await.map_err(|more| faults.extend(more)).ok();
        let signer = match (&app, signing) {
            (Some(app), Some(signing)) => {
                Signer::new(signing, app.verifier.clone(), start).await.map_err(|more| faults.extend(more)).ok()
            }
            _ => None,
        };
        match (app, signer, refresh_key, passwords) {
            (Some(app), Some(signer), Some(key), Some(passwords)) => {
                let post_limit = RateLimit::per_minute("auth", quota, &app);
                let refresh_tokens = RefreshTokens::new(&key);
                faults.or(Self {
                    app,
                    signer,
                    refresh_tokens,
                    passwords,
                    signup_is_open,
                    most_sessions,
                    allowed_origins,
                    post_limit,
                })
            }
            _ => Err(faults),
        }
    }

    fn app(&self) -> Option<&App> {
        Some(&self.app)
    }

    fn post_limit(&self) -> Option<RateLimit> {
        Some(self.post_limit.clone())
    }

    fn db(&self) -> Option<&Db> {
        Some(&self.app.db)
    }
}

impl FromRef<Auth> for Cursors {
    fn from_ref(auth: &Auth) -> Self {
        auth.app.cursors.clone()
    }
}

impl FromRef<Auth> for Db {
    fn from_ref(auth: &Auth) -> Self {
        auth.app.db.clone()
    }
}
