//! The `oidc` function.

use std::process::ExitCode;

fn main() -> ExitCode {
    shared::lambda::serve(oidc::routes())
}
