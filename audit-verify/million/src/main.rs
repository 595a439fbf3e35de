//! Makes an export of a million records with its checkpoints and its key, and
//! times the verification: `cargo run --release -p audit-verify-million`.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "printing is what it is for; the trail is a test's")]

#[expect(dead_code, reason = "the tests use all of it")]
#[path = "../../tests/trail/mod.rs"]
mod trail;

use std::{
    error::Error,
    fs::{self, File},
    io::{BufRead, BufReader, BufWriter, Write},
    time::Instant,
};

use audit_verify::{Anchors, Examination, NOTHING};
use trail::{Signer, WHOLE, hash, line, record};

const RECORDS: i64 = 1_000_000;

/// A checkpoint stands at every so many records.
const EVERY: i64 = 1_000;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join("audit-verify-million");
    fs::create_dir_all(&folder)?;
    let path = folder.join("export.ndjson");
    let (signer, mut anchors) = (Signer::new(), Anchors::of(None));
    let keys = signer.keys();
    let mut export = BufWriter::new(File::create(&path)?);
    let mut checkpoints = BufWriter::new(File::create(folder.join("checkpoints.json"))?);
    fs::write(folder.join("keys.json"), &signer.jwks)?;
    let mut prev = NOTHING;
    for seq in 1..=RECORDS {
        let record = record(seq, prev);
        prev = hash(&record);
        export.write_all(&line(&record))?;
        export.write_all(b"\n")?;
        if seq % EVERY == 0 {
            let checkpoint = signer.sign(&record);
            writeln!(checkpoints, "{}", checkpoint.to_json().unwrap_or_default())?;
            anchors.add(checkpoint, &keys).map_err(|untrusted| untrusted.to_string())?;
        }
    }
    export.flush()?;
    checkpoints.flush()?;
    let megabytes = fs::metadata(&path)?.len() / 1_000_000;
    println!("{RECORDS} records, {megabytes} MB, {} checkpoints in {}", anchors.len(), folder.display());

    let began = Instant::now();
    let mut examination = Examination::new(anchors, WHOLE);
    let mut source = BufReader::with_capacity(1 << 18, File::open(&path)?);
    let mut line = Vec::new();
    while source.read_until(b'\n', &mut line)? > 0 {
        examination.line(line.strip_suffix(b"\n").unwrap_or(&line));
        line.clear();
    }
    let verdict = examination.end();
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!((verdict.checked, verdict.unanchored, verdict.first_bad), (RECORDS, 0, None));
    println!("verified in {seconds:.2} s: {:.0} records/s", f64::from(i32::try_from(RECORDS)?) / seconds);
    Ok(())
}
