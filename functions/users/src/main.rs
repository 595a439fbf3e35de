//! The `users` function.

use std::process::ExitCode;

fn main() -> ExitCode {
    shared::lambda::serve(users::routes())
}
