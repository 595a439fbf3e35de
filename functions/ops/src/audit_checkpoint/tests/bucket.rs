//! A bucket with Object Lock in the emulated S3, reached without a client.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use shared::{
    clock::{Clock, SystemClock},
    testing::setting,
};

const LOCKED: &str = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
                      <Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>";

/// The emulator wants to see who asks, and believes it.
const ANYBODY: &str = "authorization: AWS4-HMAC-SHA256 Credential=test/20261121/us-east-1/s3/aws4_request, \
                       SignedHeaders=host, Signature=0";

/// A new one, and its name.
pub(crate) fn create() -> String {
    let name = format!("tests-{}", SystemClock.new_id().simple());
    let (head, _) = call("PUT", &format!("/{name}"), &["x-amz-bucket-object-lock-enabled: true"], "");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let (head, _) = call("PUT", &format!("/{name}?object-lock"), &[], LOCKED);
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    name
}

/// The head and the body of the answer.
pub(crate) fn call(method: &str, target: &str, headers: &[&str], body: &str) -> (String, String) {
    let endpoint = setting("AWS_ENDPOINT_URL");
    let host = endpoint.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let headers: String = [ANYBODY].iter().chain(headers).flat_map(|header| [*header, "\r\n"]).collect();
    let length = body.len();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nhost: {host}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}
