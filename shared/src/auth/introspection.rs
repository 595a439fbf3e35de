//! What a token that was found good says of itself.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use uuid::Uuid;

/// Registered claims (RFC 7519, 4.1) of an access token, as introspection
/// tells them (RFC 7662, 2.2).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RegisteredClaims {
    /// The issuer.
    pub iss: String,
    /// The audience.
    pub aud: String,
    /// The token's id.
    pub jti: Uuid,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// When it expires, in seconds since 1970.
    pub exp: i64,
}

impl RegisteredClaims {
    /// Reads them from a token that [`super::Verifier`] has found good: of any
    /// other they say what anybody may have written.
    #[must_use]
    pub fn of_verified(token: &str) -> Option<Self> {
        let payload = token.split('.').nth(1)?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }
}
