//! Secrets Manager and KMS, as the harness needs them: one read, the bare time of a
//! batch, and answers that are recorded once and replayed, so that a slow
//! emulator does not stand in the functions' init.

use std::collections::HashMap;
use std::io::{self, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::Result;
use crate::http1::{Message, answer};

/// A Secrets Manager that is reached in plain text and checks no signature.
#[derive(Clone)]
pub(crate) struct Endpoint {
    host: String,
    port: u16,
}

impl Endpoint {
    /// Reads `http://host:port`.
    ///
    /// # Errors
    /// It is something else.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let parsed = url.strip_prefix("http://").and_then(|rest| {
            let (host, port) = rest.trim_end_matches('/').rsplit_once(':')?;
            Some(Self { host: host.to_owned(), port: port.parse().ok()? })
        });
        parsed.ok_or_else(|| "AWS_ENDPOINT_URL is not http://host:port of an emulator".into())
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}:{}", self.host, self.port)
    }

    /// The text of a secret.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn value(&self, id: &str) -> Result<String> {
        let body = json!({ "SecretId": id }).to_string();
        let answer = self.call("secretsmanager.GetSecretValue", body.as_bytes())?;
        let answer: Value = serde_json::from_slice(&answer.body)?;
        Ok(answer["SecretString"].as_str().ok_or_else(|| format!("the secret {id} cannot be read"))?.to_owned())
    }

    /// Creates a secret, whose name is its id.
    ///
    /// # Errors
    /// It cannot be created.
    pub(crate) fn create_secret(&self, name: &str, value: &str) -> Result<String> {
        let body = json!({ "Name": name, "SecretString": value, "ClientRequestToken": format!("{name:-<32}") });
        self.expect("secretsmanager.CreateSecret", &body)?;
        Ok(name.to_owned())
    }

    /// Creates a KMS key that signs with ES256: its id, and its public key in DER.
    ///
    /// # Errors
    /// It cannot be created.
    pub(crate) fn create_signing_key(&self) -> Result<(String, Vec<u8>)> {
        let created =
            self.expect("TrentService.CreateKey", &json!({ "KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY" }))?;
        let id = created["KeyMetadata"]["KeyId"].as_str().ok_or("CreateKey gave no KeyId")?.to_owned();
        let public = self.expect("TrentService.GetPublicKey", &json!({ "KeyId": id }))?;
        let public = public["PublicKey"].as_str().ok_or("GetPublicKey gave no PublicKey")?;
        Ok((id, STANDARD.decode(public)?))
    }

    fn expect(&self, target: &str, body: &Value) -> Result<Value> {
        let answer = self.call(target, body.to_string().as_bytes())?;
        if answer.target() != "200" {
            return Err(format!("{target}: {}", answer.start).into());
        }
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// The median time of one batch read over a connection of its own.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn batch_time(&self, ids: &[String], count: usize) -> Result<Duration> {
        let body = json!({ "SecretIdList": ids }).to_string();
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let start = Instant::now();
            let answer = self.call("secretsmanager.BatchGetSecretValue", body.as_bytes())?;
            times.push(start.elapsed());
            if answer.target() != "200" {
                return Err(format!("BatchGetSecretValue: {}", answer.start).into());
            }
        }
        times.sort_unstable();
        Ok(times[count / 2])
    }

    /// A server that hands each request through once and replays its answer
    /// from then on. It lives as long as the harness.
    ///
    /// # Errors
    /// No port is to be had.
    pub(crate) fn replayed(&self) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let upstream = self.clone();
        thread::spawn(move || {
            let recorded = Arc::new(Mutex::new(HashMap::new()));
            for stream in listener.incoming().flatten() {
                let (upstream, recorded) = (upstream.clone(), Arc::clone(&recorded));
                thread::spawn(move || replay(stream, &upstream, &recorded));
            }
        });
        Ok(Self { host: "127.0.0.1".to_owned(), port })
    }

    fn call(&self, target: &str, body: &[u8]) -> io::Result<Message> {
        let mut stream = TcpStream::connect((self.host.as_str(), self.port))?;
        stream.set_nodelay(true)?;
        let service = if target.starts_with("TrentService") { "kms" } else { "secretsmanager" };
        let mut request = format!(
            "POST / HTTP/1.1\r\nHost: {}:{}\r\nConnection: close\r\n\
             Content-Type: application/x-amz-json-1.1\r\nX-Amz-Target: {target}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=bench/20260101/us-east-1/{service}/aws4_request\r\n\
             Content-Length: {}\r\n\r\n",
            self.host,
            self.port,
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        stream.write_all(&request)?;
        Message::read(&mut BufReader::new(stream))?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// Answers by target and body.
type Recorded = HashMap<(String, Vec<u8>), Vec<u8>>;

fn replay(stream: TcpStream, upstream: &Endpoint, recorded: &Mutex<Recorded>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = Message::read(&mut reader)? {
        let key = (request.header("x-amz-target").unwrap_or_default().to_owned(), request.body);
        let known = recorded.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let bytes = if let Some(bytes) = known {
            bytes
        } else {
            let given = upstream.call(&key.0, &key.1)?;
            let status = given.start.split_once(' ').map_or("502 Bad Gateway", |(_, status)| status);
            let bytes = answer(status, "Content-Type: application/x-amz-json-1.1\r\n", &given.body);
            // A read of a secret may be repeated; nothing else may.
            if given.target() == "200" && key.0.ends_with("GetSecretValue") {
                recorded.lock().unwrap_or_else(PoisonError::into_inner).insert(key, bytes.clone());
            }
            bytes
        };
        writer.write_all(&bytes)?;
    }
    Ok(())
}
