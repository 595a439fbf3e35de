//! What was asked for.

use std::{ffi::OsString, path::PathBuf};

use audit_verify::{Bounds, hex};

pub(crate) const HELP: &str = "\
audit-verify --checkpoints FILE_OR_DIR --keys FILE_OR_DIR [OPTION...] EXPORT...

Says whether an export of an audit trail (NDJSON, `-` for standard input; the pages of one
export in their order) is what was recorded, by checkpoints that were signed meanwhile.

  --checkpoints FILE_OR_DIR  checkpoints of the tenant; more than once for more
  --keys FILE_OR_DIR         the public keys, as JWK Sets; more than once for more
  --tenant UUID              whose trail it has to be
  --from-seq N               the export begins at this record and not at the first
  --after-hash HASH          the hash of the record before that one, where no checkpoint says it
  --to-seq N                 the export ends at this record; later checkpoints are not looked at
  --allow-unanchored N       so many records after the last checkpoint are no fault; 0 unless said
  --json                     answers with one line of JSON
  --progress                 tells of the progress though standard error is no terminal

Exit codes: 0 intact and proven; 1 tampered with; 2 usage, or an input that cannot be read;
3 intact in itself, but more records are unproven than allowed; 4 a checkpoint is not to be believed.";

/// The arguments.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) checkpoints: Vec<PathBuf>,
    pub(crate) keys: Vec<PathBuf>,
    pub(crate) exports: Vec<PathBuf>,
    pub(crate) tenant: Option<String>,
    pub(crate) bounds: Bounds,
    pub(crate) allowed: i64,
    pub(crate) json: bool,
    pub(crate) progress: bool,
}

impl Arguments {
    /// None where help was asked for.
    pub(crate) fn read(mut given: impl Iterator<Item = OsString>) -> Result<Option<Self>, String> {
        let bounds = Bounds { from_seq: 1, before: None, to_seq: None };
        let mut read = Self {
            checkpoints: Vec::new(),
            keys: Vec::new(),
            exports: Vec::new(),
            tenant: None,
            bounds,
            allowed: 0,
            json: false,
            progress: false,
        };
        while let Some(argument) = given.next() {
            let name = argument.to_string_lossy();
            let mut value = || given.next().ok_or_else(|| format!("{name} needs a value"));
            match &*name {
                "-h" | "--help" => return Ok(None),
                "--checkpoints" => read.checkpoints.push(value()?.into()),
                "--keys" => read.keys.push(value()?.into()),
                "--tenant" => read.tenant = Some(value()?.to_string_lossy().to_lowercase()),
                "--from-seq" => read.bounds.from_seq = number(&name, &value()?, 1)?,
                "--to-seq" => read.bounds.to_seq = Some(number(&name, &value()?, 1)?),
                "--allow-unanchored" => read.allowed = number(&name, &value()?, 0)?,
                "--after-hash" => {
                    let hash = hex::decode(&value()?.to_string_lossy());
                    read.bounds.before = Some(hash.ok_or("--after-hash needs 64 lower-case hexadecimal digits")?);
                }
                "--json" => read.json = true,
                "--progress" => read.progress = true,
                option if option.len() > 1 && option.starts_with('-') => return Err(format!("{option} is no option")),
                _ => read.exports.push(argument.into()),
            }
        }
        read.checked().map(Some)
    }

    fn checked(self) -> Result<Self, String> {
        let missing = match () {
            () if self.checkpoints.is_empty() => "--checkpoints is missing",
            () if self.keys.is_empty() => "--keys is missing",
            () if self.exports.is_empty() => "no export is named; `-` is standard input",
            () if self.bounds.to_seq.is_some_and(|to| to < self.bounds.from_seq) => "--to-seq is before --from-seq",
            () if self.bounds.before.is_some() && self.bounds.from_seq == 1 => "--after-hash needs --from-seq",
            () => return Ok(self),
        };
        Err(missing.to_owned())
    }
}

fn number(name: &str, value: &OsString, least: i64) -> Result<i64, String> {
    let number = value.to_str().and_then(|text| text.parse().ok()).filter(|number| *number >= least);
    number.ok_or_else(|| format!("{name} needs a number from {least} on"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Option<Arguments>, String> {
        Arguments::read(line.split_whitespace().map(Into::into))
    }

    #[test]
    fn all_that_may_be_said_is_understood() {
        let hash = "ab".repeat(32);
        let line = format!(
            "--checkpoints c --checkpoints d --keys k --tenant AB --from-seq 7 --after-hash {hash} --to-seq 9
             --allow-unanchored 3 --json --progress one.ndjson -"
        );
        let read = read(&line).unwrap().unwrap();
        assert_eq!((read.checkpoints.len(), read.keys.len(), read.exports.len()), (2, 1, 2));
        assert_eq!((read.tenant.as_deref(), read.allowed, read.json, read.progress), (Some("ab"), 3, true, true));
        assert_eq!((read.bounds.from_seq, read.bounds.to_seq), (7, Some(9)));
        assert_eq!(read.bounds.before, Some([0xab; 32]));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert!(read("--help --what").unwrap().is_none());
        for (line, fault) in [
            ("", "--checkpoints"),
            ("--checkpoints c e", "--keys"),
            ("--checkpoints c --keys k", "no export"),
            ("--checkpoints", "needs a value"),
            ("--what", "--what"),
            ("--from-seq 0", "--from-seq"),
            ("--to-seq x", "--to-seq"),
            ("--allow-unanchored -1", "--allow-unanchored"),
            ("--after-hash ab", "--after-hash"),
            ("--checkpoints c --keys k --from-seq 3 --to-seq 2 e", "--to-seq"),
        ] {
            let refused = read(line).unwrap_err();
            assert!(refused.contains(fault), "{line}: {refused}");
        }
    }
}
