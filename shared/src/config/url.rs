//! URLs and origins, as settings have them.

use std::net::IpAddr;

/// Whether `text` is a web origin as browsers state it (RFC 6454, 6.2): https,
/// or http on loopback, a host and perhaps a port, all in lower case.
#[must_use]
pub fn is_web_origin(text: &str) -> bool {
    let (host, plaintext) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(host), _) => (host, false),
        (None, Some(host)) => (host, true),
        (None, None) => return false,
    };
    let (name, port) = host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).unwrap_or((host, "1"));
    let sound = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-[]:".contains(&byte);
    !name.is_empty()
        && name.bytes().all(sound)
        && port.parse::<u16>().is_ok_and(|number| number > 0 && number.to_string() == port)
        && (!plaintext || is_loopback(name))
}

/// Whether `host` is this machine, by name or address.
pub(crate) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The host in `url`, without its port.
pub(super) fn url_host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|c| c.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_web_origin_is_a_scheme_a_host_and_perhaps_a_port() {
        for origin in [
            "https://app.example.com",
            "https://app.example.com:8443",
            "http://127.0.0.1:3000",
            "http://localhost",
            "http://[::1]:80",
        ] {
            assert!(is_web_origin(origin), "{origin}");
        }
        for other in [
            "",
            "null",
            "*",
            "https://",
            "https://*",
            "https://App.example.com",
            "https://app.example.com/",
            "https://app.example.com:",
            "https://app.example.com:0",
            "https://app.example.com:080",
            "https://app.example.com:99999",
            "https://u@app.example.com",
            "https://a b",
            "http://app.example.com",
            "http://localhost.example.com",
            "ftp://app.example.com",
            "app.example.com",
            " https://app.example.com",
        ] {
            assert!(!is_web_origin(other), "{other}");
        }
    }
}
