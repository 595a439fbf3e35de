//! The tables of refused sign-ins.

use serde_json::json;

use super::{Report, dash, us};
use crate::rank::Rank;
use crate::stats::Times;
use crate::table::{ms, number};

impl Report {
    /// Adds one way to be refused.
    pub(crate) fn timing_class(&mut self, class: &str, times: &Times, trips: Option<f64>) {
        let (count, p50, p95) = (times.count(), times.median(), times.percentile(95));
        let trips_cell = trips.map_or_else(dash, |trips| number(trips, 2));
        self.timing.row([class.to_owned(), count.to_string(), ms(p50), ms(p95), trips_cell]);
        let row =
            json!({ "class": class, "samples": count, "p50_us": us(p50), "p95_us": us(p95), "round_trips": trips });
        self.record("timing", row);
    }

    /// Adds how two ways to be refused compare; the goal is that chance alone
    /// explains it.
    pub(crate) fn timing_pair(&mut self, one: &str, other: &str, rank: Rank) {
        let (low, high) = (0.5 - rank.within, 0.5 + rank.within);
        let verdict = if rank.bias() <= rank.within { "alike" } else { "told apart" };
        self.pairs.row([
            one.to_owned(),
            other.to_owned(),
            number(rank.faster, 3),
            format!("{low:.3}-{high:.3}"),
            verdict.to_owned(),
        ]);
        let name = format!("{one} against {other}: P(faster) from 1/2");
        self.goal(&name, rank.bias(), rank.within, "by chance");
        let row = json!({ "one": one, "other": other, "p_faster": rank.faster, "by_chance": rank.within });
        self.record("timing_pairs", row);
    }
}
