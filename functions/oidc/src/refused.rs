//! Why a sign-in was refused: told to the log, and never to the caller, to whom
//! all of them are `AUTH_010`.

use shared::{Code, Error};

/// A reason, in our own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("there is no such tenant, or no such active provider")]
    Provider,
    #[error("no cookie of a sign-in that was begun here, or one that is too old")]
    Cookie,
    #[error("the state is not the one that the browser began with")]
    State,
    #[error("the state was used before")]
    Replayed,
    #[error("the provider was changed since the sign-in began")]
    Changed,
    #[error("the answer is another issuer's, or does not say whose it is (RFC 9207)")]
    Issuer,
    #[error("the provider answered with an error")]
    ProviderError,
    #[error("the answer holds no code, or a parameter twice")]
    Answer,
    #[error("the provider refused the code")]
    Code,
    #[error("the provider gave no ID token")]
    NoToken,
    #[error("{0}")]
    Token(&'static str),
    #[error("the tenant is suspended")]
    Suspended,
}

impl From<Refused> for Error {
    fn from(cause: Refused) -> Self {
        Self::new(Code::SignInRefused).caused_by(cause)
    }
}
