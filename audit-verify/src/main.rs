//! `audit-verify --keys jwks.json --checkpoints folder export.ndjson`

mod arguments;

use std::{
    fmt::Display,
    fs,
    io::{self, BufRead, BufReader, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use arguments::Arguments;
use audit_verify::{Anchors, Chain, Checkpoint, Found, Hash, Keys, Record, verify};
use serde_json::json;

/// So many records stand between two lines of progress.
const RECORDS_A_LINE: u64 = 100_000;

const PROVEN: u8 = 0;
const TAMPERED: u8 = 1;
const UNUSABLE: u8 = 2;
const CHECKPOINTS: u8 = 3;
const UNANCHORED: u8 = 4;

/// An exit code, and what is printed.
struct Verdict {
    code: u8,
    text: String,
    json: serde_json::Value,
}

impl Verdict {
    fn fault(code: u8, verdict: &'static str, why: impl Display) -> Self {
        let json = json!({ "verdict": verdict, "why": why.to_string() });
        Self { code, text: format!("{verdict}: {why}"), json }
    }
}

fn main() -> ExitCode {
    let (verdict, as_json) = match arguments::read(std::env::args_os().skip(1)) {
        Ok(None) => {
            let printed = io::stdout().write_all(arguments::HELP.as_bytes());
            return ExitCode::from(if printed.is_ok() { PROVEN } else { UNUSABLE });
        }
        Ok(Some(arguments)) => (check(&arguments).unwrap_or_else(|fault| fault), arguments.json),
        Err(why) => (Verdict::fault(UNUSABLE, "usage", why), false),
    };
    // A verdict goes to where it is asked for; that none was reached goes to both.
    let line = if as_json { verdict.json.to_string() } else { verdict.text };
    let printed = match verdict.code {
        UNUSABLE if !as_json => writeln!(io::stderr(), "{line}\nTry --help."),
        _ => writeln!(io::stdout(), "{line}"),
    };
    ExitCode::from(if printed.is_ok() { verdict.code } else { UNUSABLE })
}

/// # Errors
/// No verdict on the export could be reached.
fn check(arguments: &Arguments) -> Result<Verdict, Verdict> {
    let unusable = |what: &Path| {
        let what = what.display().to_string();
        move |why: &dyn Display| Verdict::fault(UNUSABLE, "unreadable", format!("{what}: {why}"))
    };
    let mut keys = Keys::default();
    if let Some(path) = &arguments.keys {
        let jwks = fs::read(path).map_err(|why| unusable(path)(&why))?;
        keys = Keys::of_jwks(&jwks).map_err(|why| unusable(path)(&why))?;
    }
    let mut checkpoints = Vec::new();
    for path in &arguments.checkpoints {
        read_checkpoints(path, &mut checkpoints).map_err(|why| unusable(path)(&why))?;
    }
    let mut export = open(arguments.export.as_deref()).map_err(|why| unusable(&arguments.export())(&why))?;
    let Some(tenant) =
        tenant(arguments, &mut *export, &checkpoints).map_err(|why| unusable(&arguments.export())(&why))?
    else {
        return Err(Verdict::fault(
            UNUSABLE,
            "usage",
            "the export's first line names no tenant: name it with --tenant",
        ));
    };
    let anchors = Anchors::of(&tenant, &checkpoints, &keys);
    let anchors = anchors.map_err(|fault| Verdict::fault(CHECKPOINTS, "bad checkpoint", fault))?;
    let mut chain = match &arguments.after {
        None => Chain::new(&tenant),
        Some((seq, given)) => match (*given, anchors.at(*seq)) {
            (Some(given), Some(signed)) if given != signed => {
                return Err(Verdict::fault(CHECKPOINTS, "bad checkpoint", "--after contradicts the checkpoint there"));
            }
            (Some(hash), _) | (None, Some(hash)) => Chain::after(&tenant, *seq, hash),
            (None, None) => {
                let why = format!("there is no checkpoint at seq {seq}: give its hash with --after {seq}:<hash>");
                return Err(Verdict::fault(UNUSABLE, "usage", why));
            }
        },
    };
    let shows = arguments.progress || (io::stderr().is_terminal() && !arguments.json);
    let mut progress = |seq: u64| {
        if shows && seq.is_multiple_of(RECORDS_A_LINE) {
            // Who does not want to hear of it is not in the way of the verdict.
            let _ = writeln!(io::stderr(), "at seq {seq}");
        }
    };
    let found = verify(&mut *export, &mut chain, &anchors, arguments.until, &mut progress);
    Ok(verdict(found.map_err(|why| unusable(&arguments.export())(&why))?, &chain))
}

fn verdict(found: Found, chain: &Chain) -> Verdict {
    let (tenant, seq, hash) = (chain.tenant(), chain.seq(), chain.hash());
    match found {
        Found::Bad { seq: bad, why } => Verdict {
            code: TAMPERED,
            text: format!("tampered: first bad seq {bad} of tenant {tenant}: {why}"),
            json: json!({ "verdict": "tampered", "tenant_id": tenant, "first_bad_seq": bad, "why": why }),
        },
        Found::Intact { anchored } => {
            let (code, verdict, note) = if anchored == seq {
                (PROVEN, "proven", String::new())
            } else {
                (UNANCHORED, "unanchored", format!(", not anchored past seq {anchored}"))
            };
            Verdict {
                code,
                text: format!("{verdict}: tenant {tenant}, head seq {seq}, hash {hash}{note}"),
                json: json!({ "verdict": verdict, "tenant_id": tenant, "head": { "seq": seq, "hash": hash },
                              "anchored_seq": anchored }),
            }
        }
    }
}

/// One checkpoint or more, from a file, or from all the `.json` and `.ndjson`
/// of a folder and those in it.
fn read_checkpoints(path: &Path, into: &mut Vec<Checkpoint>) -> io::Result<()> {
    if !path.is_dir() {
        let text = fs::read(path)?;
        for checkpoint in serde_json::Deserializer::from_slice(&text).into_iter() {
            into.push(checkpoint.map_err(|why| io::Error::other(format!("{}: {why}", path.display())))?);
        }
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if path.is_dir() || path.extension().is_some_and(|end| end == "json" || end == "ndjson") {
            read_checkpoints(&path, into)?;
        }
    }
    Ok(())
}

fn open(path: Option<&Path>) -> io::Result<Box<dyn BufRead>> {
    Ok(match path {
        Some(path) => Box::new(BufReader::with_capacity(1 << 20, fs::File::open(path)?)),
        None => Box::new(BufReader::with_capacity(1 << 20, io::stdin())),
    })
}

/// Whose export it is: as the operator says, or the first record, or, where
/// there is none, all the checkpoints.
fn tenant(arguments: &Arguments, export: &mut dyn BufRead, checkpoints: &[Checkpoint]) -> io::Result<Option<String>> {
    if let Some(tenant) = &arguments.tenant {
        return Ok(Some(tenant.clone()));
    }
    let begin = export.fill_buf()?;
    if begin.is_empty() {
        let tenant = checkpoints.first().map(|checkpoint| checkpoint.tenant_id.clone());
        return Ok(tenant.filter(|tenant| checkpoints.iter().all(|checkpoint| checkpoint.tenant_id == *tenant)));
    }
    let line = begin.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let record = serde_json::from_slice::<Record<'_>>(line).ok();
    Ok(record.map(|record| record.tenant_id.0.into_owned()))
}

impl Arguments {
    fn export(&self) -> PathBuf {
        self.export.clone().unwrap_or_else(|| PathBuf::from("the standard input"))
    }
}

/// `<seq>` or `<seq>:<hash>`.
fn position(text: &str) -> Option<(u64, Option<Hash>)> {
    match text.split_once(':') {
        None => Some((text.parse().ok()?, None)),
        Some((seq, hash)) => Some((seq.parse().ok()?, Some(Hash::of_hex(hash)?))),
    }
}
