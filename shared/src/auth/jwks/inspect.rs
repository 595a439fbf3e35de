//! A look at a provider for those who configure it: what its configuration and
//! its keys are worth, past every cache and into none. Whatever is wrong with
//! the provider is a finding, not an error.

use std::{collections::HashSet, time::Duration};

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Discovery, discovery_url,
    filter::{JwkSet, Keys, is_kid},
};
use crate::{
    auth::provider::SigningAlgorithm,
    fetch::{Fetch, FetchError},
};

/// How long the keys may take after the configuration, which may take
/// [`crate::fetch::TIME_LIMIT`]: both fit into a request's deadline.
const KEYS_TIME_LIMIT: Duration = Duration::from_secs(3);
/// How many keys are told of.
const MOST: usize = 100;

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// Whether the configuration states the issuer that was asked for; none
    /// where there is no configuration.
    pub issuer_matches: Option<bool>,
    /// Where the keys stand.
    pub jwks_uri: Option<String>,
    /// Each key of the set.
    pub keys: Vec<KeyFound>,
    /// What is wrong, in our words; nothing where tokens can be checked.
    pub findings: Vec<Finding>,
}

/// A key of the provider.
#[derive(Debug, Clone, Serialize)]
pub struct KeyFound {
    /// Its name.
    pub kid: Option<String>,
    /// Its type.
    pub kty: Option<String>,
    /// The algorithm that it is for, where it says so.
    pub alg: Option<String>,
    /// Whether a token may be signed with it.
    pub usable: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// With what.
    pub at: Subject,
    /// A sentence of ours.
    pub message: String,
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// `/.well-known/openid-configuration`.
    Configuration,
    /// The issuer that it states.
    Issuer,
    /// The key set.
    Keys,
}

/// A set whose keys may be anything.
#[derive(Deserialize)]
struct AnyKeys {
    keys: Vec<Value>,
}

/// Fetches the configuration and the keys of `issuer`, and judges each key as
/// the check of tokens does.
pub async fn inspect(fetch: &Fetch, issuer: &str, allowed: &[SigningAlgorithm]) -> Inspection {
    let mut found = Inspection { issuer_matches: None, jwks_uri: None, keys: Vec::new(), findings: Vec::new() };
    let discovery: Discovery = match fetch.get(&discovery_url(issuer)).await {
        Ok(discovery) => discovery,
        Err(error) => return found.but(Subject::Configuration, in_our_words("The provider's configuration", error)),
    };
    let matches = discovery.issuer == issuer;
    found.issuer_matches = Some(matches);
    found.jwks_uri = shown(&discovery.jwks_uri, 2048);
    if !matches {
        let stated = shown(&discovery.issuer, 500).map(|stated| format!(", but {stated}")).unwrap_or_default();
        return found.but(Subject::Issuer, format!("The configuration does not state this issuer{stated}."));
    }
    let keys = tokio::time::timeout(KEYS_TIME_LIMIT, fetch.get::<AnyKeys>(&discovery.jwks_uri)).await;
    match keys.unwrap_or(Err(FetchError::TimedOut)) {
        Ok(AnyKeys { keys }) => found.with_keys(&keys, allowed),
        Err(error) => found.but(Subject::Keys, in_our_words("The provider's key set", error)),
    }
}

impl Inspection {
    fn but(mut self, at: Subject, message: String) -> Self {
        self.findings.push(Finding { at, message });
        self
    }

    fn with_keys(mut self, keys: &[Value], allowed: &[SigningAlgorithm]) -> Self {
        self.keys = judged(keys, allowed);
        if keys.len() > MOST {
            self = self.but(Subject::Keys, "Keys after the hundredth are not looked at.".to_owned());
        }
        if !self.keys.iter().any(|key| key.usable) {
            self = self.but(Subject::Keys, "No key is usable: no token of this provider can be checked.".to_owned());
        }
        self
    }
}

fn judged(keys: &[Value], allowed: &[SigningAlgorithm]) -> Vec<KeyFound> {
    let usable = set_of(keys);
    let mut names = HashSet::new();
    let kids = keys.iter().filter_map(|key| key.get("kid")?.as_str());
    let twice: HashSet<&str> = kids.filter(|kid| !names.insert(*kid)).collect();
    let found = keys.iter().take(MOST).map(|key| {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        let fits = |kid| allowed.iter().any(|algorithm| usable.get(kid, (*algorithm).into()).is_some());
        let is_usable = text("kid").is_some_and(fits);
        KeyFound {
            kid: text("kid").filter(|kid| is_kid(kid)).map(ToOwned::to_owned),
            kty: text("kty").and_then(|kty| shown(kty, 20)),
            alg: text("alg").and_then(|alg| shown(alg, 20)),
            usable: is_usable,
            reason: (!is_usable).then(|| reason(key, &twice)),
        }
    });
    found.collect()
}

/// Why a key is not usable: the first of what may be the matter.
fn reason(key: &Value, twice: &HashSet<&str>) -> &'static str {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    let Some(kid) = text("kid").filter(|kid| is_kid(kid)) else {
        return "has no kid of 1 to 256 bytes without control characters";
    };
    let verifies = |operations: &Value| operations.as_array().is_some_and(|list| list.contains(&json!("verify")));
    let without_alg = |key: &Value| {
        let mut key = key.clone();
        key.as_object_mut().map(|members| members.remove("alg"));
        key
    };
    let one = |key: Value| set_of(&[key]).has(kid);
    match () {
        () if twice.contains(kid) => "shares its kid with another key",
        () if key.get("use").is_some_and(|purpose| purpose != "sig") => "is not for signatures, its use says",
        () if key.get("key_ops").is_some_and(|operations| !verifies(operations)) => {
            "is not for verification, its key_ops say"
        }
        () if !is_supported(text("kty"), text("crv")) => "is of a type or curve that is not used here",
        () if one(key.clone()) => "fits none of allowed_algorithms",
        () if one(without_alg(key)) => "names an alg that is none of its type's",
        () => "is not sound: RSA needs 2048 to 8192 bits, and other keys a point on their curve",
    }
}

fn is_supported(kty: Option<&str>, crv: Option<&str>) -> bool {
    matches!((kty, crv), (Some("RSA"), _) | (Some("EC"), Some("P-256" | "P-384")) | (Some("OKP"), Some("Ed25519")))
}

fn set_of(keys: &[Value]) -> Keys {
    let set: Option<JwkSet> = serde_json::from_value(json!({ "keys": keys })).ok();
    set.map(Keys::of).unwrap_or_default()
}

/// What the provider says, where it is short and plain enough to be shown.
fn shown(text: &str, longest: usize) -> Option<String> {
    (text.len() <= longest && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| text.to_owned())
}

/// A host that is not there and one that is private are one answer: it tells
/// nobody which names resolve in our network.
fn in_our_words(what: &str, error: FetchError) -> String {
    let why = match error {
        FetchError::UrlRefused => "has a URL that is not https, or holds what it may not",
        FetchError::AddressRefused | FetchError::Unresolved => "is on a host that is not found on the public internet",
        FetchError::Unreachable => "cannot be had: there is no connection, or it breaks",
        FetchError::Untrusted => "cannot be had: the host's certificate is not to be trusted, or not the host's",
        FetchError::TimedOut => "takes too long",
        FetchError::TooLarge => "is larger than 1 MiB",
        FetchError::Redirected => "leads elsewhere, and redirects are not followed",
        FetchError::Status(status) => return answered_with(what, status),
        FetchError::NotJson => "is not the JSON that it should be",
    };
    format!("{what} {why}.")
}

fn answered_with(what: &str, status: StatusCode) -> String {
    format!("{what} is answered with the status {}.", status.as_u16())
}
