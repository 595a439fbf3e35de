//! A provider's token, taken apart: nothing of it is believed yet.

use std::{collections::HashMap, fmt};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    auth::{
        content::{Header, Unverified},
        provider::{ClaimName, SigningAlgorithm},
    },
    error::{Code, Result},
};

/// How many claims are looked at that might name a tenant.
const MOST_CANDIDATES: usize = 32;

/// A token in form: three parts, a header with `alg` and `kid`, and claims that
/// are an object in which no name stands twice, in any spelling.
pub(super) struct Presented<'a> {
    pub(super) header: Header,
    pub(super) claims: Claims,
    /// What is signed.
    pub(super) message: &'a str,
    /// In base64url.
    pub(super) signature: &'a str,
}

impl<'a> Presented<'a> {
    pub(super) fn read(token: &'a str) -> Option<Self> {
        let (message, signature) = token.rsplit_once('.').filter(|_| Unverified::fits(token))?;
        let (header, claims) = message.split_once('.')?;
        let part = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
        let header = serde_json::from_slice(&part(header)?).ok()?;
        let claims = serde_json::from_slice(&part(claims)?).ok()?;
        part(signature).filter(|bytes| !bytes.is_empty())?;
        Some(Self { header, claims, message, signature })
    }

    /// What it says that it is signed by.
    ///
    /// # Errors
    /// `AUTH_001` where that is none of these.
    pub(super) fn algorithm(&self, allowed: &[SigningAlgorithm]) -> Result<SigningAlgorithm> {
        let algorithm = SigningAlgorithm::try_from(self.header.alg.clone()).ok();
        algorithm.filter(|algorithm| allowed.contains(algorithm)).ok_or_else(|| Code::InvalidToken.into())
    }
}

/// A token's claims, each name once at the top level.
pub(super) struct Claims(HashMap<String, Value>);

impl Claims {
    /// A claim, null included.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A claim that is text of 1 to `longest` characters which Postgres can take.
    pub(super) fn text(&self, name: &str, longest: usize) -> Option<&str> {
        let text = self.get(name)?.as_str()?;
        ((1..=longest).contains(&text.chars().count()) && !text.contains('\0')).then_some(text)
    }

    /// The claims that might name a tenant, by their form: which one counts is
    /// the provider's to say, whom nobody knows yet.
    pub(super) fn candidates(&self) -> (Vec<String>, Vec<Uuid>) {
        let mut found: Vec<_> = self
            .0
            .iter()
            .filter_map(|(name, value)| Some((name, Uuid::try_parse(value.as_str()?).ok()?)))
            .filter(|(name, _)| ClaimName::try_from((*name).clone()).is_ok())
            .collect();
        // The usual ones first, the others in one order always.
        found.sort_by_key(|(name, _)| (!matches!(name.as_str(), "tenant_id" | "organization_id"), *name));
        found.into_iter().take(MOST_CANDIDATES).map(|(name, id)| (name.clone(), id)).unzip()
    }
}

/// By hand, since a derived map would take the last one of two equal names.
impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> std::result::Result<Self, D::Error> {
        struct Names;

        impl<'de> Visitor<'de> for Names {
            type Value = Claims;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("claims")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> std::result::Result<Claims, A::Error> {
                let mut claims = HashMap::new();
                while let Some((name, value)) = entries.next_entry::<String, Value>()? {
                    if claims.insert(name, value).is_some() {
                        return Err(A::Error::custom("a name stands twice"));
                    }
                }
                Ok(Claims(claims))
            }
        }

        reader.deserialize_map(Names)
    }
}

/// Who issued `token`, as it says itself; none where it cannot be read.
pub(super) fn issuer(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Issued {
        iss: String,
    }

    let (message, _) = token.rsplit_once('.').filter(|_| Unverified::fits(token))?;
    let (_, claims) = message.split_once('.')?;
    let issued: Issued = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    Some(issued.iss)
}
