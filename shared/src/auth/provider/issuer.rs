//! Issuer identifiers.

use http::Uri;
use serde::{Deserialize, Serialize};

use crate::config::is_loopback;

const LONGEST: usize = 500;

/// What stands in `iss` of a provider's tokens, and where its configuration
/// lies (RFC 8414, 2): an https URL of up to 500 characters
/// without user, query and fragment. It is compared letter by letter, so
/// nothing is normalized, not even a trailing slash. On loopback it may be http:
/// whether loopback may be called at all is for `shared::fetch` to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Issuer(String);

impl Issuer {
    /// What it must be, in our words.
    pub const FORM: &str = "must be an https URL of 500 characters at most, without user, query and fragment";

    /// Whether both name the same place, which is more than that they are
    /// equal: case and a trailing slash do not matter here.
    #[must_use]
    pub fn is_at(&self, other: &str) -> bool {
        self.trim_end_matches('/').eq_ignore_ascii_case(other.trim_end_matches('/'))
    }
}

impl TryFrom<String> for Issuer {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let uri = Uri::try_from(&text).ok().filter(|_| text.len() <= LONGEST).ok_or(Self::FORM)?;
        let host = uri.host().unwrap_or_default();
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://").filter(|_| is_loopback(host)));
        let rest = rest.filter(|_| !host.is_empty()).ok_or(Self::FORM)?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let port = authority.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'));
        let port_stands = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number > 0));
        let is_clear = path.split('/').all(|segment| segment != "." && segment != "..");
        let is_plain = authority.bytes().all(may_stand_in_authority) && path.bytes().all(may_stand_in_path);
        if port_stands && is_clear && is_plain { Ok(Self(text)) } else { Err(Self::FORM) }
    }
}

/// A host's name or address, and a port: no user (RFC 3986, 3.2).
fn may_stand_in_authority(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte)
}

/// RFC 3986, 3.3.
fn may_stand_in_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:@".contains(&byte)
}

impl std::ops::Deref for Issuer {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer(text: &str) -> Result<Issuer, &'static str> {
        Issuer::try_from(text.to_owned())
    }

    #[test]
    fn an_issuer_is_an_https_url_and_stays_letter_by_letter() {
        for good in [
            "https://login.example.com",
            "https://login.example.com/",
            "https://Login.example.com/Acme/v2.0",
            "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEf",
            "https://idp.example.com:8443/realms/acme%20health",
            "https://[2001:db8::1]/x",
            "http://127.0.0.1:9400",
            "http://[::1]:9400/x",
        ] {
            assert_eq!(&*issuer(good).expect(good), good);
        }
        let longest = format!("https://login.example.com/{}", "a".repeat(500 - 26));
        assert!(issuer(&longest).is_ok() && issuer(&format!("{longest}a")).is_err());
    }

    #[test]
    fn what_is_no_plain_https_url_is_refused() {
        for bad in [
            "",
            "login.example.com",
            "http://login.example.com",
            "http://127.0.0.1.example.com",
            "http://10.0.0.1",
            "http://user@127.0.0.1",
            "HTTPS://login.example.com",
            "ftp://login.example.com",
            "https:/login.example.com",
            "https://",
            "https:///x",
            "https://:443/x",
            "https://login.example.com:",
            "https://login.example.com:0",
            "https://login.example.com:99999",
            "https://user@login.example.com",
            "https://user:password@login.example.com",
            "https://login.example.com?tenant=acme",
            "https://login.example.com/?",
            "https://login.example.com#top",
            "https://login.example.com/#",
            "https://login.example.com\\@evil.example",
            "https://login.example.com/../x",
            "https://login.example.com/./x",
            "https://login.example.com/a b",
            "https://login.example.com/a\nb",
            " https://login.example.com",
            "https://login.example.com\0",
            "https://lögin.example.com",
            "https://login.example.com/\u{fffd}",
            "https://[::1",
        ] {
            assert!(issuer(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_same_place_is_known_in_another_spelling() {
        let issuer = issuer("https://Auth.example.com/").expect("an issuer");
        assert!(issuer.is_at("https://auth.example.com"));
        assert!(!issuer.is_at("https://auth.example.com.evil"));
    }
}
