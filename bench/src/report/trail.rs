//! The tables of audit records.

use serde_json::json;

use super::{Report, dash, ratio_cells, ratio_json, us};
use crate::stats::{Ratio, Times};
use crate::table::{ms, number};

impl Report {
    /// Adds a write with its record, and the same without.
    pub(crate) fn record_cost(&mut self, audited: &Times, bare: &Times, ratio: Ratio) {
        let (middle, spread) = ratio_cells(Some(ratio));
        for (write, times, ratio) in [("audited", audited, [middle, spread]), ("bare", bare, [dash(), String::new()])] {
            let cells = [write.to_owned(), times.count().to_string(), ms(times.median()), ms(times.percentile(95))];
            self.trail.row(cells.into_iter().chain(ratio));
        }
        self.record(
            "trail",
            json!({
                "audited_p50_us": us(audited.median()), "bare_p50_us": us(bare.median()), "ratio": ratio_json(ratio),
            }),
        );
    }

    /// Adds how many audited writes a second so many tenants took.
    pub(crate) fn written(&mut self, tenants: usize, connections: usize, per_second: f64) {
        self.written.row([tenants.to_string(), connections.to_string(), number(per_second, 0)]);
        let row = json!({ "tenants": tenants, "connections": connections, "writes_per_second": per_second });
        self.record("written", row);
    }
}
