//! Which passwords are taken (NIST SP 800-63B, 3.1.1.2): long ones, not common
//! ones, not the account's own names. Nothing is cut off and no composition is
//! asked for.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{TypedPassword, common, normalize, own_names};
use crate::error::{Error, Result};

/// A password of 12 to 128 Unicode scalar values after NFC that is not common.
///
/// Who takes one also calls [`NewPassword::check_against`]: what the account is
/// called stands elsewhere in the request, or in the database.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "SecretString")]
pub struct NewPassword(pub(super) SecretString);

impl TryFrom<SecretString> for NewPassword {
    type Error = &'static str;

    fn try_from(text: SecretString) -> Result<Self, Self::Error> {
        let normal = normalize(&text);
        let characters = normal.expose_secret().chars().count();
        if normal.expose_secret().contains('\0') {
            Err("must not contain NUL")
        } else if !(12..=128).contains(&characters) {
            Err("must have 12 to 128 characters")
        } else if common::is_common(normal.expose_secret()) {
            Err("must be harder to guess than common words, names, dates and runs with a few signs added: \
                 four words that have nothing to do with each other are enough")
        } else {
            Ok(Self(normal))
        }
    }
}

impl NewPassword {
    /// Whether it is the one that was typed: to be asked once that is known to
    /// be the account's own.
    #[must_use]
    pub fn is(&self, typed: &TypedPassword) -> bool {
        self.0.expose_secret() == normalize(&typed.0).expose_secret()
    }

    /// Refuses a password that is made of what the account is called: `names`
    /// are its e-mail address, its display name, its organization's slug and
    /// name, in any order and form. `field` is the request's member that the
    /// password came in.
    ///
    /// # Errors
    /// `VAL_001` at `field`.
    pub fn check_against(&self, field: &'static str, names: &[&str]) -> Result<()> {
        if own_names::make_up(self.0.expose_secret(), names) {
            return Err(Error::field(
                field,
                "must not be made of your e-mail address, your name or your organization's",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn new(text: &str) -> Result<NewPassword, &'static str> {
        NewPassword::try_from(SecretString::from(text.to_owned()))
    }

    /// So many characters that nobody guesses.
    fn odd(count: usize) -> String {
        "äß漢🦀é".chars().chain(('\u{4e00}'..).step_by(7)).take(count).collect()
    }

    #[test]
    fn length_is_counted_in_characters_and_nothing_is_cut_off() {
        for (count, fits) in [(11, false), (12, true), (128, true), (129, false)] {
            let password = new(&odd(count));
            assert_eq!(password.is_ok(), fits, "{count}");
            assert!(password.is_err() || password.is_ok_and(|password| *password.0.expose_secret() == odd(count)));
        }
    }

    #[test]
    fn length_is_counted_after_composition() {
        // Twelve letters with a combining diaeresis each are twelve characters.
        let decomposed = |letters: &str| letters.chars().flat_map(|c| [c, '\u{308}']).collect::<String>();
        assert!(new(&decomposed("aeiouyaouiey")).is_ok());
        assert_eq!(new(&decomposed("aeiouyaouie")).err(), Some("must have 12 to 128 characters"));
    }

    #[test]
    fn nul_is_refused_and_every_other_character_is_taken() {
        assert_eq!(new("vN4!x9TzQ#1m\0").err(), Some("must not contain NUL"));
        for odd in ["\u{1}", "\n", " ", "\u{7f}", "\u{feff}", "\u{202e}", "\u{10ffff}"] {
            assert!(new(&format!("vN4!x9TzQ#1m{odd}")).is_ok(), "{odd:?}");
        }
    }

    #[test]
    fn what_is_long_enough_may_still_be_common() {
        for common in ["passwordpassword", "Password123456!", "qwertyuiop123"] {
            assert!(new(common).is_err_and(|message| message.starts_with("must be harder to guess")), "{common}");
        }
    }

    #[test]
    fn the_field_that_is_refused_is_the_one_that_was_sent() {
        let password = new("ada-lovelace!7").expect("not common");
        let refused = password.check_against("new_password", &["ada.lovelace@acme.example"]);
        let error = refused.expect_err("made of the address");
        assert_eq!(error.code(), Code::ValidationFailed);
        assert!(password.check_against("new_password", &["eve@other.example"]).is_ok());
    }
}
