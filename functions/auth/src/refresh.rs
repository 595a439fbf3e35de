//! `POST /api/v1/auth/refresh`

mod rotation;

use axum::extract::State;
use http::HeaderMap;
use serde::Deserialize;
use shared::{
    Code, Error, Result,
    audit::Action,
    auth::{Identity, RefreshToken},
    extract::{Json, if_given},
    origin::Origin,
    refusal::refuse,
    session::{
        Tokens,
        cookie::{self, SetCookie, Transport},
    },
};

use crate::Auth;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refresh {
    /// Absent where the cookie is sent.
    #[serde(default, deserialize_with = "if_given")]
    refresh_token: Option<String>,
}

/// Rotates a refresh token: it is used once, and yields its successor, which
/// goes the way that it came.
pub(crate) async fn refresh(
    State(auth): State<Auth>,
    origin: Origin,
    headers: HeaderMap,
    request: Option<Json<Refresh>>,
) -> Result<(SetCookie, Json<Tokens>), (SetCookie, Error)> {
    let in_body = request.and_then(|Json(request)| request.refresh_token);
    let transport = if in_body.is_some() { Transport::Body } else { Transport::Cookie };
    let answer = match in_body.or_else(|| cookie::sent(&headers)) {
        Some(text) => yield_successor(&auth, &text, transport, &headers, &origin).await,
        None => Err(Error::field("refresh_token", "must be sent, here or as the cookie __Host-refresh")),
    };
    match answer {
        Ok(mut tokens) => Ok((transport.carry(&mut tokens), Json(tokens))),
        Err(error) => Err((forget_refused(transport, &error, &headers), error)),
    }
}

async fn yield_successor(
    auth: &Auth,
    text: &str,
    transport: Transport,
    headers: &HeaderMap,
    origin: &Origin,
) -> Result<Tokens> {
    let token = auth.sessions.refresh_tokens.decode(text);
    if transport == Transport::Cookie
        && let Err(error) = auth.sessions.allowed_origins.check(headers)
    {
        // A foreign page does not learn what the cookie is worth.
        let Some(token) = token else { return Err(error) };
        return Err(refuse(&auth.app, Action::AuthRefresh, &of(&token), origin, error).await);
    }
    rotation::rotate(auth, &token.ok_or(Code::InvalidRefreshToken)?, origin).await
}

/// Whom a token speaks for, before its session was looked at.
fn of(token: &RefreshToken) -> Identity {
    Identity { tenant: token.tenant, user: None, session: Some(token.session) }
}

/// A cookie that is good for nothing any more is not to be sent again.
fn forget_refused(transport: Transport, error: &Error, headers: &HeaderMap) -> SetCookie {
    let is_spent = transport == Transport::Cookie && error.code() == Code::InvalidRefreshToken;
    is_spent.then(|| cookie::forget(headers))?
}

#[cfg(test)]
mod tests;
