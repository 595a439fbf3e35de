//! A2: of fifty wrong passwords at once five are evaluated, a hundred times of
//! a hundred. The long form of a test, which stands beside its short one.

use std::process::{Command, Stdio};

use crate::{Result, progress};

/// Runs the test; its own output goes to stderr.
///
/// # Errors
/// It failed, or did not run.
pub(crate) fn run() -> Result<()> {
    progress("lockout: 50 wrong passwords at once, 100 times");
    let arguments = "test --package auth --lib a_hundred_times_of_a_hundred -- --ignored";
    let output = Command::new("cargo").args(arguments.split(' ')).stderr(Stdio::inherit()).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && said.contains("1 passed") {
        return Ok(());
    }
    Err(format!("100 runs of 100 were expected\n{said}").into())
}
