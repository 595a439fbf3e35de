//! What an ID token says (OpenID Connect Core 1.0, 2 and 3.1.3.7).

use aws_lc_rs::{
    constant_time,
    digest::{SHA256, SHA512, digest},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use shared::{
    Code, Error, Result,
    auth::{
        Role, TenantId,
        provider::{Provider, SigningAlgorithm},
    },
    session::{AtProvider, Person},
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    pending,
    refused::Refused,
    signed::{Claims, Signed},
};

/// What the token must fit.
pub(crate) struct Expected<'a> {
    pub(crate) tenant: TenantId,
    pub(crate) provider: &'a Provider,
    pub(crate) nonce: &'a str,
    pub(crate) access_token: &'a str,
    pub(crate) now: OffsetDateTime,
}

/// Whom the token is about, if it is one for this sign-in.
///
/// # Errors
/// `AUTH_010`; `TEN_003` where it names another tenant than the provider's.
pub(crate) fn person(token: &Signed, expected: &Expected<'_>) -> Result<Person> {
    let Expected { tenant, provider, nonce, access_token, now } = *expected;
    let Signed { claims, algorithm, typ } = token;
    let is_id_token =
        typ.as_deref().is_none_or(|typ| typ.eq_ignore_ascii_case("jwt")) && !claims.0.contains_key("events");
    if !is_id_token {
        return Err(Refused::Token("the token is no ID token").into());
    }
    token.is_between(&provider.issuer, &provider.client_id)?;
    let asserted_at = token.issued_within(pending::LIFE, now)?;
    let stated = claims.text("nonce").unwrap_or_default();
    constant_time::verify_slices_are_equal(stated.as_bytes(), nonce.as_bytes())
        .map_err(|_| Refused::Token("the token is of another sign-in (nonce)"))?;
    if claims.0.get("at_hash").is_some_and(|hash| *hash != hash_of(*algorithm, access_token)) {
        return Err(Refused::Token("the token came with another access token (at_hash)").into());
    }
    let subject = claims.id("sub").ok_or(Refused::Token("the token names no subject"))?;
    check_tenant(claims, &provider.tenant_claim, tenant)?;
    let vouched = claims.0.get("email_verified").is_some_and(|verified| *verified == true || verified == "true");
    let owned = |text: &str| (!text.contains('\0')).then(|| text.to_owned());
    Ok(Person {
        tenant,
        at: AtProvider {
            provider: Some(provider.id),
            issuer: (*provider.issuer).to_owned(),
            subject: subject.to_owned(),
            session: claims.id("sid").map(ToOwned::to_owned),
            end_session_url: None,
        },
        provider_version: provider.version,
        asserted_at,
        stated_role: stated_role(claims, provider),
        default_role: provider.default_role,
        may_create: provider.jit_provisioning,
        email: claims.text("email").filter(|_| vouched).and_then(owned),
        display_name: claims.text("name").and_then(owned),
    })
}

/// The left half of the access token's hash (3.1.3.6), by the hash function of
/// the token's own signature; Ed25519's is SHA-512.
fn hash_of(algorithm: SigningAlgorithm, access_token: &str) -> String {
    let function = if algorithm == SigningAlgorithm::EdDSA { &SHA512 } else { &SHA256 };
    let hash = digest(function, access_token.as_bytes());
    URL_SAFE_NO_PAD.encode(&hash.as_ref()[..hash.as_ref().len() / 2])
}

/// A provider that a tenant registered speaks for this tenant only: its tokens
/// need not say so, but may say nothing else.
fn check_tenant(claims: &Claims, tenant_claim: &str, owner: TenantId) -> Result<()> {
    let usual = ["tenant_id", "organization_id"];
    let names = if usual.contains(&tenant_claim) { usual.to_vec() } else { vec![tenant_claim] };
    let agrees = |claim: &Value| claim.as_str().and_then(|text| Uuid::try_parse(text).ok()) == Some(owner.as_uuid());
    if names.into_iter().filter_map(|name| claims.0.get(name)).all(agrees) {
        return Ok(());
    }
    Err(Error::new(Code::IssuerNotTrusted))
}

/// The role that the provider's groups give; none where no claim is read.
fn stated_role(claims: &Claims, provider: &Provider) -> Option<Role> {
    let claim = claims.0.get(&**provider.role_claim.as_ref()?);
    let groups = match claim {
        Some(Value::String(one)) => vec![&**one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    Some(provider.role_map.role_of(groups).unwrap_or(provider.default_role))
}
