//! The refresh token as a cookie, where scripts of a page cannot read it.

use cookie::{Cookie, SameSite};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{COOKIE, SET_COOKIE},
};
use serde::Deserialize;
use time::Duration;

use super::Tokens;

/// Its prefix has browsers refuse it unless it is `Secure`, has the path `/`
/// and no `Domain` (RFC 6265bis, 4.1.3.2): no neighbour domain can set it.
pub const NAME: &str = "__Host-refresh";

/// The `Set-Cookie` header of an answer, if it has one.
pub type SetCookie = Option<[(HeaderName, HeaderValue); 1]>;

/// How a client keeps its refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// By itself: it gets it in the body.
    #[default]
    Body,
    /// Its browser keeps it.
    Cookie,
}

impl Transport {
    /// Takes the refresh token out of the body where it is to be a cookie.
    #[must_use]
    pub fn carry(self, tokens: &mut Tokens) -> SetCookie {
        let token = tokens.refresh_token.take_if(|_| self == Self::Cookie)?;
        set(token, Duration::seconds(tokens.refresh_expires_in))
    }
}

/// The token among the cookies of a request. Of two with the name, none: one
/// of them is not ours.
///
/// Read as bytes, since a neighbour's cookie may hold any. Nothing but ASCII
/// blanks is cut off a name (RFC 6265bis, 5.6): with Unicode's, a name that no
/// browser takes for a prefixed one would become ours.
#[must_use]
pub fn sent(headers: &HeaderMap) -> Option<String> {
    sent_as(NAME, headers)
}

/// The same for a cookie of another name.
#[must_use]
pub fn sent_as(name: &str, headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let cookies = lines.flat_map(|line| line.split(|byte| *byte == b';')).map(<[u8]>::trim_ascii);
    let named = |cookie: &'_ [u8]| cookie.strip_prefix(name.as_bytes())?.strip_prefix(b"=").map(<[u8]>::to_vec);
    let mut tokens = cookies.filter_map(named);
    let token = tokens.next()?;
    // What is no text is no token either, but it was sent.
    tokens.next().is_none().then(|| String::from_utf8(token).unwrap_or_default())
}

/// Has the browser forget the cookie, if it sent one.
#[must_use]
pub fn forget(headers: &HeaderMap) -> SetCookie {
    let names = |line: &HeaderValue| line.as_bytes().windows(NAME.len()).any(|part| part == NAME.as_bytes());
    headers.get_all(COOKIE).iter().any(names).then(|| set(String::new(), Duration::ZERO))?
}

fn set(value: String, max_age: Duration) -> SetCookie {
    set_as(NAME, value, max_age, SameSite::Strict)
}

/// A cookie by this name that a browser also sends where another site leads it
/// here by a link (`SameSite=Lax`): what an identity provider's answer is.
#[derive(Debug, Clone, Copy)]
pub struct Lax(pub &'static str);

impl Lax {
    /// Has the browser keep `value` for so long.
    #[must_use]
    pub fn set(self, value: String, max_age: Duration) -> SetCookie {
        set_as(self.0, value, max_age, SameSite::Lax)
    }
}

fn set_as(name: &'static str, value: String, max_age: Duration, same_site: SameSite) -> SetCookie {
    let cookie = Cookie::build((name, value)).path("/").max_age(max_age);
    let cookie = cookie.secure(true).http_only(true).same_site(same_site).build();
    Some([(SET_COOKIE, cookie.to_string().try_into().ok()?)])
}
