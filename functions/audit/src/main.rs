//! The `audit` function.

use std::process::ExitCode;

fn main() -> ExitCode {
    shared::lambda::serve(audit::routes())
}
