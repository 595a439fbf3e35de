//! The in-process test harness: an API Gateway event in, a response out, with
//! the real router, the real layers and a real Postgres of its own, reached as
//! the runtime role.
//!
//! A test may panic, and does so in place of returning errors.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test that cannot go on should stop")]

mod aws;
mod closed_port;
mod database;
mod empty;
mod event;
pub mod federated;
mod keys;
#[cfg(feature = "kms")]
mod kms;
mod log;
mod process;
pub mod provider;
mod provider_keys;
mod world;

pub use aws::{EmulatedKey, EmulatedSecrets};
pub use closed_port::ClosedPort;
pub use database::{RUNTIME_PASSWORD, TestDatabase};
pub use empty::EmptyDatabase;
pub use event::{Answer, Event};
pub use federated::TestIssuer;
pub use keys::TestKeys;
#[cfg(feature = "kms")]
pub use kms::{Mood, TestKms};
pub use log::Log;
pub use process::{Ended, Process};
pub use provider::TestProvider;
pub use provider_keys::ProviderKey;
pub use world::{Member, TestApp, TestClock, TestSecrets};

/// What this thread has logged since it was first asked; from then on its lines
/// stay out of the test's output.
#[expect(clippy::must_use_candidate, reason = "to keep the lines out is use enough")]
pub fn take_log() -> Vec<serde_json::Value> {
    let log = crate::telemetry::capture::drain();
    crate::telemetry::capture::start();
    log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A setting of the tests' own, which `make test` exports.
#[must_use]
pub fn setting(name: &str) -> String {
    #[expect(clippy::disallowed_methods, reason = "the tests' own setting")]
    let value = std::env::var(name);
    value.unwrap_or_else(|_| panic!("{name} is not set: run the tests with `make test`"))
}
