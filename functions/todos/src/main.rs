//! The `todos` function.

use std::process::ExitCode;

fn main() -> ExitCode {
    shared::lambda::serve(todos::routes())
}
