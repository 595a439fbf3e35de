//! Accounts and sessions: sign-up, sign-in, refresh, sign-out, and the
//! keys of our tokens.

#[cfg(test)]
mod cookie;
mod device;
#[cfg(test)]
mod federated;
mod introspect;
mod login;
mod logout;
mod me;
mod password;
#[cfg(test)]
mod rate_limit;
mod refresh;
mod revoke;
#[cfg(test)]
mod session;
mod sessions;
#[cfg(test)]
mod signing;
mod signup;
mod state;
#[cfg(test)]
mod trial;
mod well_known;

use http::Method;
use shared::{
    Routes,
    access::Access::{AnyCaller, Public},
    audit::Action,
};

pub use state::{Auth, AuthConfig};

/// Every route of the group, its access and its audit action.
#[must_use]
pub fn routes() -> Routes<Auth> {
    Routes::new()
        .route(Method::POST, "/api/v1/auth/signup", Public, Action::AuthSignup, signup::signup)
        .route(Method::POST, "/api/v1/auth/login", Public, Action::AuthLogin, login::login)
        .route(Method::POST, "/api/v1/auth/refresh", Public, Action::AuthRefresh, refresh::refresh)
        .route(Method::POST, "/api/v1/auth/logout", AnyCaller, Action::AuthLogout, logout::logout)
        .route(Method::POST, "/api/v1/auth/password", AnyCaller, Action::AuthPassword, password::password)
        .route(Method::POST, "/api/v1/auth/introspect", AnyCaller, Action::AuthIntrospect, introspect::introspect)
        .route(Method::POST, "/api/v1/auth/revoke", Public, Action::AuthRevoke, revoke::revoke)
        .route(Method::GET, "/api/v1/auth/me", AnyCaller, Action::AuthMe, me::me)
        .route(Method::GET, "/api/v1/auth/sessions", AnyCaller, Action::AuthSessionsList, sessions::list::list)
        .route(
            Method::DELETE,
            "/api/v1/auth/sessions/{id}",
            AnyCaller,
            Action::AuthSessionsDelete,
            sessions::delete::delete,
        )
        .route(Method::GET, "/api/v1/.well-known/jwks.json", Public, Action::AuthJwks, well_known::jwks)
        .route(
            Method::GET,
            "/api/v1/.well-known/openid-configuration",
            Public,
            Action::AuthDiscovery,
            well_known::discovery,
        )
}
