//! What can go wrong with a fetch.

use http::StatusCode;

/// Why nothing was fetched. For the log, and to decide by; never for a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The URL is none that may be called.
    #[error("the URL is not https, or holds what it may not")]
    UrlRefused,
    /// The host has an address that is not of the public internet.
    #[error("the host has an address that may not be called")]
    AddressRefused,
    /// The host's name leads nowhere.
    #[error("the host's name has no address")]
    Unresolved,
    /// There was no connection, or it broke.
    #[error("no connection, or a broken one")]
    Unreachable,
    /// The host's certificate is not to be trusted, or not the host's.
    #[error("the host's certificate was refused")]
    Untrusted,
    /// It took longer than [`super::TIME_LIMIT`].
    #[error("it took too long")]
    TimedOut,
    /// The answer is longer than [`super::SIZE_LIMIT`].
    #[error("the answer is too large")]
    TooLarge,
    /// The answer leads elsewhere.
    #[error("the answer is a redirect")]
    Redirected,
    /// The answer is no success.
    #[error("the answer's status is {0}")]
    Status(StatusCode),
    /// The answer is not JSON, or not of the form that was asked for.
    #[error("the answer is not the JSON that was asked for")]
    NotJson,
}
