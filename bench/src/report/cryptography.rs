//! The tables of what signatures cost.

use std::time::Duration;

use serde_json::json;

use super::{Report, dash, us};
use crate::stats::Times;
use crate::table::{ms, number};

/// What a signature is a part of.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    /// A refresh, by what signs its access token.
    Signing,
    /// A request, by whose token it bears.
    Checking,
}

impl Report {
    /// Adds requests with a kind of key or token, and its signature by itself
    /// where that could be timed.
    pub(crate) fn cryptography(&mut self, part: Part, kind: &str, times: &Times, alone: Option<Duration>) {
        let (count, p50, p95) = (times.count(), times.median(), times.percentile(95));
        let alone_us = alone.map(us);
        let alone_cell = alone_us.map_or_else(dash, |us| number(us, 1));
        let (name, table) = match part {
            Part::Signing => ("signing", &mut self.signing),
            Part::Checking => ("checking", &mut self.checking),
        };
        table.row([kind.to_owned(), count.to_string(), ms(p50), ms(p95), alone_cell]);
        let row = json!({ "kind": kind, "samples": count, "p50_us": us(p50), "p95_us": us(p95), "alone_us": alone_us });
        self.record(name, row);
    }
}
