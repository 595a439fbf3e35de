//! Peppers: secret keys that go into every hash (the secret value K of
//! RFC 9106, 3.1), so that a dump of the database alone cannot be searched for
//! passwords.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use serde::Deserialize;

/// A key's version stands with each hash, in the eight bytes that Argon2's
/// strings have for it.
const MAX_VERSION: u32 = 99_999_999;

/// The peppers by version: the current one, and those of older hashes.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Form")]
pub struct Peppers {
    current: u32,
    keys: BTreeMap<u32, SecretBox<[u8; 32]>>,
}

impl Peppers {
    /// The form of their secret.
    pub const FORM: &str = r#"{"current": 1, "keys": {"1": "<32 bytes in base64url without padding>"}} \
with versions from 1 to 99999999, the current one among them"#;

    /// The version that new hashes are made with.
    pub(super) fn current(&self) -> u32 {
        self.current
    }

    /// The key of a version.
    pub(super) fn key(&self, version: u32) -> Option<&[u8; 32]> {
        self.keys.get(&version).map(ExposeSecret::expose_secret)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    current: u32,
    keys: BTreeMap<String, SecretString>,
}

impl TryFrom<Form> for Peppers {
    type Error = &'static str;

    fn try_from(form: Form) -> Result<Self, Self::Error> {
        let mut keys = BTreeMap::new();
        for (version, text) in form.keys {
            let key = URL_SAFE_NO_PAD.decode(text.expose_secret()).ok().and_then(|key| key.try_into().ok());
            let key: [u8; 32] = key.ok_or("a key is not 32 bytes in base64url")?;
            keys.insert(read_version(&version).ok_or("a version is not a number")?, SecretBox::new(Box::new(key)));
        }
        if !keys.contains_key(&form.current) {
            return Err("the current key is missing");
        }
        Ok(Self { current: form.current, keys })
    }
}

/// A version as it stands in the secret and with a hash: in one spelling only,
/// so that no two texts name one key.
pub(super) fn read_version(text: &str) -> Option<u32> {
    let version = text.parse().ok().filter(|version| (1..=MAX_VERSION).contains(version))?;
    (version.to_string() == text).then_some(version)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA";

    #[test]
    fn the_current_key_is_among_them() {
        let secret = json!({ "current": 2, "keys": { "1": KEY, "2": KEY.replace("AQ", "AA") } });
        let peppers: Peppers = serde_json::from_value(secret).expect("two keys");
        assert_eq!((peppers.current(), peppers.key(1).map(|key| key[..2].to_vec())), (2, Some(vec![1, 2])));
        assert!(peppers.key(3).is_none());
    }

    #[test]
    fn a_secret_of_another_form_is_refused() {
        for secret in [
            json!(KEY),
            json!({ "keys": { "1": KEY } }),
            json!({ "current": 1, "keys": {} }),
            json!({ "current": 2, "keys": { "1": KEY } }),
            json!({ "current": 0, "keys": { "0": KEY } }),
            json!({ "current": "1", "keys": { "1": KEY } }),
            json!({ "current": 1, "keys": { "01": KEY } }),
            json!({ "current": 1, "keys": { "1": KEY, "+2": KEY } }),
            json!({ "current": 1, "keys": { "1": KEY, "100000000": KEY } }),
            json!({ "current": 1, "keys": { "1": &KEY[1..] } }),
            json!({ "current": 1, "keys": { "1": format!("{KEY}=") } }),
            json!({ "current": 1, "keys": { "1": KEY, "2": "" } }),
            json!({ "current": 1, "keys": { "1": KEY }, "old": {} }),
        ] {
            assert!(serde_json::from_value::<Peppers>(secret.clone()).is_err(), "{secret}");
        }
    }

    #[test]
    fn their_debug_form_holds_no_key() {
        let peppers: Peppers = serde_json::from_value(json!({ "current": 1, "keys": { "1": KEY } })).expect("a key");
        assert!(!format!("{peppers:?}").contains("1, 2, 3"), "{peppers:?}");
    }
}
