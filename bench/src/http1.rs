//! As much of HTTP/1.1 as the Runtime API and Secrets Manager need: messages
//! with a `Content-Length` or in chunks, over blocking sockets. A blocking
//! read adds the least to what it times.

use std::io::{self, BufRead, BufReader, Read};
use std::net::TcpStream;

/// A request or an answer.
pub(crate) struct Message {
    /// Its first line.
    pub(crate) start: String,
    headers: Vec<(String, String)>,
    /// Its body, empty if it has none.
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// Reads one message, or nothing at the end of the stream.
    ///
    /// # Errors
    /// The stream fails or ends within a message, or it is not HTTP.
    pub(crate) fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Self>> {
        let start = line(stream)?;
        if start.is_empty() {
            return Ok(None);
        }
        let mut message = Self { start, headers: Vec::new(), body: Vec::new() };
        loop {
            let header = line(stream)?;
            let Some((name, value)) = header.split_once(':') else { break };
            message.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        if message.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            message.body = chunks(stream)?;
        } else if let Some(length) = message.header("content-length") {
            message.body = exactly(stream, length.parse().map_err(invalid)?)?;
        }
        Ok(Some(message))
    }

    /// The value of a header; `name` in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The second word of the first line: a request's path, an answer's status.
    pub(crate) fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }
}

/// An answer, as bytes to write at once.
pub(crate) fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    line.truncate(line.trim_end().len());
    Ok(line)
}

fn exactly(stream: &mut BufReader<TcpStream>, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn chunks(stream: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line(stream)?;
        let size = size.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size, 16).map_err(invalid)?;
        if size == 0 {
            while !line(stream)?.is_empty() {}
            return Ok(body);
        }
        body.extend(exactly(stream, size)?);
        line(stream)?;
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
