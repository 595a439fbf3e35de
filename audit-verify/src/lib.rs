//! Verifies an export of an audit trail against signed checkpoints, with
//! nothing but public keys: no database, no network. docs/AUDIT.md has the
//! canonical forms; `GET /audit/verify` and the signing of checkpoints hash
//! with this same code.

mod anchors;
mod chain;
mod checkpoint;
mod examination;
mod field;
mod form;
pub mod hex;
pub mod instant;
mod keys;
mod line;

pub use anchors::{Anchors, Untrusted};
pub use chain::{BadSeq, Chain};
pub use checkpoint::{Checkpoint, SignedCheckpoint};
pub use examination::{Bounds, Examination, MOST_BYTES_A_LINE, Verdict, Why};
pub use form::{Form, Hash, NOTHING};
pub use keys::{Key, Keys};
pub use line::Line;
