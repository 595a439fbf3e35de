//! What a provider's token must say, once its signature was found good.

use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::token::{Claims, Presented};
use crate::{
    auth::{
        Role,
        claims::{self, Times},
        content::Header,
        provider::Provider,
    },
    error::{Code, Error},
};

/// The longest subject, and the longest name of a provider's session.
const LONGEST: usize = 255;
/// Claims that stand in other tokens and in no access token: of an ID token
/// (OpenID Connect Core 1.0, 2 and 3.3.2.11), of a logout token (Back-Channel
/// Logout 1.0, 2.4).
const NOT_OURS: [&str; 4] = ["nonce", "at_hash", "c_hash", "events"];

/// What is taken from a token that passed.
pub(super) struct Asserted {
    pub(super) tenant: Uuid,
    pub(super) subject: String,
    /// The provider's session.
    pub(super) sid: Option<String>,
    pub(super) jti: Option<String>,
    pub(super) role: Option<Role>,
    pub(super) times: Times,
}

/// Reads the token by the provider's settings.
///
/// # Errors
/// `AUTH_001`, `AUTH_002`, `AUTH_004`, `TEN_001`, `TEN_002`.
pub(super) fn read(provider: &Provider, token: &Presented<'_>, now: OffsetDateTime) -> Result<Asserted, Error> {
    let Presented { header, claims, .. } = token;
    let fits = header.crit.is_none()
        && header.b64.is_none()
        && header.typ.as_deref().is_none_or(is_access_token_type)
        && is_access_token(claims)
        && is_for_us(provider, claims)
        && (!is_for_client(provider, claims) || is_said_to_be_one(header, claims));
    let subject = claims.text("sub", LONGEST).filter(|_| fits).ok_or(Code::InvalidToken)?;
    let number = |name| claims.get(name).map(|value| value.as_i64().ok_or(Code::InvalidToken)).transpose();
    let times = Times {
        iat: number("iat")?.ok_or(Code::InvalidToken)?,
        exp: number("exp")?.ok_or(Code::InvalidToken)?,
        nbf: number("nbf")?,
    };
    times.check(now)?;
    let named = |name| match claims.get(name) {
        None => Ok(None),
        Some(_) => claims.text(name, LONGEST).map(|text| Some(text.to_owned())).ok_or(Code::InvalidToken),
    };
    Ok(Asserted {
        tenant: tenant(&provider.tenant_claim, claims)?,
        subject: subject.to_owned(),
        sid: named("sid")?,
        jti: named("jti")?,
        role: role(provider, claims)?,
        times,
    })
}

/// The tenant that `claim` names. It alone is read; where it is one of the two
/// usual ones, the other must not say otherwise.
///
/// # Errors
/// `TEN_001`, `TEN_002`.
pub(super) fn tenant(claim: &str, claims: &Claims) -> Result<Uuid, Code> {
    let other = match claim {
        "tenant_id" => claims.get("organization_id"),
        "organization_id" => claims.get("tenant_id"),
        _ => None,
    };
    claims::tenant(Some(claims.get(claim).ok_or(Code::NoTenant)?), other)
}

/// RFC 9068 (2.1), and what providers wrote before it.
fn is_access_token_type(typ: &str) -> bool {
    ["at+jwt", "application/at+jwt", "jwt"].iter().any(|name| typ.eq_ignore_ascii_case(name))
}

/// Whether nothing marks it as another kind of token. Cognito says what it is
/// in `token_use`, Keycloak in `typ`.
fn is_access_token(claims: &Claims) -> bool {
    let another =
        |kind: &str| ["id", "refresh", "offline", "logout"].iter().any(|name| kind.eq_ignore_ascii_case(name));
    claims.get("token_use").is_none_or(|kind| kind == "access")
        && claims.get("typ").and_then(Value::as_str).is_none_or(|kind| !another(kind))
        && NOT_OURS.iter().all(|name| claims.get(name).is_none())
}

/// Whether one of the provider's audiences is meant. Cognito's access tokens
/// have no `aud`; they name the client.
fn is_for_us(provider: &Provider, claims: &Claims) -> bool {
    let is_one = |text: &str| provider.audiences.iter().any(|audience| audience == text);
    match claims.get("aud") {
        Some(Value::String(text)) => is_one(text),
        Some(Value::Array(items)) => {
            let texts: Option<Vec<_>> = items.iter().map(Value::as_str).collect();
            texts.is_some_and(|texts| texts.into_iter().any(is_one))
        }
        Some(_) => false,
        None => {
            let client = claims.get("client_id").and_then(Value::as_str);
            claims.get("token_use").is_some_and(|kind| kind == "access") && client.is_some_and(is_one)
        }
    }
}

/// Whether our client at the provider is among those who are meant, as it is in
/// every ID token (OpenID Connect Core 1.0, 2).
fn is_for_client(provider: &Provider, claims: &Claims) -> bool {
    match claims.get("aud") {
        Some(Value::Array(items)) => items.iter().any(|item| *item == *provider.client_id),
        aud => aud.is_some_and(|aud| *aud == *provider.client_id),
    }
}

/// Whether something says that it is an access token: by its type (RFC 9068,
/// 2.1; Keycloak's `typ`, Cognito's `token_use`), or by what was granted with
/// it, which no ID token says.
fn is_said_to_be_one(header: &Header, claims: &Claims) -> bool {
    let is = |name, kind: &str| {
        claims.get(name).and_then(Value::as_str).is_some_and(|value| value.eq_ignore_ascii_case(kind))
    };
    header.typ.as_deref().is_some_and(|typ| is_access_token_type(typ) && !typ.eq_ignore_ascii_case("jwt"))
        || is("typ", "bearer")
        || is("token_use", "access")
        || ["scope", "scp", "client_id"].iter().any(|name| claims.get(name).is_some())
}

/// The role that the provider states; none where no claim is read, and the
/// user's own role counts.
fn role(provider: &Provider, claims: &Claims) -> Result<Option<Role>, Code> {
    let Some(claim) = &provider.role_claim else { return Ok(None) };
    let groups = match claims.get(claim) {
        None => Vec::new(),
        Some(Value::String(group)) => vec![group.as_str()],
        Some(Value::Array(groups)) => {
            groups.iter().map(Value::as_str).collect::<Option<_>>().ok_or(Code::InvalidToken)?
        }
        Some(_) => return Err(Code::InvalidToken),
    };
    Ok(Some(provider.role_map.role_of(groups).unwrap_or(provider.default_role)))
}
