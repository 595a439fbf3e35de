//! The `auth` function.

use std::process::ExitCode;

fn main() -> ExitCode {
    shared::lambda::serve(auth::routes())
}
