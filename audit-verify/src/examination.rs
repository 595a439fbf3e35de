//! An export, held against checkpoints: line by line, in memory for one.

use std::{fmt, sync::Arc};

use crate::{Anchors, BadSeq, Chain, Checkpoint, Form, Hash, Line};

/// No line of an export is as long: details have 4 KiB at most.
pub const MOST_BYTES_A_LINE: usize = 1 << 20;

/// Which part of a chain an export is said to hold.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The first record.
    pub from_seq: i64,
    /// The hash of the record before the first one, where it is known. Where
    /// neither this nor a checkpoint says it, the export is believed in it:
    /// the next checkpoint proves it.
    pub before: Option<Hash>,
    /// The last one, where the export is to end there: what comes after it,
    /// records and checkpoints, is not looked at.
    pub to_seq: Option<i64>,
}

/// The check of an export, up to some line of it.
#[derive(Debug, Clone)]
pub struct Examination {
    bounds: Bounds,
    tenant_id: Option<Arc<str>>,
    anchors: Arc<[Checkpoint]>,
    /// How many of them were passed.
    passed: usize,
    /// None while it is not known after which hash the first record stands.
    chain: Option<Chain>,
    bad: Option<(BadSeq, Why)>,
}

/// What is wrong with the first bad record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The line is no record.
    Unreadable,
    /// It is another tenant's.
    OtherTenant,
    /// It is missing, or another one stands in its place.
    OutOfPlace,
    /// It is not what was recorded, or what goes before it is not.
    Altered,
    /// It is not the one that was signed: it, or one of those since the last
    /// checkpoint before it, was made anew with all hashes after it.
    NotAsSigned,
    /// The export ends before it.
    CutOff,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whose chain it is, where anything says so.
    pub tenant_id: Option<String>,
    /// How many records were found good, before the first bad one.
    pub checked: i64,
    /// The last of them: seq and hash.
    pub last: Option<(i64, Hash)>,
    /// The last checkpoint that the chain agrees with. What stands before it
    /// is proven.
    pub proven: Option<Checkpoint>,
    /// Good records after that one, which nothing but themselves speaks for.
    pub unanchored: i64,
    /// The first record that is not what was recorded.
    pub first_bad: Option<(BadSeq, Why)>,
}

impl Examination {
    /// Begins.
    #[must_use]
    pub fn new(anchors: Anchors, bounds: Bounds) -> Self {
        let (tenant_id, mut anchors) = anchors.into_parts();
        anchors.retain(|anchor| anchor.seq >= bounds.from_seq - 1 && bounds.to_seq.is_none_or(|to| anchor.seq <= to));
        let at_start = anchors.first().filter(|anchor| anchor.seq == bounds.from_seq - 1);
        let chain = match (bounds.before, at_start) {
            _ if bounds.from_seq == 1 => Some(Chain::start()),
            (Some(hash), _) => Some(Chain::before(bounds.from_seq, hash)),
            (None, Some(anchor)) => Some(Chain::before(bounds.from_seq, anchor.hash)),
            (None, None) => None,
        };
        let agrees = at_start.map(|anchor| chain.as_ref().is_some_and(|chain| chain.hash() == anchor.hash));
        let bad = (agrees == Some(false)).then_some((BadSeq(bounds.from_seq - 1), Why::NotAsSigned));
        let passed = usize::from(agrees == Some(true));
        Self { bounds, tenant_id: tenant_id.map(Into::into), anchors: anchors.into(), passed, chain, bad }
    }

    /// The next line, without its end. Says whether to go on.
    pub fn line(&mut self, line: &[u8]) -> bool {
        if self.bad.is_some() || self.bounds.to_seq.is_some_and(|to| self.next_seq() > to) {
            return false;
        }
        match Line::read(line) {
            Some(record) => self.record(&record.form()),
            None => self.bad = Some((BadSeq(self.next_seq()), Why::Unreadable)),
        }
        self.bad.is_none()
    }

    /// How many records were found good.
    #[must_use]
    pub fn checked(&self) -> i64 {
        self.next_seq() - self.bounds.from_seq
    }

    /// There are no more lines.
    #[must_use]
    pub fn end(mut self) -> Verdict {
        let next = self.next_seq();
        let is_short = self.anchors.last().is_some_and(|anchor| anchor.seq >= next)
            || self.bounds.to_seq.is_some_and(|to| next <= to);
        if is_short && self.bad.is_none() {
            self.bad = Some((BadSeq(next), Why::CutOff));
        }
        let proven = self.passed.checked_sub(1).and_then(|last| self.anchors.get(last));
        let checked = self.checked();
        Verdict {
            tenant_id: self.tenant_id.as_deref().map(Into::into),
            checked,
            last: self.chain.as_ref().filter(|_| checked > 0).map(|chain| (next - 1, chain.hash())),
            unanchored: proven.map_or(checked, |anchor| next - 1 - anchor.seq),
            proven: proven.cloned(),
            first_bad: self.bad,
        }
    }

    fn next_seq(&self) -> i64 {
        self.chain.as_ref().map_or(self.bounds.from_seq, Chain::next_seq)
    }

    fn record(&mut self, record: &Form<'_>) {
        let next = self.next_seq();
        if **self.tenant_id.get_or_insert_with(|| record.tenant_id.into()) != *record.tenant_id {
            self.bad = Some((BadSeq(next), Why::OtherTenant));
            return;
        }
        let before = || Chain::before(next, record.prev_hash.unwrap_or_default());
        let chain = self.chain.get_or_insert_with(before);
        if let Err(bad) = chain.extend(record) {
            let why = if record.seq == next { Why::Altered } else { Why::OutOfPlace };
            self.bad = Some((bad, why));
            return;
        }
        if let Some(anchor) = self.anchors.get(self.passed).filter(|anchor| anchor.seq == next) {
            if anchor.hash == chain.hash() {
                self.passed += 1;
            } else {
                self.bad = Some((BadSeq(next), Why::NotAsSigned));
            }
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unreadable => "its line is no record",
            Self::OtherTenant => "it is another tenant's",
            Self::OutOfPlace => "it is missing, or another one stands in its place",
            Self::Altered => "it is not what was recorded, or what went before it is not",
            Self::NotAsSigned => {
                "its hash is not the one that was signed: it, or a record since the checkpoint before, was made anew"
            }
            Self::CutOff => "it is missing: the export ends before it",
        })
    }
}
