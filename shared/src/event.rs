//! What API Gateway sends, before `lambda_http` makes a request of it: that
//! conversion panics on what is no URI, where no answer of ours can be given.

use lambda_http::request::LambdaRequest;

/// Puts an event into a form that converts. A query string may hold whatever a
/// client sent: what a URI cannot hold is percent-encoded (RFC 3986, 2.1),
/// which it should have been.
pub(crate) fn clean(mut event: LambdaRequest) -> LambdaRequest {
    if let LambdaRequest::ApiGatewayV2(event) = &mut event {
        if let Some(query) = event.raw_query_string.as_mut().filter(|query| !query.bytes().all(may_stand)) {
            *query = query.bytes().map(encoded).collect();
        }
        // The URI's scheme and host, which we never look at.
        event.headers.remove("x-forwarded-proto");
        event.headers.remove(http::header::HOST);
        event.request_context.domain_name = None;
    }
    event
}

/// Whether a URI's query may hold `byte` (RFC 3986, 3.4).
fn may_stand(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte)
}

fn encoded(byte: u8) -> String {
    if may_stand(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Event;

    #[test]
    fn whatever_a_client_puts_into_its_query_becomes_a_request() {
        for query in ["q=<a b>", "q=\"", "a|b{c}^`\\", "ä=\u{7f}", "\r\nx: y", "a[]=1", "%zz", "q=1#f"] {
            let event = Event::get("/api/v1/todos").edit(|event| event["rawQueryString"] = query.into());
            let request = event.into_request();
            assert_eq!(request.uri().path(), "/api/v1/todos", "{query}");
            assert!(request.uri().query().is_some_and(|query| query.bytes().all(may_stand)), "{query}");
        }
        let plain = Event::get("/api/v1/todos?q=a%20b&limit=2").into_request();
        assert_eq!(plain.uri().query(), Some("q=a%20b&limit=2"));
    }

    #[test]
    fn odd_hosts_and_schemes_become_a_request() {
        for (name, value) in [("host", "a b"), ("host", "["), ("host", ""), ("x-forwarded-proto", "ht tp")] {
            let request = Event::get("/api/v1/todos").header(name, value).into_request();
            assert_eq!(request.uri().path(), "/api/v1/todos", "{name}: {value}");
        }
    }
}
