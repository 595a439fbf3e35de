//! The command line.

use std::{ffi::OsString, path::PathBuf};

use audit_verify::Hash;

pub(crate) const HELP: &str = "\
Proves an export of a tenant's audit trail, offline.

Usage: audit-verify [options] [export.ndjson]     (without a file: standard input)

  --keys FILE          the public keys of checkpoints, a JWKS
  --checkpoints PATH   a file of checkpoints, or a folder of them; may be repeated
  --tenant UUID        whose trail it must be; else whose the first record is
  --after SEQ[:HASH]   the export begins after SEQ: its hash as given, or as a checkpoint has it
  --until SEQ          the export ends at SEQ; else not before the last checkpoint
  --json               the verdict as one line of JSON
  --progress           progress on standard error, even if that is no terminal
  --help               this

Exit codes:
  0  proven: every record is as it was written, and a checkpoint proves the last one
  1  tampered: the first bad seq is named; all before it are proven
  2  no verdict: wrong usage, or a file cannot be read
  3  a checkpoint has a bad signature or an unknown key, or contradicts another
  4  intact, but not anchored past the seq that is named: nothing proves that none is missing after it
";

/// What is asked for.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) export: Option<PathBuf>,
    pub(crate) keys: Option<PathBuf>,
    pub(crate) checkpoints: Vec<PathBuf>,
    pub(crate) tenant: Option<String>,
    pub(crate) after: Option<(u64, Option<Hash>)>,
    pub(crate) until: Option<u64>,
    pub(crate) json: bool,
    pub(crate) progress: bool,
}

/// Reads the command line; none where help is asked for.
pub(crate) fn read(given: impl IntoIterator<Item = OsString>) -> Result<Option<Arguments>, String> {
    let mut arguments = Arguments::default();
    let mut given = given.into_iter();
    while let Some(argument) = given.next() {
        let name = argument.to_string_lossy().into_owned();
        let mut value = || given.next().ok_or_else(|| format!("{name} needs a value"));
        let text = |value: OsString| value.into_string().map_err(|_| format!("{name} is no text"));
        match &*name {
            "--help" | "-h" => return Ok(None),
            "--json" => arguments.json = true,
            "--progress" => arguments.progress = true,
            "--keys" => arguments.keys = Some(value()?.into()),
            "--checkpoints" => arguments.checkpoints.push(value()?.into()),
            "--tenant" => arguments.tenant = Some(text(value()?)?.to_ascii_lowercase()),
            "--after" => {
                let position = crate::position(&text(value()?)?);
                arguments.after = Some(position.ok_or("--after needs SEQ or SEQ:HASH")?);
            }
            "--until" => {
                arguments.until = Some(text(value()?)?.parse().map_err(|_| "--until needs a seq".to_owned())?);
            }
            other if other.starts_with('-') && other != "-" => return Err(format!("{other} is no option")),
            "-" => {}
            _ if arguments.export.is_some() => return Err("one export at a time".to_owned()),
            _ => arguments.export = Some(argument.into()),
        }
    }
    Ok(Some(arguments))
}
