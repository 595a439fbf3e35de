//! The tables, and the same as JSON.

mod cryptography;
mod timing;
mod trail;
mod warm;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::args::Args;
use crate::measure::Starter;
use crate::process;
use crate::stats::{Ratio, Times};
use crate::table::{Table, ms, number};

pub(crate) use cryptography::Part;

/// What came of a run.
pub(crate) struct Report {
    init: Table,
    warm: Table,
    signing: Table,
    checking: Table,
    trail: Table,
    written: Table,
    timing: Table,
    pairs: Table,
    sizes: Table,
    goals: Table,
    notes: Vec<String>,
    peaks_kib: BTreeMap<String, u64>,
    json: BTreeMap<&'static str, Vec<Value>>,
    load_before: Option<f64>,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            init: Table::new(
                "Init: spawn to the first /next (ms)",
                &["function", "secrets", "starts", "min", "p50", "p95", "ratio", "blocks"],
            ),
            warm: Table::new(
                "Warm, one at a time (ms)",
                &[
                    "invocation",
                    "function",
                    "database",
                    "first",
                    "p50",
                    "p95",
                    "p99",
                    "to next",
                    "cpu",
                    "trips",
                    "ratio",
                    "blocks",
                ],
            ),
            signing: Table::new(
                "POST refresh by what signs, taking turns (ms)",
                &["key", "samples", "p50", "p95", "signature alone (us)"],
            ),
            checking: Table::new(
                "GET todos by whose token, taking turns (ms)",
                &["token", "samples", "p50", "p95", "check alone (us)"],
            ),
            trail: Table::new(
                "A write with its audit record and without, taking turns (ms)",
                &["write", "samples", "p50", "p95", "ratio", "blocks"],
            ),
            written: Table::new("Audited writes at once", &["tenants", "connections", "writes a second"]),
            timing: Table::new(
                "Refused sign-ins, taking turns (ms)",
                &["refused for", "samples", "p50", "p95", "trips"],
            ),
            pairs: Table::new("Refused sign-ins: P(the one is faster)", &["one", "other", "P", "by chance", ""]),
            sizes: Table::new("Size (MB)", &["function", "binary", "zip", "peak memory"]),
            goals: Table::new("Goals", &["goal", "measured", "at most", "unit", ""]),
            notes: Vec::new(),
            peaks_kib: BTreeMap::new(),
            json: BTreeMap::new(),
            load_before: process::load(),
        }
    }
}

impl Report {
    /// Notes it where other work took part in the figures. One process at a
    /// time is measured, so the run alone stays below one core and a half.
    pub(crate) fn note_load(&mut self) {
        let loads = [self.load_before, process::load()];
        if let Some(load) = loads.into_iter().flatten().reduce(f64::max).filter(|load| *load > 1.5) {
            self.note(&format!("The machine was busy with other work (load {load:.1}): run again when it is quiet."));
        }
    }

    /// Adds a sentence under the tables.
    pub(crate) fn note(&mut self, sentence: &str) {
        self.notes.push(sentence.to_owned());
    }

    /// Adds the inits of all starters.
    pub(crate) fn starts(&mut self, starters: &[Starter<'_>], rows: &[Vec<Times>]) {
        let medians = |blocks: &[Times]| -> Vec<_> { blocks.iter().map(Times::median).collect() };
        for (starter, blocks) in starters.iter().zip(rows) {
            let floor = starters.iter().position(|other| Some(other.function) == starter.floor);
            let ratio = floor.map(|floor| Ratio::of(&medians(blocks), &medians(&rows[floor])));
            let times = Times::merge(blocks);
            let (count, min, p50, p95) = (times.count(), times.min(), times.median(), times.percentile(95));
            let (middle, spread) = ratio_cells(ratio);
            let cells = [count.to_string(), ms(min), ms(p50), ms(p95), middle, spread];
            self.init.row([starter.function.to_owned(), starter.secrets.to_owned()].into_iter().chain(cells));
            self.record(
                "init",
                json!({
                    "function": starter.function, "secrets": starter.secrets, "floor": starter.floor, "starts": count,
                    "min_us": us(min), "p50_us": us(p50), "p95_us": us(p95), "ratio": ratio.map(ratio_json),
                }),
            );
            if let (Some(ratio), Some(at_most)) = (ratio, starter.at_most) {
                let secrets = if starter.secrets.is_empty() { "" } else { ", secrets " };
                let name = format!("{}: init{secrets}{}", starter.function, starter.secrets);
                self.goal(&name, ratio.median, at_most, "x floor");
            }
        }
    }

    /// Adds a function's sizes.
    pub(crate) fn size(&mut self, function: &str, binary_mb: f64, zip_mb: f64, peak_mb: Option<f64>) {
        let peak = peak_mb.map_or_else(dash, |mb| number(mb, 1));
        self.sizes.row([function.to_owned(), number(binary_mb, 2), number(zip_mb, 2), peak]);
        let sizes = json!({ "function": function, "binary_mb": binary_mb, "zip_mb": zip_mb, "peak_mb": peak_mb });
        self.record("size", sizes);
    }

    /// Adds a goal and whether it is met.
    pub(crate) fn goal(&mut self, name: &str, measured: f64, at_most: f64, unit: &str) {
        let met = measured <= at_most;
        let verdict = if met { "met" } else { "missed" };
        self.goals.row([name.to_owned(), number(measured, 2), number(at_most, 2), unit.to_owned(), verdict.to_owned()]);
        let goal = json!({ "goal": name, "measured": measured, "at_most": at_most, "unit": unit, "met": met });
        self.record("goals", goal);
    }

    /// The whole report as JSON.
    pub(crate) fn to_json(&self, args: &Args) -> Value {
        let mut json = json!(self.json);
        json["notes"] = json!(self.notes);
        json["machine"] = json!({
            "cores": std::thread::available_parallelism().map_or(0, usize::from),
            "load_before": self.load_before,
            "load_after": process::load(),
        });
        json["options"] = json!({
            "blocks": args.blocks, "starts": args.starts, "invocations": args.invocations, "rtt_us": us(args.rtt),
        });
        json
    }

    fn record(&mut self, table: &'static str, row: Value) {
        self.json.entry(table).or_default().push(row);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cryptography = [&self.signing, &self.checking];
        let trail = [&self.trail, &self.written];
        let refused = [&self.timing, &self.pairs];
        let groups = [&[&self.init, &self.warm][..], &cryptography, &trail, &refused, &[&self.sizes, &self.goals]];
        for table in groups.into_iter().flatten() {
            write!(f, "{table}")?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "- {note}"))
    }
}

fn ratio_cells(ratio: Option<Ratio>) -> (String, String) {
    ratio.map_or_else(
        || (dash(), String::new()),
        |ratio| (number(ratio.median, 2), format!("{:.2}-{:.2}", ratio.min, ratio.max)),
    )
}

fn ratio_json(ratio: Ratio) -> Value {
    json!({ "median": ratio.median, "min": ratio.min, "max": ratio.max })
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn dash() -> String {
    "-".to_owned()
}
