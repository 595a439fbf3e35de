//! One record of the trail, in the one form in which it is shown and exported.

use std::fmt::Write as _;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use uuid::Uuid;

/// A record: its fields in the order of the export, which verifiers read.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// The canonical form that was hashed.
    pub version: i16,
    /// Whose it is.
    pub tenant_id: Uuid,
    /// Its place in the chain.
    pub seq: i64,
    /// RFC 3339 with six digits, written by Postgres: a time that was tampered
    /// with may be one that no other type holds.
    pub at: String,
    /// What was attempted.
    pub action: String,
    /// How it ended.
    pub outcome: String,
    /// Why it did not succeed: an error code.
    pub reason: Option<String>,
    /// The user.
    pub actor_id: Option<Uuid>,
    /// The session.
    pub session_id: Option<Uuid>,
    /// The thing that it was done to.
    pub object_id: Option<Uuid>,
    /// From where.
    pub source_address: Option<String>,
    /// Under which request.
    pub request_id: Option<String>,
    /// The text as it was hashed, byte for byte.
    #[serde(serialize_with = "raw")]
    pub details: Option<String>,
    /// The hash of the record before.
    #[serde(serialize_with = "hex")]
    pub prev_hash: Vec<u8>,
    /// Its hash.
    #[serde(serialize_with = "hex")]
    pub hash: Vec<u8>,
}

/// What is no JSON, or would break the line, was not written by us: it is shown
/// as a text, which no verifier takes for the object that was hashed.
#[expect(clippy::ref_option, reason = "serde calls it so")]
fn raw<S: Serializer>(details: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    let Some(text) = details else { return serializer.serialize_none() };
    match serde_json::from_str::<&RawValue>(text) {
        Ok(object) if !text.contains(['\n', '\r']) => object.serialize(serializer),
        _ => serializer.serialize_str(text),
    }
}

/// Lower-case hexadecimal text, as hashes are shown.
///
/// # Errors
/// Those of the serializer.
pub fn hex<S: Serializer>(hash: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    let text = hash.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    serializer.serialize_str(&text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record() -> Record {
        Record {
            version: 2,
            tenant_id: Uuid::nil(),
            seq: 7,
            at: "2026-11-21T10:00:00.100000Z".into(),
            action: "auth.logout".into(),
            outcome: "success".into(),
            reason: None,
            actor_id: Some(Uuid::max()),
            session_id: None,
            object_id: None,
            source_address: Some("203.0.113.7".into()),
            request_id: Some("trace-1".into()),
            details: Some(r#"{"scope": "local","n":1.0}"#.into()),
            prev_hash: vec![0; 2],
            hash: vec![0xab, 0xcd],
        }
    }

    #[test]
    fn a_record_has_its_fields_in_order_and_its_details_byte_for_byte() {
        let record = record();
        assert_eq!(
            serde_json::to_string(&record).unwrap(),
            concat!(
                r#"{"version":2,"tenant_id":"00000000-0000-0000-0000-000000000000","seq":7,"#,
                r#""at":"2026-11-21T10:00:00.100000Z","action":"auth.logout","outcome":"success","reason":null,"#,
                r#""actor_id":"ffffffff-ffff-ffff-ffff-ffffffffffff","session_id":null,"object_id":null,"#,
                r#""source_address":"203.0.113.7","request_id":"trace-1","details":{"scope": "local","n":1.0},"#,
                r#""prev_hash":"0000","hash":"abcd"}"#,
            )
        );
        assert_eq!(json!(Record { details: None, ..record })["details"], json!(null));
    }

    #[test]
    fn l5_details_that_were_tampered_with_stay_on_their_line() {
        for details in ["{\"a\":1}\n{", "{\"a\":\n1}", "{}\r", "\u{1b}[31m", "{\"a\":1", "", "x"] {
            let text = serde_json::to_string(&Record { details: Some(details.into()), ..record() }).unwrap();
            assert!(!text.contains(['\n', '\r', '\u{1b}']), "{text}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap()["details"], details);
        }
    }
}
