//! What a provider has signed: ID tokens and logout tokens. Who signed is
//! settled here; what it says is for its reader.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::crypto;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::{Map, Value};
use shared::{
    Code, Result,
    auth::{
        ProviderKeys,
        provider::{Provider, SigningAlgorithm},
    },
};
use time::OffsetDateTime;

use crate::refused::Refused;

/// The longest token that is looked at, in bytes: groups may stand in it.
const LONGEST: usize = 16 * 1024;

/// The header parameters that matter. `crit` names extensions, of which we know
/// none, and `b64` (RFC 7797) may stand in no JWT; others are ignored.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
    #[serde(default, deserialize_with = "present")]
    b64: bool,
}

fn present<'de, D: Deserializer<'de>>(reader: D) -> Result<bool, D::Error> {
    Value::deserialize(reader).map(|_| true)
}

/// A token whose signature is good.
pub(crate) struct Signed {
    pub(crate) algorithm: SigningAlgorithm,
    pub(crate) typ: Option<String>,
    pub(crate) claims: Claims,
}

impl Signed {
    /// Reads a token that `provider` signed by an algorithm that it may use.
    ///
    /// # Errors
    /// `AUTH_010`; `SYS_003` where its keys cannot be had.
    pub(crate) async fn read(token: &str, provider: &Provider, keys: &ProviderKeys) -> Result<Self> {
        let formless = || Refused::Token("the token is none that we can read");
        if token.len() > LONGEST {
            return Err(formless().into());
        }
        let (message, signature) = token.rsplit_once('.').ok_or_else(formless)?;
        let (header, claims) = message.split_once('.').ok_or_else(formless)?;
        let decoded = |part| URL_SAFE_NO_PAD.decode(part).map_err(|_| formless());
        let header: Header = serde_json::from_slice(&decoded(header)?).map_err(|_| formless())?;
        let allowed = provider.allowed_algorithms.iter().find(|allowed| allowed.as_str() == header.alg);
        let algorithm = *allowed.ok_or(Refused::Token("the token is signed by an algorithm that is not allowed"))?;
        if header.crit || header.b64 {
            return Err(formless().into());
        }
        let key =
            keys.key(&provider.issuer, &header.kid, algorithm.into()).await.map_err(|error| match error.code() {
                Code::InvalidToken => {
                    Refused::Token("the token is signed by a key that the provider does not have").into()
                }
                _ => error,
            })?;
        if !crypto::verify(signature, message.as_bytes(), &key, algorithm.into()).unwrap_or(false) {
            return Err(Refused::Token("the token's signature is wrong").into());
        }
        let claims = serde_json::from_slice(&decoded(claims)?).map_err(|_| formless())?;
        Ok(Self { algorithm, typ: header.typ, claims })
    }

    /// The time of a token of these moments: issued at most `age` ago and not
    /// in the future (the clocks may stand a minute apart), and not over.
    ///
    /// # Errors
    /// `AUTH_010`.
    pub(crate) fn issued_within(&self, age: time::Duration, now: OffsetDateTime) -> Result<OffsetDateTime> {
        const SKEW: time::Duration = time::Duration::minutes(1);
        let time =
            |name| self.claims.time(name).ok_or(Refused::Token("the token does not say when it was issued, or ends"));
        let (issued, ends) = (time("iat")?, time("exp")?);
        let from_now =
            self.claims.0.get("nbf").is_none() || self.claims.time("nbf").is_some_and(|nbf| nbf <= now + SKEW);
        if issued > now + SKEW || issued < now - age - SKEW || ends <= now || !from_now {
            return Err(Refused::Token("the token is not of this time").into());
        }
        Ok(issued)
    }

    /// That it is for `client` and by `issuer`, letter by letter.
    ///
    /// # Errors
    /// `AUTH_010`.
    pub(crate) fn is_between(&self, issuer: &str, client: &str) -> Result<()> {
        let Self { claims, .. } = self;
        if claims.text("iss") != Some(issuer) {
            return Err(Refused::Token("the token is another issuer's").into());
        }
        let (named, alone) = match claims.0.get("aud") {
            Some(Value::String(one)) => (one == client, true),
            Some(Value::Array(several)) => {
                (several.iter().all(Value::is_string) && several.iter().any(|one| one == client), several.len() == 1)
            }
            _ => (false, false),
        };
        // Whom it was given to, where it is for several (OpenID Connect Core 1.0, 3.1.3.7).
        let party = match claims.0.get("azp") {
            None => alone,
            Some(party) => party == client,
        };
        if named && party { Ok(()) } else { Err(Refused::Token("the token is for another client").into()) }
    }
}

/// Claims, each of them once.
#[derive(Debug, Default)]
pub(crate) struct Claims(pub(crate) Map<String, Value>);

impl Claims {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// A text of 1 to 255 characters that Postgres takes.
    pub(crate) fn id(&self, name: &str) -> Option<&str> {
        let fits = |text: &&str| (1..=255).contains(&text.chars().count()) && !text.contains('\0');
        self.text(name).filter(fits)
    }

    pub(crate) fn time(&self, name: &str) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp(self.0.get(name)?.as_i64()?).ok()
    }
}

/// By hand, since a map would take the last one of two equal names.
impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Once;

        impl<'de> Visitor<'de> for Once {
            type Value = Claims;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("claims")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Claims, A::Error> {
                let mut claims = Map::new();
                while let Some((name, value)) = entries.next_entry::<String, Value>()? {
                    if claims.insert(name, value).is_some() {
                        return Err(A::Error::custom("a claim stands twice"));
                    }
                }
                Ok(Claims(claims))
            }
        }

        reader.deserialize_map(Once)
    }
}
