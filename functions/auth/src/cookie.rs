//! The refresh token as a cookie, where scripts of a page cannot read it.

use cookie::{Cookie, SameSite};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{COOKIE, SET_COOKIE},
};
use serde::Deserialize;
use time::Duration;

use crate::session::Tokens;

/// Its prefix has browsers refuse it unless it is `Secure`, has the path `/`
/// and no `Domain` (RFC 6265bis, 4.1.3.2): no neighbour domain can set it.
pub(crate) const NAME: &str = "__Host-refresh";

/// The `Set-Cookie` header of an answer, if it has one.
pub(crate) type SetCookie = Option<[(HeaderName, HeaderValue); 1]>;

/// How a client keeps its refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    /// By itself: it gets it in the body.
    #[default]
    Body,
    /// Its browser keeps it.
    Cookie,
}

impl Transport {
    /// Takes the refresh token out of the body where it is to be a cookie.
    pub(crate) fn carry(self, tokens: &mut Tokens) -> SetCookie {
        let token = tokens.refresh_token.take_if(|_| self == Self::Cookie)?;
        set(token, Duration::seconds(tokens.refresh_expires_in))
    }
}

/// The token among the cookies of a request. Of two with the name, none: one
/// of them is not ours.
pub(crate) fn sent(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let cookies = lines.flat_map(Cookie::split_parse).filter_map(Result::ok);
    let mut tokens = cookies.filter(|cookie| cookie.name() == NAME).map(|cookie| cookie.value().to_owned());
    let token = tokens.next()?;
    tokens.next().is_none().then_some(token)
}

/// Has the browser forget the cookie, if it sent one.
pub(crate) fn forget(headers: &HeaderMap) -> SetCookie {
    let names = |line: &HeaderValue| line.as_bytes().windows(NAME.len()).any(|part| part == NAME.as_bytes());
    headers.get_all(COOKIE).iter().any(names).then(|| set(String::new(), Duration::ZERO))?
}

fn set(value: String, max_age: Duration) -> SetCookie {
    let cookie = Cookie::build((NAME, value)).path("/").max_age(max_age);
    let cookie = cookie.secure(true).http_only(true).same_site(SameSite::Strict).build();
    Some([(SET_COOKIE, cookie.to_string().try_into().ok()?)])
}

#[cfg(test)]
mod tests;
