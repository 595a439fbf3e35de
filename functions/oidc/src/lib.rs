//! Sign-in at an identity provider: OpenID Connect Core 1.0 (authorization code
//! with PKCE), and Back-Channel Logout 1.0. ADR 14 tells why it is a function
//! of its own.

mod backchannel_logout;
mod callback;
mod discovery;
mod exchange;
mod id_token;
mod login;
mod pending;
mod redirects;
mod refused;
mod signed;
mod state;
#[cfg(test)]
mod trial;

use http::Method;
use shared::{Routes, access::Access::Public, audit::Action};

pub use state::{Oidc, OidcConfig};

/// Every route of the group, its access and its audit action.
#[must_use]
pub fn routes() -> Routes<Oidc> {
    Routes::new()
        .route(Method::GET, "/api/v1/auth/oidc/{provider}/login", Public, Action::AuthOidcStart, login::login)
        .route(Method::GET, "/api/v1/auth/oidc/{provider}/callback", Public, Action::AuthOidcLogin, callback::callback)
        .route(
            Method::POST,
            "/api/v1/auth/oidc/{provider}/backchannel-logout",
            Public,
            Action::AuthOidcLogout,
            backchannel_logout::backchannel_logout,
        )
}
