//! The keys of our access tokens: how they stand in Secrets Manager, what
//! signs with them and what checks.
//!
//! A key has one algorithm, by what it is. A token's header must name the same
//! one; it never chooses (RFC 8725, 3.1).

#[cfg(feature = "signing")]
mod der;
mod generate;
mod jwk;
mod kept;
#[cfg(feature = "signing")]
mod kms;
mod local;
mod published;
#[cfg(feature = "signing")]
mod signing;
mod verifying;

#[cfg(test)]
mod tests;

use super::algorithm::{Algorithm, is_kid};
use crate::{error::Result, secrets::BoxFuture};

pub use generate::{GeneratedKey, published_keys};
#[cfg(feature = "signing")]
pub(super) use kept::Source;
pub(super) use kept::{InSecret, Kept};
#[cfg(feature = "signing")]
pub use kms::KmsKeys;
pub use local::LocalKey;
pub use published::PublishedKey;
#[cfg(feature = "signing")]
pub use signing::{Signing, SigningConfig};
pub(super) use verifying::VerifyingKeys;

/// What is wrong with a key set: the rest of a sentence about it, without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyFault(&'static str);

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
