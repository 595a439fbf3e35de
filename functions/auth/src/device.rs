//! What a list of sessions calls a device.
//!
//! A label to recognize one's own devices by, nothing that is decided upon: so
//! a few names in order stand here, and no parser of every browser there was.

/// Browsers and tools by the product in their `User-Agent` (RFC 9110, 10.1.5);
/// the more particular ones first, since most claim to be Chrome or Safari too.
const PROGRAMS: [(&str, &str); 12] = [
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("PostmanRuntime/", "Postman"),
    ("okhttp/", "Android app"),
];

const SYSTEMS: [(&str, &str); 7] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
];

/// The longest product name that is shown as it came.
const LONGEST: usize = 40;

/// `Firefox on Windows`, `curl`, `Unknown device`.
pub(crate) fn label(user_agent: Option<&str>) -> String {
    let text = user_agent.unwrap_or_default();
    let named =
        |names: &[(&str, &'static str)]| names.iter().find(|(part, _)| text.contains(part)).map(|(_, name)| *name);
    match (named(&PROGRAMS), named(&SYSTEMS)) {
        (Some(program), Some(system)) => format!("{program} on {system}"),
        (Some(program), None) => program.to_owned(),
        (None, Some(system)) => system.to_owned(),
        (None, None) => product(text).unwrap_or("Unknown device").to_owned(),
    }
}

/// The first product's name, if it is one.
fn product(text: &str) -> Option<&str> {
    let name = text.split(['/', ' ']).next()?;
    let sound = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    (sound && (1..=LONGEST).contains(&name.len())).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn a_device_is_called_by_its_browser_and_its_system() {
        for (user_agent, expected) in [
            ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Windows"),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Safari/605.1.15",
                "Safari on macOS",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
                "Chrome on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0 Mobile/15E148 Safari/604.1",
                "Chrome on iPhone",
            ),
            (
                "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            ("curl/8.14.1", "curl"),
            ("tenantry-test", "tenantry-test"),
            ("", "Unknown device"),
            ("<script>alert(1)</script>", "Unknown device"),
            ("\u{1b}[31m", "Unknown device"),
        ] {
            assert_eq!(label(Some(user_agent)), expected, "{user_agent}");
        }
        assert_eq!(label(None), "Unknown device");
        assert_eq!(label(Some(&"a".repeat(41))), "Unknown device");
    }
}
