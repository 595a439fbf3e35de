//! What the group's handlers share.

use axum::extract::FromRef;
use shared::{
    App, Db,
    app::{AppConfig, Group},
    clock::SharedClock,
    config::{Config, Environment, Faults},
    password::{Passwords, Peppers},
    secrets::Secrets,
    start::Start,
};

/// The group's state.
#[derive(Clone)]
pub struct Users {
    app: App,
    passwords: Passwords,
}

/// The group's configuration.
pub struct UsersConfig {
    app: AppConfig,
    pepper_secret_id: String,
}

impl Config for UsersConfig {
    fn read(env: &mut Environment<'_>) -> Self {
        Self {
            app: AppConfig::read(env),
            pepper_secret_id: env
                .required("PASSWORD_PEPPER_SECRET_ID", "the name or ARN of the secret with the peppers of passwords"),
        }
    }
}

impl Group for Users {
    type Config = UsersConfig;

    fn secret_ids(config: &UsersConfig) -> Vec<&str> {
        let mut ids = App::secret_ids(&config.app);
        ids.push(&config.pepper_secret_id);
        ids
    }

    async fn build(config: UsersConfig, secrets: &Secrets, start: &Start) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let peppers: Option<Peppers> = secrets.json(&config.pepper_secret_id, Peppers::FORM, &mut faults);
        let passwords = peppers.and_then(|peppers| {
            Passwords::new(start.base.memory_mib, peppers).map_err(|fault| faults.push(fault)).ok()
        });
        let app = App::build(config.app, secrets, start).await.map_err(|more| faults.extend(more)).ok();
        match (app, passwords) {
            (Some(app), Some(passwords)) => faults.or(Self { app, passwords }),
            _ => Err(faults),
        }
    }

    fn app(&self) -> Option<&App> {
        Some(&self.app)
    }

    fn db(&self) -> Option<&Db> {
        Some(&self.app.db)
    }
}

impl AsRef<App> for Users {
    fn as_ref(&self) -> &App {
        &self.app
    }
}

impl FromRef<Users> for SharedClock {
    fn from_ref(users: &Users) -> Self {
        users.app.clock.clone()
    }
}

impl FromRef<Users> for Passwords {
    fn from_ref(users: &Users) -> Self {
        users.passwords.clone()
    }
}
