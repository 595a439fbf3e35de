//! `GET /api/v1/auth/oidc/{provider}/callback`

use axum::{
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header::LOCATION};
use shared::{
    Code, Error, Result,
    audit::Action,
    auth::{Identity, REFRESH_TOKEN_LIFE},
    extract::{Json, Path},
    origin::Origin,
    refusal::refuse,
    session::{
        Person, Signed as Begun, Tokens,
        cookie::{SetCookie, Transport},
    },
};

use crate::{
    Oidc,
    exchange::Exchange,
    id_token::{self, Expected},
    pending::{LIFE, Pending, Seal},
    refused::Refused,
    signed::Signed,
    state::Found,
};

const ACTION: Action = Action::AuthOidcLogin;

/// What the provider has the browser bring (RFC 6749, 4.1.2; RFC 9207).
#[derive(Debug, Default)]
struct Brought {
    /// Whose redirect URI it was sent to.
    tenant: Option<String>,
    state: Option<String>,
    code: Option<String>,
    iss: Option<String>,
    error: bool,
    twice: bool,
}

impl Brought {
    /// Unknown parameters are ignored; one that stands twice is nobody's.
    fn read(query: &str) -> Self {
        let mut brought = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match &*name {
                "tenant" => &mut brought.tenant,
                "state" => &mut brought.state,
                "code" => &mut brought.code,
                "iss" => &mut brought.iss,
                "error" => {
                    brought.error = true;
                    continue;
                }
                _ => continue,
            };
            brought.twice |= place.replace(value.into_owned()).is_some();
        }
        brought
    }
}

/// Takes the provider's answer, and begins a session of whom it is about.
/// Whatever is wrong with it, the caller is told the same.
pub(crate) async fn callback(
    State(oidc): State<Oidc>,
    origin: Origin,
    headers: HeaderMap,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, (SetCookie, Error)> {
    let brought = Brought::read(query.as_deref().unwrap_or_default());
    let pending = begun_here(&oidc, &headers, &name, &brought, &origin).await.map_err(|error| (None, error))?;
    // From here on it is used, and the browser need not keep it.
    let forget = |error| (Seal::forget(), error);
    let redirect_uri = pending.redirect_uri.clone();
    let mut tokens = sign_in(&oidc, pending, brought, &origin).await.map_err(forget)?;
    Ok(match redirect_uri {
        Some(target) => {
            let cookie = Transport::Cookie.carry(&mut tokens);
            let mut answer = (StatusCode::FOUND, Seal::forget(), [(LOCATION, target)]).into_response();
            for (name, value) in cookie.into_iter().flatten() {
                answer.headers_mut().append(name, value);
            }
            answer
        }
        None => (Seal::forget(), Json(tokens)).into_response(),
    })
}

/// The sign-in that this browser began, with this provider, if the answer is
/// to that one, and to nothing that was answered before.
async fn begun_here(
    oidc: &Oidc,
    headers: &HeaderMap,
    name: &str,
    brought: &Brought,
    origin: &Origin,
) -> Result<Pending> {
    let now = oidc.app.clock.now();
    let Some(pending) = oidc.seal.sent(headers, now).filter(|pending| pending.provider == name) else {
        return Err(oidc.refuse_nobody(ACTION, origin, Refused::Cookie).await);
    };
    let refused = if brought.twice || !brought.state.as_deref().is_some_and(|state| pending.has(state)) {
        Refused::State
    } else if brought.tenant != pending.tenant {
        Refused::Issuer
    } else if oidc.use_once(&format!("state/{}", pending.state), LIFE, now).await? {
        return Ok(pending);
    } else {
        Refused::Replayed
    };
    let Found { trail, .. } = oidc.provider(pending.tenant.as_deref(), name, ACTION, origin).await?;
    Err(oidc.refuse(trail, ACTION, origin, refused.into()).await)
}

/// From the provider's answer to a session. A refusal is recorded, with its
/// user if that is known.
async fn sign_in(oidc: &Oidc, pending: Pending, brought: Brought, origin: &Origin) -> Result<Tokens> {
    let found = oidc.provider(pending.tenant.as_deref(), &pending.provider, ACTION, origin).await?;
    let mut trail = found.trail;
    let begun = match person(oidc, &found, pending, brought).await {
        Ok(person) => {
            trail = person.tenant;
            oidc.sessions.begin_federated(&oidc.app, &person, ACTION, origin).await
        }
        Err(error) => Err(error.into()),
    };
    match begun {
        Ok(Begun { transaction, access, begun, .. }) => {
            let tokens = oidc.sessions.tokens(access, &begun.token, REFRESH_TOKEN_LIFE, begun.user);
            transaction.commit().await?;
            Ok(tokens)
        }
        Err(refused) => {
            // It may be one that is not there.
            if refused.error.code() == Code::TenantSuspended {
                trail = found.trail;
            }
            let identity = Identity { tenant: trail, user: refused.user, session: None };
            Err(refuse(&oidc.app, ACTION, &identity, origin, one_answer(refused.error)).await)
        }
    }
}

/// A tenant that is suspended is as one that is not there.
fn one_answer(error: Error) -> Error {
    if error.code() == Code::TenantSuspended { Refused::Suspended.into() } else { error }
}

/// Whom the provider vouches for.
async fn person(oidc: &Oidc, found: &Found, pending: Pending, brought: Brought) -> Result<Person> {
    let Found { owner, provider, .. } = found;
    if *provider.issuer != *pending.issuer {
        return Err(Refused::Changed.into());
    }
    let now = oidc.app.clock.now();
    let metadata = oidc.discovery.of(provider, now).await?;
    let is_theirs = match &brought.iss {
        Some(iss) => **iss == *provider.issuer,
        None => !metadata.authorization_response_iss_parameter_supported,
    };
    if !is_theirs {
        return Err(Refused::Issuer.into());
    }
    if brought.error {
        return Err(Refused::ProviderError.into());
    }
    let code = brought.code.ok_or(Refused::Answer)?;
    let secret = oidc.client_secret(found).await?;
    let exchange = Exchange::with(provider, &metadata, &oidc.callback_url(provider, pending.tenant.as_deref()))?;
    let answer = exchange.redeem(oidc.app.fetch.clone(), secret.as_ref(), code, pending.verifier).await?;
    let token = Signed::read(answer.id_token()?, provider, oidc.app.federation.keys()).await?;
    let access_token = answer.secret_access_token();
    let expected = Expected { owner: *owner, provider, nonce: &pending.nonce, access_token, now };
    let mut person = id_token::person(&token, &expected)?;
    person.at.end_session_url = metadata.end_session_url(&provider.client_id, oidc.after_logout.as_ref());
    Ok(person)
}

#[cfg(test)]
mod deployment;
#[cfg(test)]
mod misuse;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod tests;
