//! The two calls of the authorization code flow (OpenID Connect Core 1.0, 3.1),
//! by the crate `openidconnect` over our own HTTP.

use http::StatusCode;
use openidconnect::{
    AccessToken, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken, EmptyAdditionalClaims, EndpointNotSet,
    EndpointSet, HttpRequest, IdToken, IssuerUrl, JsonWebKeySet, Nonce, OAuth2TokenResponse, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope, StandardErrorResponse, TokenResponse,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreErrorResponseType, CoreGenderClaim,
        CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreRevocableToken,
        CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
    },
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use shared::{
    Code, Error, Result,
    auth::provider::{ClientSecret as OurSecret, Provider},
    fetch::{Fetch, FetchError},
};

use crate::{
    discovery::{Metadata, unavailable},
    refused::Refused,
};

/// The answer of a token endpoint. The ID token stays the text that it is: our
/// own keys and rules check it ([`crate::id_token`]).
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Answer {
    access_token: AccessToken,
    token_type: CoreTokenType,
    #[serde(default, skip_serializing)]
    id_token: Option<SecretString>,
}

impl Answer {
    pub(crate) fn id_token(&self) -> Result<&str> {
        Ok(self.id_token.as_ref().ok_or(Refused::NoToken)?.expose_secret())
    }

    pub(crate) fn secret_access_token(&self) -> &str {
        self.access_token.secret()
    }
}

impl OAuth2TokenResponse for Answer {
    type TokenType = CoreTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &CoreTokenType {
        &self.token_type
    }

    fn expires_in(&self) -> Option<std::time::Duration> {
        None
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        None
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }
}

type Jwe = CoreJweContentEncryptionAlgorithm;
type Jws = CoreJwsSigningAlgorithm;

impl TokenResponse<EmptyAdditionalClaims, CoreGenderClaim, Jwe, Jws> for Answer {
    fn id_token(&self) -> Option<&IdToken<EmptyAdditionalClaims, CoreGenderClaim, Jwe, Jws>> {
        None
    }
}

type AtProvider = Client<
    EmptyAdditionalClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    Jwe,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Answer,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
    EndpointNotSet,
>;

/// Us, as a client of one provider.
pub(crate) struct Exchange(AtProvider);

/// Where a browser is sent, and what its answer will be compared with.
pub(crate) struct Begun {
    pub(crate) url: String,
    pub(crate) state: String,
    pub(crate) nonce: String,
    pub(crate) verifier: String,
}

/// `invalid_grant` and the like: one of the standard's words, none of theirs.
#[derive(Debug, thiserror::Error)]
#[error("the token endpoint answered {0}")]
struct TokenError(&'static str);

/// What is no answer of a token endpoint (RFC 6749, 5).
#[derive(Debug, thiserror::Error)]
#[error("the token endpoint's answer is none")]
struct NoAnswer;

impl Exchange {
    /// `callback` is where the provider sends the browser back to.
    ///
    /// # Errors
    /// `SYS_001` where a URL of ours is none.
    pub(crate) fn with(provider: &Provider, metadata: &Metadata, callback: &str) -> Result<Self> {
        let ours = |cause| Error::new(Code::Internal).caused_by(cause);
        let issuer = IssuerUrl::new((*provider.issuer).to_owned()).map_err(ours)?;
        let callback = RedirectUrl::new(callback.to_owned()).map_err(ours)?;
        let client =
            Client::new(ClientId::new((*provider.client_id).to_owned()), issuer, JsonWebKeySet::new(Vec::new()))
                .set_auth_uri(metadata.authorization_endpoint.clone())
                .set_token_uri(metadata.token_endpoint.clone())
                .set_redirect_uri(callback)
                .set_auth_type(metadata.auth_type());
        Ok(Self(client))
    }

    /// Begins a sign-in: PKCE with S256 (RFC 7636), a state and a nonce, all of
    /// them new.
    pub(crate) fn begin(&self) -> Begun {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let request = self.0.authorize_url(flow, CsrfToken::new_random, Nonce::new_random);
        let request = ["email", "profile"]
            .into_iter()
            .fold(request, |request, scope| request.add_scope(Scope::new(scope.to_owned())));
        let (url, state, nonce) = request.set_pkce_challenge(challenge).url();
        Begun {
            url: url.to_string(),
            state: state.into_secret(),
            nonce: nonce.secret().clone(),
            verifier: verifier.into_secret(),
        }
    }

    /// Gives the code for tokens.
    ///
    /// # Errors
    /// `AUTH_010` where the provider refuses the code, `SYS_003` where it has no
    /// answer.
    pub(crate) async fn redeem(
        self,
        fetch: Fetch,
        secret: Option<&OurSecret>,
        code: String,
        verifier: String,
    ) -> Result<Answer> {
        let client = match secret {
            Some(secret) => self.0.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned())),
            None => self.0,
        };
        let send = move |request: HttpRequest| {
            let fetch = fetch.clone();
            async move {
                let answer = fetch.send(request).await?;
                let status = answer.status();
                let failed = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
                if failed { Err(FetchError::Status(status)) } else { Ok(answer) }
            }
        };
        let code = client.exchange_code(AuthorizationCode::new(code));
        let answered = code.set_pkce_verifier(PkceCodeVerifier::new(verifier)).request_async(&send).await;
        answered.map_err(|error| match error {
            RequestTokenError::ServerResponse(error) => match error.error() {
                CoreErrorResponseType::InvalidGrant => Refused::Code.into(),
                CoreErrorResponseType::InvalidClient => refused("invalid_client: is our secret there a right one?"),
                CoreErrorResponseType::InvalidRequest => refused("invalid_request"),
                CoreErrorResponseType::UnauthorizedClient => refused("unauthorized_client"),
                CoreErrorResponseType::UnsupportedGrantType => refused("unsupported_grant_type"),
                CoreErrorResponseType::InvalidScope => refused("invalid_scope"),
                CoreErrorResponseType::Extension(_) => refused("with an error of its own"),
            },
            RequestTokenError::Request(cause) => unavailable(cause),
            // What they wrote is not for the log.
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                Error::new(Code::ProviderUnavailable).caused_by(NoAnswer)
            }
        })
    }
}

fn refused(how: &'static str) -> Error {
    Error::new(Code::SignInRefused).caused_by(TokenError(how))
}
