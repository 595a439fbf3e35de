//! Passwords: which ones are taken, how they are kept, and how those that were
//! kept otherwise are brought up to it. `docs/ACCOUNTS.md` says the same to
//! operators, `docs/adr/0008-pepper-and-imported-hashes.md` why.
//!
//! 1. [`NewPassword`]: the policy, by a list of common passwords and by what
//!    the account itself is called.
//! 2. [`Peppers`]: the keys that no database dump holds.
//! 3. [`Passwords`]: hashes, verifies and upgrades, within what the
//!    environment's memory and processors hold.

mod common;
mod generated;
mod hasher;
mod list;
mod own_names;
mod pepper;
mod policy;
mod stored;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;

pub use generated::generate;
pub use hasher::Passwords;
pub use pepper::Peppers;
pub use policy::NewPassword;

use crate::error::{Code, Error};

/// A password as somebody typed it at sign-in: checked against a hash, and
/// against nothing else, so that an old one still opens its account.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct TypedPassword(SecretString);

/// The form in which passwords are counted, compared and hashed (NFC): which
/// of two spellings of one text a keyboard sends is not the user's doing.
fn normalize(text: &SecretString) -> SecretString {
    text.expose_secret().nfc().collect::<String>().into()
}

/// Says what kind of thing went wrong, never of which hash.
fn internal(cause: impl std::fmt::Display) -> Error {
    Error::new(Code::Internal).caused_by(std::io::Error::other(format!("password hashing: {cause}")))
}
