//! What the group's handlers share.

use axum::extract::FromRef;
use shared::{
    App, Db,
    app::{AppConfig, Group},
    clock::SharedClock,
    config::Faults,
    crypto::{DataKeys, DataKeysConfig},
    secrets::Secrets,
    start::Start,
};

use crate::todo::SealedNotes;

/// The group's state.
#[derive(Clone)]
pub struct Todos {
    app: App,
    data_keys: DataKeys,
}

impl Group for Todos {
    type Config = (AppConfig, DataKeysConfig);

    fn secret_ids((app, _): &Self::Config) -> Vec<&str> {
        App::secret_ids(app)
    }

    async fn build((app, data_keys): Self::Config, secrets: &Secrets, start: &Start) -> Result<Self, Faults> {
        Ok(Self { app: App::build(app, secrets, start).await?, data_keys: DataKeys::new(data_keys, start) })
    }

    fn app(&self) -> Option<&App> {
        Some(&self.app)
    }

    fn db(&self) -> Option<&Db> {
        Some(&self.app.db)
    }
}

impl AsRef<App> for Todos {
    fn as_ref(&self) -> &App {
        &self.app
    }
}

impl FromRef<Todos> for SharedClock {
    fn from_ref(todos: &Todos) -> Self {
        todos.app.clock.clone()
    }
}

impl FromRef<Todos> for SealedNotes {
    fn from_ref(todos: &Todos) -> Self {
        Self { keys: todos.data_keys.clone(), db: todos.app.db.clone() }
    }
}
