//! What is logged outside a request.

use serde_json::Value;

use crate::telemetry::capture;

/// The log of a test's own thread.
#[derive(Debug)]
pub struct Log(());

impl Log {
    /// Listens from now on; nothing of it goes to standard output.
    #[must_use]
    pub fn listen() -> Self {
        capture::start();
        Self(())
    }

    /// The lines since it was last asked.
    #[must_use]
    pub fn lines(&self) -> Vec<Value> {
        capture::drain().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
