//! A record's place in its chain.

use serde::Deserialize;
use uuid::Uuid;

/// A number from 1 on; 1 where none is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Seq(pub(crate) i64);

impl Default for Seq {
    fn default() -> Self {
        Self(1)
    }
}

impl TryFrom<String> for Seq {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().ok().filter(|seq| *seq >= 1).map(Self).ok_or("must be a number from 1 on")
    }
}

/// A seq as the id that a cursor points behind.
pub(crate) fn id(seq: i64) -> Uuid {
    Uuid::from_u64_pair(0, seq.unsigned_abs())
}

/// The seq of such an id.
pub(crate) fn seq(id: Uuid) -> i64 {
    i64::try_from(id.as_u64_pair().1).unwrap_or(i64::MAX)
}
