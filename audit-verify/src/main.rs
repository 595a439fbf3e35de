//! `audit-verify --checkpoints FILE_OR_DIR --keys JWKS EXPORT...`: is this
//! export what was recorded? Its exit code says so; docs/AUDIT.md lists them.

mod cli;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use cli::{Arguments, HELP, Outcome};

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args_os().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => return said(io::stdout().lock(), HELP, Outcome::Proven),
        Err(fault) => {
            return said(io::stderr().lock(), &format!("audit-verify: {fault}\n\n{HELP}"), Outcome::Unusable);
        }
    };
    let found = cli::run(&arguments);
    let outcome = found.as_ref().map_or_else(cli::Fault::outcome, |verdict| cli::judged(verdict, &arguments));
    let report = cli::report(&found, outcome, arguments.json);
    if outcome == Outcome::Unusable && !arguments.json {
        return said(io::stderr().lock(), &report, outcome);
    }
    said(io::stdout().lock(), &report, outcome)
}

/// Who cannot be told is not told that all is well.
fn said(mut to: impl Write, text: &str, outcome: Outcome) -> ExitCode {
    let told = writeln!(to, "{text}").and_then(|()| to.flush());
    ExitCode::from(if told.is_ok() { outcome.code() } else { Outcome::Unusable.code() })
}
