//! What is measured against what, and the goals.

mod init;
mod provider;
mod signing;
mod size;
mod timing;
mod trail;
mod warm;

use crate::args::Args;
use crate::function::Function;
use crate::report::Report;
use crate::setting::{Distance, Setting, variable};
use crate::{Result, progress};

/// The scenarios' names.
pub(crate) const NAMES: [&str; 11] =
    ["init", "live", "list", "create", "session", "login", "signing", "provider", "trail", "timing", "size"];

const HELLO: &str = "floor-hello";
const SELECT: &str = "floor-select";
const HASH: &str = "floor-hash";

/// Measures all that is asked for and can be had.
///
/// # Errors
/// A floor is not built, or a function fails or answers wrongly.
pub(crate) fn run(args: &Args, setting: &Setting) -> Result<Report> {
    if let Some(floor) = [HELLO, SELECT, HASH].iter().find(|floor| !setting.has(floor)) {
        return Err(format!("{floor} is not built: cargo build --release").into());
    }
    let mut report = Report::default();
    for function in ["health", "auth", "todos"].iter().filter(|function| !setting.has(function)) {
        report.note(&format!("{function} is not built: it is left out."));
    }
    if setting.database.is_none() {
        report.note("DATABASE_HOST is not set: what needs a database is left out.");
    }
    migrate(setting)?;
    if args.wants("init") {
        init::run(args, setting, &mut report)?;
    }
    warm::run(args, setting, &mut report)?;
    if args.wants("signing") {
        signing::run(args, setting, &mut report)?;
    }
    if args.wants("provider") {
        provider::run(args, setting, &mut report)?;
    }
    if args.wants("trail") {
        trail::run(args, setting, &mut report)?;
    }
    if args.wants("timing") {
        timing::run(args, setting, &mut report)?;
    }
    if args.wants("size") {
        size::run(setting, &mut report)?;
    }
    report.note_load();
    Ok(report)
}

/// Brings the database up to this build, where `ops` is built and has the
/// owner's login: the runtime role, which the floor uses too, comes with it.
fn migrate(setting: &Setting) -> Result<()> {
    if setting.database.is_some() && setting.has("ops") && variable("DATABASE_OWNER_SECRET_ID").is_some() {
        progress("migrating");
        Function::start(setting, "ops", Distance::Near)?.invoke(br#"{"action":"migrate"}"#)?;
    }
    Ok(())
}
