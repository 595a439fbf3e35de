//! Measures release bootstraps of functions: init, warm invocations, CPU,
//! memory, size and database round trips, against floors in the same run.
//!
//! In reading order: `scenarios` says what is measured against what,
//! `measure` how it takes turns, `function` is one process, `runtime_api` and
//! `relay` stand around it, `report` tells.

mod args;
mod event;
mod function;
mod http1;
mod measure;
mod process;
mod rank;
mod relay;
mod report;
mod runtime_api;
mod scenarios;
mod secrets;
mod session;
mod setting;
mod stats;
mod table;

use std::io::{self, Write};
use std::process::ExitCode;

use args::{Args, HELP};
use setting::Setting;

/// Any failure: the run ends with its text.
type Error = Box<dyn std::error::Error + Send + Sync>;

/// A result with any failure.
type Result<T> = std::result::Result<T, Error>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress(&format!("failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let Some(args) = Args::parse(std::env::args().skip(1))? else {
        return Ok(io::stdout().write_all(HELP.as_bytes())?);
    };
    let setting = Setting::read(&args)?;
    let report = scenarios::run(&args, &setting)?;
    std::fs::write(&args.json, format!("{:#}\n", report.to_json(&args)))?;
    writeln!(io::stdout(), "{report}- As JSON: {}", args.json.display())?;
    Ok(())
}

/// Says on stderr what is being done; the tables alone go to stdout.
fn progress(what: &str) {
    // Progress that cannot be shown is no reason to stop.
    drop(writeln!(io::stderr(), "bench: {what}"));
}
