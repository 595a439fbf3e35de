//! The keys of our access tokens: how they stand in Secrets Manager, what
//! signs with them and what checks.
//!
//! A key has one algorithm, by what it is. A token's header must name the same
//! one; it never chooses (RFC 8725, 3.1).

mod generate;
mod jwk;
mod local;
mod published;
mod verifying;

#[cfg(test)]
mod tests;

use crate::{error::Result, secrets::BoxFuture};

pub use generate::{GeneratedKey, published_keys};
pub(super) use local::LocalKey;
pub use published::PublishedKey;
pub(super) use verifying::VerifyingKeys;

/// What is wrong with a key set: the rest of a sentence about it, without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyFault(&'static str);

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256 (RFC 7518, 3.4).
    Es256,
    /// Ed25519 (RFC 8037, 3.1).
    EdDsa,
    /// HMAC with SHA-256 (RFC 7518, 3.2).
    Hs256,
}

impl Algorithm {
    /// That of a key of this kind (`kty`: EC P-256, OKP Ed25519 or oct).
    #[must_use]
    pub fn of_kind(kty: &str) -> Option<Self> {
        match kty {
            "EC" => Some(Self::Es256),
            "OKP" => Some(Self::EdDsa),
            "oct" => Some(Self::Hs256),
            _ => None,
        }
    }

    /// Its name in a token's header and in a JWK.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
        }
    }

    const fn jwt(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Self::Hs256 => jsonwebtoken::Algorithm::HS256,
        }
    }
}

/// What signs access tokens: a key in memory, or one that never leaves KMS.
pub trait SigningKey: Send + Sync + 'static {
    /// Its id, as the token's header names it.
    fn kid(&self) -> &str;

    /// How it signs.
    fn algorithm(&self) -> Algorithm;

    /// Signs `message` (at most 4096 bytes); the signature is in the form of
    /// RFC 7518 and RFC 8037.
    fn sign<'a>(&'a self, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>>>;
}

/// Whether `kid` is one that a key of ours may have.
pub(super) fn is_kid(kid: &str) -> bool {
    (1..=64).contains(&kid.len()) && kid.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
}
