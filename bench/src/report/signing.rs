//! The table of signing keys.

use std::time::Duration;

use serde_json::json;

use super::{Report, dash, us};
use crate::stats::Times;
use crate::table::{ms, number};

impl Report {
    /// Adds a kind of key, and its signature by itself where it signs here.
    pub(crate) fn signer(&mut self, key: &str, times: &Times, alone: Option<Duration>) {
        let (count, p50, p95) = (times.count(), times.median(), times.percentile(95));
        let alone_us = alone.map(|alone| alone.as_secs_f64() * 1e6);
        let alone_cell = alone_us.map_or_else(dash, |us| number(us, 1));
        self.signing.row([key.to_owned(), count.to_string(), ms(p50), ms(p95), alone_cell]);
        let row =
            json!({ "key": key, "samples": count, "p50_us": us(p50), "p95_us": us(p95), "signature_us": alone_us });
        self.record("signing", row);
    }
}
