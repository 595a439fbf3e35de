//! What must hold not once but every time: refresh races over real processes,
//! access tokens changed in a hundred thousand ways, a flood of unknown keys, and
//! tenants that reach for each other's things.
//!
//! In reading order: `refresh` races, `tokens` sends mutants, which
//! `tokens::mutant` makes, `kids` floods a provider's key cache, `lockout` runs
//! the long form of a test of `auth`, and `isolation` drives tenants against
//! each other. docs/THREATS.md says which rows they are.

mod args;
mod chance;
mod isolation;
mod kids;
mod lockout;
mod refresh;
mod tokens;

use std::{
    io::{self, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    time::Instant,
};

use args::{Args, HELP};

/// Any failure: what did not hold, or what it could not be tried for.
type Error = Box<dyn std::error::Error + Send + Sync>;

/// A result with any failure.
type Result<T> = std::result::Result<T, Error>;

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(Some(args)) => args,
        Ok(None) => return say(HELP),
        Err(error) => {
            progress(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    let mut broke = Vec::new();
    for part in args.parts() {
        let started = Instant::now();
        // The tests' harness panics where it cannot go on.
        let outcome = catch_unwind(AssertUnwindSafe(|| run(part, &args)));
        match outcome.unwrap_or_else(|_| Err("a panic, see above".into())) {
            Ok(()) => progress(&format!("{part} held, in {} s", started.elapsed().as_secs())),
            Err(error) => {
                progress(&format!("{part} BROKE: {error}"));
                broke.push(part);
            }
        }
    }
    if broke.is_empty() {
        return say("soak: all held\n");
    }
    say(&format!("soak: broke: {}\n", broke.join(", ")));
    ExitCode::FAILURE
}

fn run(part: &str, args: &Args) -> Result<()> {
    // One thread: the log that a test looks at is its thread's own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match part {
        "refresh" => runtime.block_on(refresh::run(args.races)),
        "tokens" => runtime.block_on(tokens::run(args.mutants, args.seed)),
        "kids" => runtime.block_on(kids::run(args.kids, args.seed)),
        "isolation" => runtime.block_on(isolation::run(args.requests, args.seed)),
        _ => lockout::run(),
    }
}

/// A function's binary, beside this one.
fn binary(function: &str) -> Result<String> {
    let binary = std::env::current_exe()?.with_file_name(function);
    if !binary.is_file() {
        return Err(format!("{} is not built: cargo build --package {function}", binary.display()).into());
    }
    Ok(binary.to_str().ok_or("the target directory's name is not UTF-8")?.to_owned())
}

/// Says on stdout what came of it.
fn say(what: &str) -> ExitCode {
    match io::stdout().write_all(what.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Says on stderr what is being done.
fn progress(what: &str) {
    // Progress that cannot be shown is no reason to stop.
    drop(writeln!(io::stderr(), "soak: {what}"));
}
