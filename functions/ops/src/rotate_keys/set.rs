//! A key set as it stands in its secret, with the state of its rotation.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

/// A JWK Set (RFC 7517, 5). Members that we do not know stay as they are.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Set {
    pub(super) keys: Vec<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rotation: Option<Rotation>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// How far a rotation has come. It stands in the public set, or in the one set
/// of symmetric keys; readers of the keys ignore it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rotation {
    /// The id of the key that comes.
    pub(super) next: String,
    /// Under what KMS knows it, if it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) kms_key_id: Option<String>,
    /// Since when it is published.
    #[serde(with = "time::serde::rfc3339")]
    pub(super) published_at: OffsetDateTime,
    /// Since when it signs.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    pub(super) switched_at: Option<OffsetDateTime>,
}

impl Set {
    /// Reads a set whose keys are all good.
    pub(super) fn read(id: &str, text: &SecretString) -> Result<Self, String> {
        shared::auth::published_keys(text).map_err(|fault| format!("the secret {id} {fault}"))?;
        serde_json::from_str(text.expose_secret()).map_err(|_| format!("the secret {id} has a rotation that is none"))
    }

    pub(super) fn to_text(&self) -> Result<SecretString, String> {
        serde_json::to_string(self).map(SecretString::from).map_err(|error| error.to_string())
    }

    /// The ids of its keys, in order.
    pub(super) fn kids(&self) -> Vec<&str> {
        self.keys.iter().map(|key| key["kid"].as_str().unwrap_or_default()).collect()
    }

    /// Keeps the one key with this id.
    pub(super) fn keep(&mut self, kid: &str) {
        self.keys.retain(|key| key["kid"] == kid);
    }
}
