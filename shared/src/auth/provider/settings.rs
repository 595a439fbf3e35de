//! A provider's settings, each checked once, on its way in or out of its row.

use jsonwebtoken::Algorithm;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::text::VisibleAscii;

/// The name of a claim: 1 to 100 visible ASCII characters.
pub type ClaimName = VisibleAscii<100>;
/// Our id at the provider: 1 to 200 visible ASCII characters (RFC 6749, A.1).
pub type ClientId = VisibleAscii<200>;

/// Whom a provider's tokens may be for: 1 to 20 different texts of 1 to 500
/// characters. A token that names one of them is for us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Audiences(Vec<String>);

impl TryFrom<Vec<String>> for Audiences {
    type Error = &'static str;

    fn try_from(texts: Vec<String>) -> Result<Self, Self::Error> {
        let fits = |text: &String| (1..=500).contains(&text.chars().count()) && !text.contains('\0');
        if !(1..=20).contains(&texts.len()) || !texts.iter().all(fits) || !are_different(&texts) {
            return Err("must be 1 to 20 different texts of 1 to 500 characters");
        }
        Ok(Self(texts))
    }
}

impl std::ops::Deref for Audiences {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.0
    }
}

/// How a provider may sign (RFC 7518, 3.1; RFC 8037). There is no other member:
/// what is symmetric or unsigned cannot be written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// Ed25519.
    EdDSA,
}

impl SigningAlgorithm {
    /// Every one of them.
    pub const ALL: [Self; 4] = [Self::RS256, Self::PS256, Self::ES256, Self::EdDSA];

    /// Its name in tokens and rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::PS256 => "PS256",
            Self::ES256 => "ES256",
            Self::EdDSA => "EdDSA",
        }
    }
}

impl From<SigningAlgorithm> for Algorithm {
    fn from(algorithm: SigningAlgorithm) -> Self {
        match algorithm {
            SigningAlgorithm::RS256 => Self::RS256,
            SigningAlgorithm::PS256 => Self::PS256,
            SigningAlgorithm::ES256 => Self::ES256,
            SigningAlgorithm::EdDSA => Self::EdDSA,
        }
    }
}

impl TryFrom<String> for SigningAlgorithm {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let found = Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name);
        found.ok_or("must be RS256, PS256, ES256 or EdDSA")
    }
}

/// The algorithms that a provider's tokens may be signed with: one at least,
/// each once; all of them where nothing is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<SigningAlgorithm>")]
pub struct AllowedAlgorithms(Vec<SigningAlgorithm>);

impl AllowedAlgorithms {
    /// Their names, for a row.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|algorithm| algorithm.as_str().to_owned()).collect()
    }
}

impl Default for AllowedAlgorithms {
    fn default() -> Self {
        Self(SigningAlgorithm::ALL.to_vec())
    }
}

impl TryFrom<Vec<SigningAlgorithm>> for AllowedAlgorithms {
    type Error = &'static str;

    fn try_from(algorithms: Vec<SigningAlgorithm>) -> Result<Self, Self::Error> {
        if algorithms.is_empty() || !are_different(&algorithms) {
            return Err("must name one algorithm at least, and each once");
        }
        Ok(Self(algorithms))
    }
}

impl std::ops::Deref for AllowedAlgorithms {
    type Target = [SigningAlgorithm];

    fn deref(&self) -> &[SigningAlgorithm] {
        &self.0
    }
}

/// Our secret at a provider, 1 to 1000 characters. It is shown to nobody, and
/// its own `Debug` does not show it either.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct ClientSecret(SecretString);

impl TryFrom<String> for ClientSecret {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = (1..=1000).contains(&text.chars().count()) && !text.contains('\0');
        let secret = SecretString::from(text);
        if fits { Ok(Self(secret)) } else { Err("must have 1 to 1000 characters and no NUL") }
    }
}

impl ExposeSecret<str> for ClientSecret {
    fn expose_secret(&self) -> &str {
        self.0.expose_secret()
    }
}

fn are_different<T: PartialEq>(items: &[T]) -> bool {
    items.iter().enumerate().all(|(index, item)| !items[..index].contains(item))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, String> {
        serde_json::from_str(&value.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn audiences_are_one_to_twenty_different_texts() {
        let many = |number: usize| json!((0..number).map(|number| number.to_string()).collect::<Vec<_>>());
        for good in [json!(["api://tenantry"]), json!(["a".repeat(500)]), many(20)] {
            assert!(read::<Audiences>(&good).is_ok(), "{good}");
        }
        for bad in [
            json!([]),
            json!([""]),
            json!(["a", "a"]),
            json!(["a".repeat(501)]),
            json!(["\0"]),
            json!([7]),
            json!("a"),
            json!(null),
            many(21),
        ] {
            assert!(read::<Audiences>(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_algorithm_is_symmetric_none_or_named_twice() {
        assert_eq!(AllowedAlgorithms::default().names(), ["RS256", "PS256", "ES256", "EdDSA"]);
        let two = read::<AllowedAlgorithms>(&json!(["EdDSA", "RS256"])).expect("two algorithms");
        assert_eq!(two.names(), ["EdDSA", "RS256"]);
        for bad in [
            json!([]),
            json!(["HS256"]),
            json!(["none"]),
            json!(["RS256", "HS256"]),
            json!(["rs256"]),
            json!(["RS256", "RS256"]),
            json!(["RS512"]),
            json!("RS256"),
        ] {
            assert!(read::<AllowedAlgorithms>(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_client_secret_is_bounded_and_never_shown() {
        let secret = read::<ClientSecret>(&json!("hunter2")).expect("a secret");
        assert_eq!(secret.expose_secret(), "hunter2");
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert!(read::<ClientSecret>(&json!("ä".repeat(1000))).is_ok());
        for bad in ["", "sec\0ret", &"s".repeat(1001)] {
            let error = read::<ClientSecret>(&json!(bad)).expect_err("no secret");
            assert!(error.starts_with("must have 1 to 1000 characters"), "{error}");
        }
    }
}
