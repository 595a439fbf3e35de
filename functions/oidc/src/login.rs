//! `GET /api/v1/auth/oidc/{provider}/login`

use axum::extract::State;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::LOCATION};
use serde::Deserialize;
use shared::{
    Code, Error, Result,
    audit::Action,
    extract::{Path, Query},
    origin::Origin,
    session::cookie::SetCookie,
};

use crate::{
    Oidc,
    exchange::{Begun, Exchange},
    pending::{LIFE, Pending},
    state::Found,
};

/// Unknown parameters are ignored, as OAuth has it (RFC 6749, 3.1).
#[derive(Debug, Deserialize)]
pub(crate) struct Parameters {
    tenant: Option<String>,
    redirect_uri: Option<String>,
}

/// Sends a browser to the provider, with all that its answer will be compared
/// with in a sealed cookie.
pub(crate) async fn login(
    State(oidc): State<Oidc>,
    origin: Origin,
    headers: HeaderMap,
    Path(name): Path<String>,
    Query(Parameters { tenant, redirect_uri }): Query<Parameters>,
) -> Result<(StatusCode, SetCookie, [(HeaderName, String); 1])> {
    if let Some(target) = &redirect_uri {
        oidc.redirects.check(target)?;
    }
    let Found { provider, trail, .. } = oidc.provider(tenant.as_deref(), &name, Action::AuthOidcStart, &origin).await?;
    if redirect_uri.is_some() && is_foreign(&headers) {
        let refused = Error::new(Code::OriginNotAllowed).detail("A sign-in is begun by a page of this site.");
        return Err(oidc.refuse(trail, Action::AuthOidcStart, &origin, refused).await);
    }
    let now = oidc.app.clock.now();
    let metadata = oidc.discovery.of(&provider, now).await?;
    let exchange = Exchange::with(&provider, &metadata, &oidc.callback_url(&provider, tenant.as_deref()))?;
    let Begun { url, state, nonce, verifier } = exchange.begin();
    let cookie = oidc.seal.set(&Pending {
        state,
        nonce,
        verifier,
        tenant,
        provider: name,
        issuer: (*provider.issuer).to_owned(),
        redirect_uri,
        ends_at: (now + LIFE).unix_timestamp(),
    })?;
    Ok((StatusCode::FOUND, cookie, [(LOCATION, url)]))
}

/// Whether a page of another site sent the browser, alone or by a redirect
/// (Fetch Metadata, 2.3). It could have somebody sign in at a provider of its
/// own, and go on as whom that names (login CSRF; RFC 9700, 4.7). A browser that
/// does not say is believed, as is what is no browser.
fn is_foreign(headers: &HeaderMap) -> bool {
    let ours = |site: &HeaderValue| ["same-origin", "same-site", "none"].iter().any(|known| site == known);
    !headers.get_all("sec-fetch-site").iter().all(ours)
}

#[cfg(test)]
mod tests;
