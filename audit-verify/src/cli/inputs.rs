//! Files, read in pieces.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use audit_verify::{MOST_BYTES_A_LINE, SignedCheckpoint};

use super::Fault;

/// How much is asked of the system at a time.
const BUFFER: usize = 1 << 18;

/// A document larger than this is none of ours.
const MOST_BYTES_A_DOCUMENT: u64 = 1 << 26;

fn unreadable(path: &Path) -> impl Fn(io::Error) -> Fault + '_ {
    move |error| Fault::Unusable(format!("{} cannot be read: {error}", path.display()))
}

/// Each JSON document: the file itself, or all `.json` files below a folder.
pub(crate) fn each_document(path: &Path, mut each: impl FnMut(&[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
    let mut waiting = vec![path.to_owned()];
    while let Some(path) = waiting.pop() {
        let metadata = fs::metadata(&path).map_err(unreadable(&path))?;
        if metadata.is_dir() {
            let listed = fs::read_dir(&path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
            let is_wanted = |path: &PathBuf| path.is_dir() || path.extension().is_some_and(|end| end == "json");
            waiting.extend(listed.map_err(unreadable(&path))?.iter().map(fs::DirEntry::path).filter(is_wanted));
            continue;
        }
        let mut json = Vec::new();
        let file = File::open(&path).map_err(unreadable(&path))?;
        let size = file.take(MOST_BYTES_A_DOCUMENT).read_to_end(&mut json).map_err(unreadable(&path))?;
        if size as u64 == MOST_BYTES_A_DOCUMENT {
            return Err(Fault::Unusable(format!("{} is too large", path.display())));
        }
        each(&json).map_err(|fault| match fault {
            Fault::Unusable(what) => Fault::Unusable(format!("{}: {what}", path.display())),
            Fault::Untrusted(_) => fault,
        })?;
    }
    Ok(())
}

/// Each checkpoint: one a line, in one file or in many.
pub(crate) fn each_checkpoint(
    path: &Path,
    mut each: impl FnMut(SignedCheckpoint) -> Result<(), Fault>,
) -> Result<(), Fault> {
    each_document(path, |json| {
        for line in json.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            let read = SignedCheckpoint::read(line);
            each(read.ok_or_else(|| Fault::Unusable("a line is no checkpoint".to_owned()))?)?;
        }
        Ok(())
    })
}

/// Each line of an export, with the bytes that it took, while `each` says to
/// go on; says whether it did to the end. A line that is too long is handed
/// over as an empty one, which is no record: its beginning could be one.
pub(crate) fn each_line(path: &Path, mut each: impl FnMut(&[u8], usize) -> bool) -> Result<bool, Fault> {
    let source: Box<dyn Read> = if path.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(path).map_err(unreadable(path))?)
    };
    let mut source = BufReader::with_capacity(BUFFER, source);
    let mut line = Vec::new();
    loop {
        line.clear();
        let most = MOST_BYTES_A_LINE as u64;
        let size = (&mut source).take(most).read_until(b'\n', &mut line).map_err(unreadable(path))?;
        if size == 0 {
            return Ok(true);
        }
        let whole = match line.strip_suffix(b"\n") {
            Some(whole) => whole,
            None if size == MOST_BYTES_A_LINE => &[],
            None => &line,
        };
        if !each(whole, size) {
            return Ok(false);
        }
    }
}
