//! What a token that was found good says of itself.

use uuid::Uuid;

use super::content::Claims;

/// Registered claims (RFC 7519, 4.1) of an access token, as introspection
/// tells them (RFC 7662, 2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
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

impl From<&Claims> for RegisteredClaims {
    fn from(claims: &Claims) -> Self {
        let Claims { iss, aud, jti, iat, exp, .. } = claims;
        Self { iss: iss.clone(), aud: aud.clone(), jti: *jti, iat: *iat, exp: *exp }
    }
}
