//! What is uploaded, and what is resident.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::{Compression, write::DeflateEncoder};

use super::{HELLO, SELECT};
use crate::Result;
use crate::report::Report;
use crate::setting::{Setting, functions};

const ZIP_AT_MOST_MB: f64 = 6.0;
const PEAK_AT_MOST_MB: f64 = 30.0;

/// A zip's three records for one file, without the file's name, which stands in
/// two of them (APPNOTE 4.3.7, 4.3.12, 4.3.16).
const ZIP_RECORDS_BYTES: usize = 30 + 46 + 22;

/// Reports the zip of every function that is built, and its peak memory where
/// it was invoked in this run.
///
/// # Errors
/// A binary cannot be read.
pub(crate) fn run(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut names = functions(Path::new("."));
    names.extend([HELLO, SELECT].map(str::to_owned));
    for name in names.iter().filter(|name| setting.has(name)) {
        let binary = fs::read(setting.binary(name))?;
        let (zip_mb, binary_mb) = (megabytes(zip_bytes(&binary)?), megabytes(binary.len()));
        let peak_mb = report.peak_mb(name);
        report.size(name, binary_mb, zip_mb, peak_mb);
        if name.starts_with("floor-") {
            continue;
        }
        report.goal(&format!("{name}: zip"), zip_mb, ZIP_AT_MOST_MB, "MB");
        if let Some(peak_mb) = peak_mb.filter(|_| name != "auth") {
            report.goal(&format!("{name}: peak memory"), peak_mb, PEAK_AT_MOST_MB, "MB");
        }
    }
    Ok(())
}

/// The size of a zip with the binary as `bootstrap`, at the level that zip
/// tools use.
fn zip_bytes(binary: &[u8]) -> Result<usize> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(binary)?;
    Ok(encoder.finish()?.len() + ZIP_RECORDS_BYTES + 2 * "bootstrap".len())
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}
