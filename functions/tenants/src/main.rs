//! The `tenants` function.

use std::process::ExitCode;

fn main() -> ExitCode {
    shared::lambda::serve(tenants::routes())
}
