//! Proves an audit trail from its export: no database, no AWS, no trust in
//! whoever made the export. docs/AUDIT.md says what is proven and what is not.

mod chain;
mod checkpoint;
mod export;
mod hash;
mod keys;
mod record;

pub use chain::{Chain, Fault};
pub use checkpoint::{Anchors, Checkpoint, CheckpointFault};
pub use export::{Found, verify};
pub use hash::Hash;
pub use keys::{KeyFault, Keys};
pub use record::{At, Record, Text};

/// Appends one field in the canonical form of records and checkpoints: its
/// length in bytes as a big-endian 32-bit integer, then its UTF-8 bytes; what
/// is absent is the length 0xFFFFFFFF alone.
fn field(form: &mut Vec<u8>, value: Option<&str>) {
    // No field is of 4 GiB: a line is a mebibyte at most, a column a gibibyte.
    let length = value.map_or(u32::MAX, |value| u32::try_from(value.len()).unwrap_or(u32::MAX - 1));
    form.extend_from_slice(&length.to_be_bytes());
    form.extend_from_slice(value.unwrap_or_default().as_bytes());
}
