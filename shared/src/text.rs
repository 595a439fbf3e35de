//! Text that was checked once, on the way in: private fields, `TryFrom`, serde.
//!
//! Every message completes "`field` ..." and begins with "must", which is how
//! [`crate::extract`] tells our words from a library's.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Text of `MIN` to `MAX` Unicode scalar values, without NUL; where `MIN` is
/// not zero, not all white space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Text<const MIN: usize, const MAX: usize>(String);

impl<const MIN: usize, const MAX: usize> TryFrom<String> for Text<MIN, MAX> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.contains('\0') {
            return Err("must not contain NUL".into());
        }
        if !(MIN..=MAX).contains(&text.chars().count()) || (MIN > 0 && text.trim().is_empty()) {
            return Err(format!("must have {MIN} to {MAX} characters"));
        }
        Ok(Self(text))
    }
}

impl<const MIN: usize, const MAX: usize> std::ops::Deref for Text<MIN, MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// An e-mail address in lower case, 3 to 254 characters. Whether it can be
/// reached is for a message to it to find out, not for a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Email(String);

impl TryFrom<String> for Email {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const MESSAGE: &str = "must be an e-mail address";
        let text = text.trim().to_lowercase();
        let (local, domain) = text.rsplit_once('@').ok_or(MESSAGE)?;
        let clean = |part: &str| !part.is_empty() && !part.chars().any(|c| c.is_whitespace() || c.is_control());
        let labels_stand = domain.split('.').all(|label| !label.is_empty());
        if text.chars().count() > 254 || !clean(local) || local.contains('@') || !clean(domain) || !labels_stand {
            return Err(MESSAGE);
        }
        Ok(Self(text))
    }
}

impl std::ops::Deref for Email {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// An organization's name in URLs and at sign-in: a DNS label (RFC 1123) in
/// lower case, 1 to 63 characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Slug(String);

impl TryFrom<String> for Slug {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let letter = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        let bytes = text.as_bytes();
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
            return Err("must have 1 to 63 characters");
        };
        if bytes.len() > 63 || !letter(*first) || !letter(*last) || !bytes.iter().all(|c| letter(*c) || *c == b'-') {
            return Err("must have 1 to 63 of a-z, 0-9 and inner hyphens");
        }
        Ok(Self(text))
    }
}

impl std::ops::Deref for Slug {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text of 1 to `MAX` visible ASCII characters: what other systems compare
/// letter by letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct VisibleAscii<const MAX: usize>(String);

impl<const MAX: usize> TryFrom<String> for VisibleAscii<MAX> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if !(1..=MAX).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("must have 1 to {MAX} printable ASCII characters and no space"));
        }
        Ok(Self(text))
    }
}

impl<const MAX: usize> std::ops::Deref for VisibleAscii<MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_counts_unicode_scalar_values_and_refuses_nul_and_blanks() {
        assert!(Text::<1, 3>::try_from("äöü".to_owned()).is_ok());
        assert!(Text::<1, 3>::try_from("äöüß".to_owned()).is_err());
        assert!(Text::<1, 3>::try_from(" \t".to_owned()).is_err());
        assert!(Text::<0, 3>::try_from("a\0".to_owned()).is_err());
    }

    #[test]
    fn visible_ascii_has_no_space_and_no_other_letters() {
        for good in ["a", "!~", "x:y"] {
            assert!(VisibleAscii::<3>::try_from(good.to_owned()).is_ok(), "{good:?}");
        }
        for bad in ["", "abcd", "a b", "a\t", "\0", "ä", "\u{7f}"] {
            assert!(VisibleAscii::<3>::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_email_is_lower_case_and_has_two_parts() {
        let email = Email::try_from(" Ada@Example.ORG ".to_owned()).expect("an address");
        assert_eq!(&*email, "ada@example.org");
        for bad in ["", "a", "@b.c", "a@", "a b@c.d", "a@b..c", "a@b@c.d", "a\0@b.c"] {
            assert!(Email::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_slug_is_a_dns_label() {
        for good in ["a", "acme", "acme-health-2"] {
            assert!(Slug::try_from(good.to_owned()).is_ok(), "{good:?}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a.b", "a'b", &"a".repeat(64)] {
            assert!(Slug::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }
}
