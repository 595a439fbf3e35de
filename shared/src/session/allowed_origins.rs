//! The web origins whose pages may use the refresh cookie.

use http::{HeaderMap, header::ORIGIN};

use crate::{
    config::{Environment, is_web_origin},
    error::{Code, Error, Result},
};

/// Exact origins (RFC 6454), in lower case.
#[derive(Debug, Clone, Default)]
pub struct AllowedOrigins(Vec<String>);

impl AllowedOrigins {
    /// Reads `ALLOWED_ORIGINS`, separated by commas. Where it is not set, no
    /// page may.
    pub fn read(env: &mut Environment<'_>) -> Self {
        let list =
            |text: &str| text.split(',').map(|origin| is_web_origin(origin).then(|| origin.to_owned())).collect();
        let expected = "https origins (http on loopback), separated by commas, without paths, wildcards or blanks";
        Self(env.parsed("ALLOWED_ORIGINS", Vec::new(), expected, list))
    }

    /// Whether `origin` is one of them, letter by letter.
    #[must_use]
    pub fn have(&self, origin: &str) -> bool {
        self.0.iter().any(|allowed| allowed == origin)
    }

    /// Refuses a request whose cookie may have been sent by a foreign page.
    /// Browsers state the origin of every POST; where it is absent or `null`
    /// nobody knows.
    ///
    /// # Errors
    /// `AUTH_011`.
    pub fn check(&self, headers: &HeaderMap) -> Result<()> {
        let mut stated = headers.get_all(ORIGIN).iter();
        let origin = stated.next().filter(|_| stated.next().is_none());
        let allowed = origin.and_then(|origin| origin.to_str().ok()).is_some_and(|origin| self.have(origin));
        let refused =
            || Error::new(Code::OriginNotAllowed).detail("Pages of this origin may not use the refresh cookie.");
        if allowed { Ok(()) } else { Err(refused()) }
    }
}
