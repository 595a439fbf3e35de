//! Where a browser may be sent after its sign-in.

use shared::{Error, Result, config::Environment, session::AllowedOrigins};

/// The longest target that is taken, in bytes.
const LONGEST: usize = 2048;
const NAME: &str = "SIGN_IN_REDIRECT_URIS";

/// The targets that are allowed. A target is an allowed origin and a path; a
/// query may follow, a fragment may not.
#[derive(Debug, Clone)]
pub(crate) struct Redirects {
    origins: AllowedOrigins,
    /// Origin and path, letter by letter; empty where every path may be.
    exact: Vec<String>,
}

impl Redirects {
    /// Reads `SIGN_IN_REDIRECT_URIS`, separated by commas. Where it is not set,
    /// every path of the allowed origins may be a target.
    pub(crate) fn read(origins: &AllowedOrigins, env: &mut Environment<'_>) -> Self {
        let every = Self { origins: origins.clone(), exact: Vec::new() };
        let one = |text: &str| (!text.contains('?') && every.origin_fits(text)).then(|| text.to_owned());
        let list = |text: &str| text.split(',').map(one).collect();
        let expected = "URLs on ALLOWED_ORIGINS, separated by commas, without query and fragment";
        let exact = env.parsed(NAME, Vec::new(), expected, list);
        Self { exact, ..every }
    }

    /// Takes a target that is allowed.
    ///
    /// # Errors
    /// `VAL_001` at `redirect_uri`.
    pub(crate) fn check(&self, target: &str) -> Result<()> {
        let place = target.split('?').next().unwrap_or_default();
        let is_named = self.exact.is_empty() || self.exact.iter().any(|exact| exact == place);
        if is_named && self.origin_fits(target) {
            return Ok(());
        }
        Err(Error::field("redirect_uri", "must be a URL that this deployment redirects to"))
    }

    /// Whether it begins with an allowed origin, letter by letter, that ends
    /// there, and holds nothing that a browser would read otherwise.
    fn origin_fits(&self, target: &str) -> bool {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\\#\"<>^`{|}".contains(&byte);
        let authority = target.find("://").map(|at| at + 3);
        let ends = authority.map(|from| target[from..].find(['/', '?']).map_or(target.len(), |at| from + at));
        target.len() <= LONGEST
            && target.bytes().all(plain)
            && ends.is_some_and(|ends| self.origins.have(&target[..ends]))
    }
}
