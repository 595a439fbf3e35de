//! One audit record, as a line of an export has it.

use std::{borrow::Cow, fmt};

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Visitor};
use serde_json::value::RawValue;

use crate::{Hash, field};

/// A text that is borrowed from the line where it has no escapes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

/// A record. The fields' order is that of an export's line. UUIDs are in
/// lower-case text form.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "docs/AUDIT.md describes the fields")]
pub struct Record<'a> {
    pub version: i16,
    #[serde(borrow)]
    pub tenant_id: Text<'a>,
    pub seq: u64,
    pub at: At,
    #[serde(borrow)]
    pub action: Text<'a>,
    #[serde(borrow)]
    pub outcome: Text<'a>,
    #[serde(borrow)]
    pub reason: Option<Text<'a>>,
    #[serde(borrow)]
    pub actor_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub session_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub object_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub source_address: Option<Text<'a>>,
    #[serde(borrow)]
    pub request_id: Option<Text<'a>>,
    /// Kept byte for byte: it is hashed as the text that it is.
    #[serde(borrow)]
    pub details: Option<&'a RawValue>,
    pub prev_hash: Hash,
    pub hash: Hash,
}

impl Record<'_> {
    /// What `hash` must be; none for a version that is not known, or one that
    /// has no details and yet brings some. `form` is scratch space.
    #[must_use]
    pub fn expected_hash(&self, form: &mut Vec<u8>) -> Option<Hash> {
        let version = match (self.version, self.details) {
            (1, None) => "1",
            (2, _) => "2",
            _ => return None,
        };
        let optional = |text: &Option<Text<'_>>, form: &mut Vec<u8>| field(form, text.as_ref().map(|text| &*text.0));
        form.clear();
        form.extend_from_slice(&self.prev_hash.0);
        field(form, Some(version));
        field(form, Some(&self.tenant_id.0));
        decimal(form, i128::from(self.seq));
        decimal(form, i128::from(self.at.0));
        field(form, Some(&self.action.0));
        field(form, Some(&self.outcome.0));
        for text in
            [&self.reason, &self.actor_id, &self.session_id, &self.object_id, &self.source_address, &self.request_id]
        {
            optional(text, form);
        }
        if self.version == 2 {
            field(form, self.details.map(RawValue::get));
        }
        digest(&SHA256, form).as_ref().try_into().ok().map(Hash)
    }
}

/// A number as a field, in decimal.
pub(crate) fn decimal(form: &mut Vec<u8>, number: i128) {
    use std::io::Write as _;
    let at = form.len();
    form.extend_from_slice(&[0; 4]);
    // Writing to a vector does not fail.
    let _ = write!(form, "{number}");
    let length = u32::try_from(form.len() - at - 4).unwrap_or_default();
    form[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

/// Microseconds since 1970; as text `2026-11-21T10:00:00.123456Z`, exactly so,
/// from the year 0000 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct At(pub i64);

const DAY: i64 = 86_400_000_000;

impl At {
    /// Reads the text form; none where it is another, or no moment.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        let bytes: &[u8; 27] = text.as_bytes().try_into().ok()?;
        let number = |from: usize, to: usize| {
            bytes[from..to]
                .iter()
                .try_fold(0_i64, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
        };
        let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (26, b'Z')];
        if marks.iter().any(|(at, mark)| bytes[*at] != *mark) {
            return None;
        }
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second, micros) = (number(11, 13)?, number(14, 16)?, number(17, 19)?, number(20, 26)?);
        let days = days(year, month, day);
        let is_a_moment = hour < 24 && minute < 60 && second < 60 && date(days) == (year, month, day);
        is_a_moment.then(|| Self(days * DAY + ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros))
    }
}

/// Days since 1970 of a day in the Gregorian calendar, the years from March to
/// February: a leap day is a year's last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

/// The day that is so many days after 1970 began.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year + era * 400 + i64::from(month <= 2), month, of_year - (153 * from_march + 2) / 5 + 1)
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.0.div_euclid(DAY));
        let rest = self.0.rem_euclid(DAY);
        let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Moment;
        impl Visitor<'_> for Moment {
            type Value = At;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a moment such as 2026-11-21T10:00:00.123456Z")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<At, E> {
                At::of_text(text).ok_or_else(|| E::custom("not a moment such as 2026-11-21T10:00:00.123456Z"))
            }
        }
        deserializer.deserialize_str(Moment)
    }
}

#[cfg(test)]
mod tests {
    use super::At;

    #[test]
    fn moments_are_read_and_written_alike() {
        let known = [
            ("1970-01-01T00:00:00.000000Z", 0),
            ("2026-11-21T10:00:00.123456Z", 1_795_255_200_123_456),
            ("2000-02-29T23:59:59.999999Z", 951_868_799_999_999),
            ("1969-12-31T23:59:59.999999Z", -1),
        ];
        for (text, micros) in known {
            assert_eq!((At::of_text(text), At(micros).to_string().as_str()), (Some(At(micros)), text));
        }
        for wrong in ["2026-02-29T00:00:00.000000Z", "2026-11-21T24:00:00.000000Z", "2026-11-21T10:00:00Z", ""] {
            assert_eq!(At::of_text(wrong), None, "{wrong}");
        }
    }
}
