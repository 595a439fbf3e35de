//! L1: a chain of 10,000, and everything that can be done to a row of it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod trail;

use audit_verify::{BadSeq, Examination, Verdict, Why};
use serde_json::{Value, json};
use trail::{Record, Signer, WHOLE, chain, line, rehash};

const LENGTH: usize = 10_000;

/// A checkpoint stands at every so many records.
const EVERY: usize = 1_000;

struct Trail {
    chain: Vec<Record>,
    lines: Vec<Vec<u8>>,
    fresh: Examination,
}

impl Trail {
    fn new() -> Self {
        let chain = chain(LENGTH.try_into().unwrap());
        let seqs: Vec<_> = (EVERY..=LENGTH).step_by(EVERY).collect();
        let fresh = Examination::new(Signer::new().anchors(&chain, &seqs), WHOLE);
        Self { lines: chain.iter().map(line).collect(), chain, fresh }
    }

    /// Every place of the chain, with the check of all that goes before it.
    fn each(&self, mut each: impl FnMut(usize, &Examination)) {
        let mut before = self.fresh.clone();
        for (place, line) in self.lines.iter().enumerate() {
            each(place, &before);
            assert!(before.line(line), "{place}");
        }
    }

    /// The check goes on with these lines, and then with the rest from a place
    /// on: the work that is left of a check of the whole.
    fn go_on<'a>(&'a self, before: &Examination, changed: &[&'a [u8]], rest: usize) -> Verdict {
        let mut examination = before.clone();
        let rest = self.lines.iter().skip(rest).map(Vec::as_slice);
        let _ = changed.iter().copied().chain(rest).all(|line| examination.line(line));
        examination.end()
    }

    /// The check of the whole of other lines, from the first on.
    fn whole(&self, lines: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Verdict {
        let mut examination = self.fresh.clone();
        let _ = lines.into_iter().all(|line| examination.line(line.as_ref()));
        examination.end()
    }
}

fn bad(verdict: &Verdict) -> Option<(usize, Why)> {
    verdict.first_bad.map(|(BadSeq(seq), why)| (seq.try_into().unwrap(), why))
}

/// Another value of a field: near to what it was.
fn changed(name: &str, value: &Value) -> Value {
    match (name, value) {
        ("version", value) => (3 - value.as_i64().unwrap()).into(),
        ("seq", value) => (value.as_i64().unwrap() + 1).into(),
        ("at", Value::String(at)) => {
            let at = audit_verify::instant::parse(at).unwrap();
            audit_verify::instant::text(at + 1).into()
        }
        ("details", Value::Null) => json!({}),
        ("details", details) => json!({ "sessions_ended": details["sessions_ended"].as_i64().unwrap() + 1 }),
        (_, Value::Null) => "".into(),
        (_, Value::String(text)) => {
            let (rest, last) = text.split_at(text.len() - 1);
            format!("{rest}{}", if last == "7" { "8" } else { "7" }).into()
        }
        (name, value) => unreachable!("{name} {value}"),
    }
}

#[test]
fn an_untouched_chain_is_proven_to_its_last_checkpoint() {
    let trail = Trail::new();
    let verdict = trail.whole(&trail.lines);
    assert_eq!((verdict.first_bad, verdict.checked, verdict.unanchored), (None, 10_000, 0));
    assert_eq!(verdict.proven.unwrap().seq, 10_000);
}

#[test]
fn l1_every_edit_of_every_field_of_every_record_is_found_at_it() {
    let trail = Trail::new();
    let mut edits = 0;
    trail.each(|place, before| {
        for (name, value) in &trail.chain[place] {
            for value in [Some(changed(name, value)), (!value.is_null()).then_some(Value::Null)].into_iter().flatten() {
                let mut record = trail.chain[place].clone();
                record[name] = value;
                let edited = line(&record);
                let found = bad(&trail.go_on(before, &[&edited], place + 1));
                assert_eq!(found.map(|(seq, _)| seq), Some(place + 1), "{name}: {record:?}");
                edits += 1;
                if edits % 20_011 == 0 {
                    let mut lines: Vec<&[u8]> = trail.lines.iter().map(Vec::as_slice).collect();
                    lines[place] = &edited;
                    assert_eq!(bad(&trail.whole(lines)), found, "{name}");
                }
            }
        }
    });
    assert!(edits > 15 * LENGTH, "{edits}");
}

#[test]
fn l1_every_record_that_was_made_anew_with_its_hash_is_found_at_its_successor_or_its_checkpoint() {
    let trail = Trail::new();
    trail.each(|place, before| {
        let mut record = trail.chain[place].clone();
        record["action"] = "auth.logout".into();
        rehash(&mut record);
        let found = bad(&trail.go_on(before, &[&line(&record)], place + 1));
        let expected = if (place + 1) % EVERY == 0 { (place + 1, Why::NotAsSigned) } else { (place + 2, Why::Altered) };
        assert_eq!(found, Some(expected));
    });
}

#[test]
fn l1_a_chain_that_was_made_anew_from_some_record_on_is_found_at_the_next_checkpoint() {
    let trail = Trail::new();
    for place in (0..LENGTH).step_by(1_487) {
        let mut anew = trail.chain.clone();
        anew[place]["object_id"] = Value::Null;
        anew[place]["outcome"] = "failure".into();
        let mut hash = rehash(&mut anew[place]);
        for record in &mut anew[place + 1..] {
            record["prev_hash"] = audit_verify::hex::encode(&hash).into();
            hash = rehash(record);
        }
        let verdict = trail.whole(anew.iter().map(line));
        let next = (place / EVERY + 1) * EVERY;
        assert_eq!(bad(&verdict), Some((next, Why::NotAsSigned)), "{place}");
        assert_eq!(verdict.proven.map_or(0, |proven| proven.seq), i64::try_from(next - EVERY).unwrap());
    }
}

#[test]
fn l1_every_deletion_is_found() {
    let trail = Trail::new();
    trail.each(|place, before| {
        let why = if place + 1 == LENGTH { Why::CutOff } else { Why::OutOfPlace };
        for length in [1, 2, 50] {
            let found = bad(&trail.go_on(before, &[], place + length));
            let why = if place + length >= LENGTH { Why::CutOff } else { why };
            assert_eq!(found, Some((place + 1, why)), "{length}");
        }
    });
}

#[test]
fn l1_every_record_that_stands_twice_is_found() {
    let trail = Trail::new();
    trail.each(|place, before| {
        let line = &*trail.lines[place];
        assert_eq!(bad(&trail.go_on(before, &[line, line], place + 1)), Some((place + 1, Why::OutOfPlace)));
        let other = (place + 4_999) % LENGTH;
        let found = bad(&trail.go_on(before, &[&trail.lines[other]], place));
        assert_eq!(found, Some((place.min(other) + 1, Why::OutOfPlace)), "{other} at {place}");
    });
}

#[test]
fn l1_every_swap_of_neighbours_is_found_with_and_without_their_numbers() {
    let trail = Trail::new();
    trail.each(|place, before| {
        let Some(next) = trail.lines.get(place + 1) else { return };
        let found = bad(&trail.go_on(before, &[next, &trail.lines[place]], place + 2));
        assert_eq!(found, Some((place + 1, Why::OutOfPlace)));
        let (mut first, mut second) = (trail.chain[place + 1].clone(), trail.chain[place].clone());
        std::mem::swap(&mut first["seq"], &mut second["seq"]);
        let found = bad(&trail.go_on(before, &[&line(&first), &line(&second)], place + 2));
        assert_eq!(found, Some((place + 1, Why::Altered)));
    });
}

#[test]
fn l1_every_tail_that_was_cut_off_before_the_last_checkpoint_is_found() {
    let trail = Trail::new();
    trail.each(|place, before| {
        assert_eq!(bad(&before.clone().end()), Some((place + 1, Why::CutOff)));
    });
}
