//! A line of `GET /audit/export`, read without a copy of what it holds.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use serde_json::value::RawValue;

use crate::{Form, hex, instant};

/// A record as it stands in an export: every field, and no other.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line<'a> {
    version: i16,
    #[serde(borrow)]
    tenant_id: Text<'a>,
    seq: i64,
    #[serde(borrow)]
    at: Text<'a>,
    #[serde(borrow)]
    action: Text<'a>,
    #[serde(borrow)]
    outcome: Text<'a>,
    #[serde(borrow, deserialize_with = "there")]
    reason: Option<Text<'a>>,
    #[serde(borrow, deserialize_with = "there")]
    actor_id: Option<Text<'a>>,
    #[serde(borrow, deserialize_with = "there")]
    session_id: Option<Text<'a>>,
    #[serde(borrow, deserialize_with = "there")]
    object_id: Option<Text<'a>>,
    #[serde(borrow, deserialize_with = "there")]
    source_address: Option<Text<'a>>,
    #[serde(borrow, deserialize_with = "there")]
    request_id: Option<Text<'a>>,
    /// Byte for byte, since it was hashed so.
    #[serde(borrow, deserialize_with = "there")]
    details: Option<&'a RawValue>,
    #[serde(borrow)]
    prev_hash: Text<'a>,
    #[serde(borrow)]
    hash: Text<'a>,
}

impl<'a> Line<'a> {
    /// Reads a line; none where it is no record.
    #[must_use]
    pub fn read(line: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }

    /// As it is hashed. Details that are no object were not written by us, and
    /// an export shows them as a text.
    #[must_use]
    pub fn form(&self) -> Form<'_> {
        let details = self.details.map(RawValue::get);
        let is_object = details.is_none_or(|details| details.starts_with('{'));
        Form {
            version: self.version,
            tenant_id: self.tenant_id.as_str(),
            seq: self.seq,
            at_micros: instant::parse(self.at.as_str()),
            action: self.action.as_str(),
            outcome: self.outcome.as_str(),
            reason: self.reason.as_ref().map(Text::as_str),
            actor_id: self.actor_id.as_ref().map(Text::as_str),
            session_id: self.session_id.as_ref().map(Text::as_str),
            object_id: self.object_id.as_ref().map(Text::as_str),
            source_address: self.source_address.as_ref().map(Text::as_str),
            request_id: self.request_id.as_ref().map(Text::as_str),
            details,
            prev_hash: hex::decode(self.prev_hash.as_str()),
            hash: hex::decode(self.hash.as_str()).filter(|_| is_object),
        }
    }
}

/// A field that may be null but not absent.
fn there<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

/// A text, borrowed from the line where it has no escapes.
#[derive(Debug)]
struct Text<'a>(Cow<'a, str>);

impl Text<'_> {
    fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Cow<'de, str>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        deserializer.deserialize_str(Reader).map(Text)
    }
}
