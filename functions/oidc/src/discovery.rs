//! What a provider says of itself (OpenID Connect Discovery 1.0, 3), kept for
//! ten minutes by each environment.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use openidconnect::{AuthType, AuthUrl, ClientId, EndSessionUrl, LogoutRequest, PostLogoutRedirectUrl, TokenUrl};
use serde::{Deserialize, Deserializer};
use shared::{
    Code, Error, Result,
    auth::{discovery_url, provider::Provider},
    fetch::{Fetch, FetchError},
};
use time::{Duration, OffsetDateTime};

const FRESH: Duration = Duration::minutes(10);
/// How many providers' are kept.
const MOST: usize = 1000;

/// The part of a provider's configuration that a sign-in needs. Keys are for
/// [`shared::auth::ProviderKeys`].
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Metadata {
    issuer: String,
    pub(crate) authorization_endpoint: AuthUrl,
    pub(crate) token_endpoint: TokenUrl,
    #[serde(default)]
    end_session_endpoint: Option<EndSessionUrl>,
    #[serde(default, deserialize_with = "methods")]
    token_endpoint_auth_methods_supported: Vec<Method>,
    #[serde(default)]
    pub(crate) authorization_response_iss_parameter_supported: bool,
}

/// How a client may prove who it is; all but two are nothing to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Method {
    ClientSecretBasic,
    ClientSecretPost,
    #[serde(other)]
    Other,
}

/// Those of the two that are named, once each: whatever else a provider writes
/// there is not kept.
fn methods<'de, D: Deserializer<'de>>(reader: D) -> Result<Vec<Method>, D::Error> {
    let named = Option::<Vec<Method>>::deserialize(reader)?.unwrap_or_default();
    let known = [Method::ClientSecretBasic, Method::ClientSecretPost];
    Ok(known.into_iter().filter(|method| named.contains(method)).collect())
}

/// A configuration that nobody can sign in by.
#[derive(Debug, thiserror::Error)]
#[error("its configuration is that of another issuer, or names an endpoint that may not be called")]
struct Unsound;

impl Metadata {
    /// How we prove who we are: in the header, unless the provider wants it in
    /// the body only (`client_secret_basic` is the default).
    pub(crate) fn auth_type(&self) -> AuthType {
        if self.token_endpoint_auth_methods_supported == [Method::ClientSecretPost] {
            AuthType::RequestBody
        } else {
            AuthType::BasicAuth
        }
    }

    /// Where a browser ends its session there (RP-Initiated Logout 1.0, 2). We
    /// keep no ID token for a hint: it would hold personal data.
    pub(crate) fn end_session_url(
        &self,
        client_id: &str,
        afterwards: Option<&PostLogoutRedirectUrl>,
    ) -> Option<String> {
        let request = LogoutRequest::from(self.end_session_endpoint.clone()?);
        let request = request.set_client_id(ClientId::new(client_id.to_owned()));
        let request = match afterwards {
            Some(url) => request.set_post_logout_redirect_uri(url.clone()),
            None => request,
        };
        Some(request.http_get_url().to_string()).filter(|url| url.len() <= 4000)
    }

    /// Browsers are sent to some of its endpoints, so all must be as the ones
    /// that we call, and no longer. As they are written: a parser leaves out
    /// line breaks and tabs, and they are kept.
    fn is_sound(&self, issuer: &str, fetch: &Fetch) -> bool {
        let ends = self.end_session_endpoint.as_deref();
        let urls = [&*self.authorization_endpoint, &*self.token_endpoint];
        self.issuer == issuer && urls.into_iter().chain(ends).all(|url| fetch.may_be_url(url))
    }
}

/// The configurations, as one execution environment has them.
pub(crate) struct Discovery {
    fetch: Fetch,
    kept: Mutex<HashMap<String, (OffsetDateTime, Arc<Metadata>)>>,
}

impl Discovery {
    pub(crate) fn new(fetch: Fetch) -> Self {
        Self { fetch, kept: Mutex::default() }
    }

    /// What `provider` says of itself.
    ///
    /// # Errors
    /// `SYS_003` where it cannot be had, or nobody can sign in by it.
    pub(crate) async fn of(&self, provider: &Provider, now: OffsetDateTime) -> Result<Arc<Metadata>> {
        let issuer: &str = &provider.issuer;
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(issuer).cloned();
        if let Some((_, metadata)) = kept.filter(|(at, _)| now - *at < FRESH && *at - now < FRESH) {
            return Ok(metadata);
        }
        let fetched = self.fetch.get::<Metadata>(&discovery_url(issuer)).await;
        let metadata = Arc::new(fetched.map_err(unavailable)?);
        if !metadata.is_sound(issuer, &self.fetch) {
            return Err(Error::new(Code::ProviderUnavailable).caused_by(Unsound));
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(issuer.to_owned(), (now, metadata.clone()));
        Ok(metadata)
    }
}

/// An outage of theirs.
pub(crate) fn unavailable(cause: FetchError) -> Error {
    Error::new(Code::ProviderUnavailable).caused_by(cause)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_what_a_provider_writes_no_more_is_kept_than_we_use() {
        let many: Vec<_> = (0..10_000).map(|n| format!("method-{n}")).chain(["client_secret_post".into()]).collect();
        for (methods, kept, in_body) in [
            (json!(many), 1, true),
            (json!(vec!["client_secret_post"; 10_000]), 1, true),
            (json!(["client_secret_post", "client_secret_basic"]), 2, false),
            (json!(["private_key_jwt"]), 0, false),
            (json!(null), 0, false),
        ] {
            let metadata: Metadata = serde_json::from_value(json!({
                "issuer": "https://idp.example.com", "authorization_endpoint": "https://idp.example.com/a",
                "token_endpoint": "https://idp.example.com/t", "token_endpoint_auth_methods_supported": methods,
            }))
            .unwrap();
            assert_eq!(metadata.token_endpoint_auth_methods_supported.len(), kept);
            assert_eq!(matches!(metadata.auth_type(), AuthType::RequestBody), in_body);
        }
    }
}
