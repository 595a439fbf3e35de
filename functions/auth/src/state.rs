//! What the group's handlers share.

use shared::{
    App, Db,
    app::AppConfig,
    app::Group,
    config::{Config, Environment, Faults},
    password::{Passwords, Peppers},
    rate_limit::RateLimit,
    secrets::Secrets,
    session::{SessionKeys, Sessions, SessionsConfig},
    start::Start,
};

/// The group's state.
#[derive(Clone)]
pub struct Auth {
    pub(crate) app: App,
    pub(crate) sessions: Sessions,
    pub(crate) passwords: Passwords,
    pub(crate) signup_is_open: bool,
}

/// The group's configuration.
pub struct AuthConfig {
    app: AppConfig,
    sessions: SessionsConfig,
    pepper_secret_id: String,
    signup_is_open: bool,
}

impl Config for AuthConfig {
    fn read(env: &mut Environment<'_>) -> Self {
        Self {
            app: AppConfig::read(env),
            sessions: SessionsConfig::read(env),
            pepper_secret_id: env
                .required("PASSWORD_PEPPER_SECRET_ID", "the name or ARN of the secret with the peppers of passwords"),
            signup_is_open: env.parsed("SIGNUP", false, "open or closed", |text| match text {
                "open" => Some(true),
                "closed" => Some(false),
                _ => None,
            }),
        }
    }
}

impl Group for Auth {
    type Config = AuthConfig;

    fn secret_ids(config: &AuthConfig) -> Vec<&str> {
        let mut ids = App::secret_ids(&config.app);
        ids.extend(config.sessions.secret_ids());
        ids.push(&config.pepper_secret_id);
        ids
    }

    async fn build(config: AuthConfig, secrets: &Secrets, start: &Start) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let AuthConfig { app, sessions, pepper_secret_id, signup_is_open } = config;
        let keys = SessionKeys::read(sessions, secrets, start).await.map_err(|more| faults.extend(more)).ok();
        let peppers: Option<Peppers> = secrets.json(&pepper_secret_id, Peppers::FORM, &mut faults);
        let passwords = peppers.and_then(|peppers| {
            Passwords::new(start.base.memory_mib, peppers).map_err(|fault| faults.push(fault)).ok()
        });
        let app = App::build(app, secrets, start).await.map_err(|more| faults.extend(more)).ok();
        let sessions = match (&app, keys) {
            (Some(app), Some(keys)) => keys.sessions(app, start).await.map_err(|more| faults.extend(more)).ok(),
            _ => None,
        };
        match (app, sessions, passwords) {
            (Some(app), Some(sessions), Some(passwords)) => {
                faults.or(Self { app, sessions, passwords, signup_is_open })
            }
            _ => Err(faults),
        }
    }

    fn app(&self) -> Option<&App> {
        Some(&self.app)
    }

    fn post_limit(&self) -> Option<RateLimit> {
        Some(self.sessions.post_limit.clone())
    }

    fn db(&self) -> Option<&Db> {
        Some(&self.app.db)
    }
}

impl AsRef<App> for Auth {
    fn as_ref(&self) -> &App {
        &self.app
    }
}
