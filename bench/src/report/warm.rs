//! The table of warm invocations.

use std::time::Duration;

use serde_json::json;

use super::{Report, dash, ratio_cells, ratio_json, us};
use crate::measure::{Block, Subject};
use crate::stats::{Ratio, Times, median};
use crate::table::{ms, number};

impl Report {
    /// Adds the invocations of all subjects.
    pub(crate) fn turns(&mut self, subjects: &[Subject<'_>], rows: &[Vec<Block>]) {
        for (subject, blocks) in subjects.iter().zip(rows) {
            let is_floor =
                |other: &Subject<'_>| Some(other.function) == subject.floor && other.distance == subject.distance;
            let floor = subjects.iter().position(is_floor).map(|index| rows[index].as_slice());
            self.turn(subject, blocks, floor);
        }
    }

    fn turn(&mut self, subject: &Subject<'_>, blocks: &[Block], floor: Option<&[Block]>) {
        // What is put off behind the answer is paid for too: the worse counts.
        let ratio = floor.map(|floor| {
            let of = |pick: fn(&Block) -> Duration| {
                let all = |blocks: &[Block]| -> Vec<_> { blocks.iter().map(pick).collect() };
                Ratio::of(&all(blocks), &all(floor))
            };
            of(|block| block.answer.median()).or_greater(of(|block| block.ready.median()))
        });
        let middle = |pick: fn(&Block) -> Duration| median(blocks.iter().map(pick));
        let first = middle(|block| block.first);
        let [p50, p95, p99] =
            [50, 95, 99].map(|percent| median(blocks.iter().map(|block| block.answer.percentile(percent))));
        let ready = middle(|block| block.ready.median());
        let cpu = blocks.iter().map(|block| block.cpu).collect::<Option<Times>>().map(|times| times.median());
        let trips = blocks.iter().filter_map(|block| block.trips).reduce(f64::max);
        let peak_kib = blocks.iter().filter_map(|block| block.peak_kib).max().unwrap_or_default();
        let highest = self.peaks_kib.entry(subject.function.to_owned()).or_default();
        *highest = peak_kib.max(*highest);

        let (ratio_cell, spread) = ratio_cells(ratio);
        self.warm.row([
            subject.label.to_owned(),
            subject.function.to_owned(),
            subject.distance.to_string(),
            ms(first),
            ms(p50),
            ms(p95),
            ms(p99),
            ms(ready),
            cpu.map_or_else(dash, ms),
            trips.map_or_else(dash, |trips| number(trips, 2)),
            ratio_cell,
            spread,
        ]);
        self.record(
            "warm",
            json!({
                "invocation": subject.label, "function": subject.function, "floor": subject.floor,
                "database": subject.distance.to_string(), "blocks": blocks.len(),
                "invocations": blocks.iter().map(|block| block.answer.count()).sum::<usize>(),
                "first_us": us(first), "p50_us": us(p50), "p95_us": us(p95), "p99_us": us(p99),
                "to_next_p50_us": us(ready), "cpu_us": cpu.map(us), "round_trips": trips, "peak_kib": peak_kib,
                "ratio": ratio.map(ratio_json),
            }),
        );
        let name = format!("{}, database {}", subject.label, subject.distance);
        if let (Some(ratio), Some(at_most)) = (ratio, subject.at_most) {
            self.goal(&name, ratio.median, at_most, "x floor");
        }
        if let (Some(trips), Some(at_most)) = (trips, subject.trips_at_most) {
            self.goal(subject.label, trips, at_most, "round trips");
        }
    }

    /// A function's peak memory over all its processes, if it was invoked.
    pub(crate) fn peak_mb(&self, function: &str) -> Option<f64> {
        let kib = u32::try_from(*self.peaks_kib.get(function)?).ok()?;
        Some(f64::from(kib) * 1024.0 / 1e6)
    }
}
