//! URLs that may be called.

use std::net::{IpAddr, SocketAddr};

use http::{
    Uri,
    uri::{PathAndQuery, Scheme},
};

use super::FetchError;

/// The longest URL that is looked at, in bytes.
const LONGEST: usize = 2048;

/// What a URL says.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) tls: bool,
    /// The host without the brackets of an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
    /// Host and port as they stand in `Host`.
    pub(super) authority: String,
    pub(super) path: PathAndQuery,
}

impl Target {
    /// Reads an https URL (or http, where `plaintext` is allowed) with no user
    /// and no fragment, whose port is in its plainest form or absent.
    pub(super) fn parse(url: &str, plaintext: bool) -> Result<Self, FetchError> {
        let refused = FetchError::UrlRefused;
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"#\\".contains(&byte);
        if url.len() > LONGEST || !url.bytes().all(plain) {
            return Err(refused);
        }
        let uri: Uri = url.parse().map_err(|_| refused)?;
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP && plaintext => false,
            _ => return Err(refused),
        };
        let authority = uri.authority().ok_or(refused)?;
        let given = authority.port_u16();
        let port = given.unwrap_or(if tls { 443 } else { 80 });
        let spelled = given.map_or_else(String::new, |port| format!(":{port}"));
        // Nothing but host and port: no user, and no port that is no number.
        if port == 0 || authority.as_str() != format!("{}{spelled}", authority.host()) {
            return Err(refused);
        }
        let host = match authority.host().strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').filter(|rest| rest.parse::<IpAddr>().is_ok()).ok_or(refused)?,
            None => authority.host(),
        };
        let of_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
        if host.is_empty() || !host.bytes().all(of_host) {
            return Err(refused);
        }
        let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok(Self { tls, host: host.to_owned(), port, authority: authority.as_str().to_owned(), path })
    }

    /// The address, where the host is one and no name.
    pub(super) fn literal(&self) -> Option<SocketAddr> {
        self.host.parse().ok().map(|address| SocketAddr::new(address, self.port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_as_it_is_called() {
        let target = Target::parse("https://login.example.com:8443/a/b?p=c", false).unwrap();
        assert_eq!((target.tls, &*target.host, target.port), (true, "login.example.com", 8443));
        assert_eq!((&*target.authority, target.path.as_str()), ("login.example.com:8443", "/a/b?p=c"));
        assert_eq!(target.literal(), None);
        let target = Target::parse("https://[2001:4860::8888]", false).unwrap();
        assert_eq!((&*target.host, target.port, target.path.as_str()), ("2001:4860::8888", 443, "/"));
        assert_eq!(target.literal(), Some("[2001:4860::8888]:443".parse().unwrap()));
        assert!(Target::parse("http://127.0.0.1:8080/", true).is_ok_and(|target| !target.tls));
    }

    #[test]
    fn k7_what_is_no_plain_https_url_is_refused() {
        let long = format!("https://example.com/{}", "a".repeat(LONGEST));
        for url in [
            "",
            "example.com",
            "/path",
            "http://example.com",
            "http://127.0.0.1",
            "ftp://example.com",
            "file:///etc/passwd",
            "gopher://example.com",
            "https://",
            "https:///path",
            "https:example.com",
            "https://user@example.com",
            "https://user:word@example.com",
            "https://@example.com",
            "https://example.com@169.254.169.254/",
            "https://example.com#@169.254.169.254/",
            "https://example.com/#fragment",
            "https://example.com:0",
            "https://example.com:",
            "https://example.com:0443",
            "https://example.com:65536",
            "https://example.com:443x",
            "https://exa mple.com",
            "https://example.com\\@127.0.0.1",
            "https://example.com/\r\nHost: 127.0.0.1",
            "https://ex%61mple.com",
            "https://ｅxample.com",
            "https://[::1",
            "https://[v1.x]",
            "https://[fe80::1%25eth0]/",
            "https://*.example.com",
            &long,
        ] {
            assert_eq!(Target::parse(url, false).err(), Some(FetchError::UrlRefused), "{url}");
        }
    }
}
