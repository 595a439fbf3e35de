//! What a function starts from.

use std::sync::Arc;

use crate::{clock::SharedClock, config::BaseConfig, secrets::SecretSource};

/// What a group is built from besides its own configuration and secrets.
#[derive(Clone)]
pub struct Start {
    /// What every function reads.
    pub base: Arc<BaseConfig>,
    /// The time.
    pub clock: SharedClock,
    /// Where a secret is read anew after a rotation.
    pub secrets: Arc<dyn SecretSource>,
}
