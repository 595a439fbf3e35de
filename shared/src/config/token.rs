//! Our tokens.

use super::{Config, Environment, is_loopback, url::url_host};

/// Who issues our tokens, and for whom.
#[derive(Debug, Clone)]
pub struct TokenConfig {
    /// The issuer, as it stands in `iss`: the API's base URL, to which the
    /// paths of its documents are added (`OpenID` Connect Discovery 1.0, 4).
    pub issuer: String,
    /// The audience, as it stands in `aud`.
    pub audience: String,
    /// The id of the secret that is a JWK Set of public keys.
    pub public_keys_secret_id: String,
}

impl Config for TokenConfig {
    fn read(env: &mut Environment<'_>) -> Self {
        let issuer = env.required("TOKEN_ISSUER", "the https URL that stands in every token's iss");
        let sound = issuer.starts_with("https://") || (issuer.starts_with("http://") && is_loopback(url_host(&issuer)));
        // Where an issuer's documents are is its URL and a fixed path: ours are under this base.
        if !issuer.is_empty() && (!sound || !issuer.ends_with("/api/v1") || issuer.contains(['?', '#'])) {
            env.fault(
                "TOKEN_ISSUER must be an https URL (http on loopback) that ends in /api/v1, without query or fragment",
            );
        }
        Self {
            issuer,
            audience: env.required("TOKEN_AUDIENCE", "the audience that stands in every token's aud"),
            public_keys_secret_id: env
                .required("TOKEN_PUBLIC_KEYS_SECRET_ID", "the name or ARN of the secret with the public JWK Set"),
        }
    }
}
