//! The `health` function.

use std::process::ExitCode;

fn main() -> ExitCode {
    shared::lambda::serve(health::routes())
}
