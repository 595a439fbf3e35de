//! What a function starts from.

use std::sync::Arc;

use crate::{
    clock::{SharedClock, SystemClock},
    config::BaseConfig,
    secrets::{SecretSource, SecretsManager},
};

/// What a group is built from besides its own configuration and secrets.
#[derive(Clone)]
pub struct Start {
    /// What every function reads.
    pub base: Arc<BaseConfig>,
    /// The time.
    pub clock: SharedClock,
    /// Where a secret is read anew after a rotation.
    pub secrets: Arc<dyn SecretSource>,
    /// What makes and unwraps data keys.
    #[cfg(feature = "kms")]
    pub data_keys: Arc<dyn crate::kms::DataKeySource>,
}

impl Start {
    /// What there is on Lambda.
    #[must_use]
    pub fn on_lambda(base: BaseConfig) -> Self {
        Self {
            clock: Arc::new(SystemClock),
            secrets: Arc::new(SecretsManager::new(&base)),
            #[cfg(feature = "kms")]
            data_keys: Arc::new(crate::kms::Kms::new(&base)),
            base: Arc::new(base),
        }
    }

    /// The same with another clock and other secrets, as tests have them.
    #[must_use]
    pub fn with(mut self, clock: SharedClock, secrets: Arc<dyn SecretSource>) -> Self {
        (self.clock, self.secrets) = (clock, secrets);
        self
    }
}
