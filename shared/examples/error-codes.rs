//! Prints `docs/ERROR_CODES.md` from the registry; `make generate` runs it.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use shared::Code;

const HEAD: &str = r#"# Error codes

<!-- Generated from shared/src/error/registry.rs by `make generate`; do not edit. -->

Every error is answered as `{"error": {"code", "message", "detail", "status", "request_id", "fields"}}`, or, where the
request says `Accept: application/problem+json`, as RFC 9457 has it: `type` (the code's place on this page), `title`,
`status`, `detail`, `instance`, and `code`, `request_id`, `errors` beside them. `message` (`title`) is the fixed text
below; `detail` is a sentence about this one case, or null; `fields` (`errors`) stands only where members of the request
are at fault. A published code never changes its meaning. `request_id` is also in the header `X-Request-Id` and in our
log.

| code | status | message |
|---|---|---|"#;

fn main() {
    println!("{HEAD}");
    for code in Code::ALL {
        let (name, status, message) = (code.as_str(), code.status().as_u16(), code.message());
        println!("| [{name}](#{name}) | {status} | {message} |");
    }
    println!("\n## What to do");
    for code in Code::ALL {
        let (name, message, advice) = (code.as_str(), code.message(), code.advice());
        println!("\n<a id=\"{name}\"></a>\n**{name}** {message}. {advice}");
    }
}
