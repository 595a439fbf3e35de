//! What is told while a long export is read.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

/// The time between two lines.
const EVERY: Duration = Duration::from_secs(1);

/// The clock is looked at once in so many records.
const RECORDS: u64 = 4_096;

pub(crate) struct Progress {
    is_told: bool,
    rewrites: bool,
    began: Instant,
    told: Instant,
    lines: u64,
    bytes: u64,
}

impl Progress {
    pub(crate) fn new(asked: bool) -> Self {
        let (now, rewrites) = (Instant::now(), io::stderr().is_terminal());
        Self { is_told: asked || rewrites, rewrites, began: now, told: now, lines: 0, bytes: 0 }
    }

    /// One more line, of so many bytes.
    pub(crate) fn note(&mut self, checked: i64, bytes: usize) {
        self.lines += 1;
        self.bytes += bytes as u64;
        if self.is_told && self.lines.is_multiple_of(RECORDS) && self.told.elapsed() >= EVERY {
            self.told = Instant::now();
            self.tell(checked, if self.rewrites { "\r" } else { "\n" });
        }
    }

    /// The last word: only where there was one before, or it was asked for.
    pub(crate) fn end(&self, checked: i64) {
        if self.is_told && (!self.rewrites || self.told > self.began) {
            self.tell(checked, "\n");
        }
    }

    fn tell(&self, checked: i64, end: &str) {
        let seconds = self.began.elapsed().as_secs_f64();
        let megabytes = self.bytes / 1_000_000;
        // Who cannot be told of the progress still gets the result.
        let _ = write!(io::stderr(), "{checked} records, {megabytes} MB in {seconds:.1} s{end}");
    }
}
