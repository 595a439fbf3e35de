//! `Idempotency-Key`: a creating request that is sent twice has one effect.
//!
//! The key is claimed in the same transaction as the change, and the answer is
//! stored with it, so there is no moment at which one stands without the other.

mod answer_key;

use aws_lc_rs::hmac;
use axum::{
    body::Body,
    extract::{FromRef, FromRequest, OriginalUri, Request},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde::de::DeserializeOwned;

use crate::{
    auth::Caller,
    db::{AnsweredBefore, Db, IdempotencyKey, Transaction},
    error::{Code, Error, Result},
    extract::{json_bytes, parse_json},
};
use answer_key::AnswerKey;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Hashes keys and bodies under a key of ours: a body may hold what is stored
/// nowhere else in clear, and a dump of the database lets nobody try until a
/// hash fits.
#[derive(Clone)]
pub struct RequestHashes(hmac::Key);

impl RequestHashes {
    /// Derives a key of its own from one that has another use.
    #[must_use]
    pub fn derived_from(key: &[u8; 32]) -> Self {
        let key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), b"idempotency");
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()))
    }

    /// Of the request `method path` with this body, under the key `name`.
    fn keyed(&self, name: &[u8], method: &Method, path: &str, body: &[u8]) -> Keyed {
        // Neither a name, a method nor a path has a line's end in it.
        let request = self.hash(&[method.as_str().as_bytes(), b"\n", path.as_bytes(), b"\n", body]);
        let claim = IdempotencyKey { key_hash: self.hash(&[name]), request_hash: request };
        Keyed { claim, answer: AnswerKey(self.hash(&[b"answer\n", name])) }
    }

    fn hash(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(context.sign().as_ref());
        hash
    }
}

/// What an `Idempotency-Key` is to its request.
#[derive(Debug, Clone)]
struct Keyed {
    claim: IdempotencyKey,
    answer: AnswerKey,
}

/// A JSON body that creates, and the key that it may carry. Extract it in place
/// of [`crate::extract::Json`].
#[derive(Debug, Clone)]
pub struct Idempotent<T> {
    /// The body.
    pub body: T,
    key: Option<Keyed>,
}

/// A transaction to create in, or the answer that was given before.
#[must_use]
pub enum Begun {
    /// The first request with this key, or one without a key.
    New(Transaction),
    /// The stored answer.
    Replay(Response),
}

impl<T> Idempotent<T> {
    /// Begins the caller's transaction and claims the key, in one round trip.
    ///
    /// # Errors
    /// `RES_004` while the same request is in flight, `RES_005` where the key
    /// was used with another body, else as [`Db::begin`].
    pub async fn begin(&self, db: &Db, caller: &Caller) -> Result<Begun> {
        match db.begin_with_key(caller, self.key.as_ref().map(|key| &key.claim)).await {
            Ok(transaction) => Ok(Begun::New(transaction)),
            Err(error) => match &self.key {
                Some(key) if answered_before(&error) => stored_answer(db, caller, key).await.map(Begun::Replay),
                _ => Err(error),
            },
        }
    }

    /// Stores the answer under the key, if there is one, and commits.
    ///
    /// # Errors
    /// As [`Transaction::commit`].
    pub async fn commit(&self, mut transaction: Transaction, caller: &Caller, answer: Response) -> Result<Response> {
        let Some(key) = &self.key else {
            transaction.commit().await?;
            return Ok(answer);
        };
        let (parts, body) = answer.into_parts();
        let body = http_body_util::BodyExt::collect(body)
            .await
            .map_err(|cause| Error::new(Code::Internal).caused_by(cause))?
            .to_bytes();
        let headers: serde_json::Map<_, _> = parts
            .headers
            .iter()
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.into())))
            .collect();
        sqlx::query!(
            "INSERT INTO idempotency_keys (tenant_id, user_id, action, key_hash, request_hash, status, headers, body_ciphertext)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            caller.tenant_id(),
            caller.user_id(),
            caller.action().as_str(),
            &key.claim.key_hash,
            &key.claim.request_hash,
            i16::try_from(parts.status.as_u16()).unwrap_or_default(),
            serde_json::Value::Object(headers),
            key.answer.seal(caller, &body)?,
        )
        .execute(&mut transaction)
        .await?;
        transaction.commit().await?;
        Ok(Response::from_parts(parts, Body::from(body)))
    }
}

fn answered_before(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<AnsweredBefore>)
}

async fn stored_answer(db: &Db, caller: &Caller, key: &Keyed) -> Result<Response> {
    let row = db
        .fetch_one(|| {
            sqlx::query!(
                r#"SELECT k.status AS "status!", k.headers AS "headers!", k.body_ciphertext AS "body!"
                     FROM app.enter($1, $2) AS caller,
                  LATERAL (SELECT status, headers, body_ciphertext FROM idempotency_keys
                            WHERE tenant_id = caller.tenant_id AND user_id = caller.user_id
                              AND action = $3 AND key_hash = $4
                            LIMIT 1) AS k"#,
                caller.tenant_id(),
                caller.session_id(),
                caller.action().as_str(),
                &key.claim.key_hash,
            )
        })
        .await?;
    let status = u16::try_from(row.status).ok().and_then(|status| StatusCode::from_u16(status).ok());
    let body = key.answer.open(caller, &row.body)?;
    let mut response = (status.unwrap_or(StatusCode::OK), body).into_response();
    let headers = response.headers_mut();
    for (name, value) in row.headers.as_object().into_iter().flatten() {
        if let (Ok(name), Some(Ok(value))) = (name.parse::<HeaderName>(), value.as_str().map(HeaderValue::try_from)) {
            headers.insert(name, value);
        }
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

impl<T, S> FromRequest<S> for Idempotent<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
    RequestHashes: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let name = key_header(request.headers())?;
        let (method, path) = (request.method().clone(), path_of(&request));
        let bytes = json_bytes(request, state).await?;
        let body = parse_json(&bytes)?;
        let hashes = RequestHashes::from_ref(state);
        let key = name.map(|name| hashes.keyed(name.as_bytes(), &method, &path, &bytes));
        Ok(Self { body, key })
    }
}

/// As it was sent, whatever router was nested on the way.
fn path_of(request: &Request) -> String {
    let original = request.extensions().get::<OriginalUri>();
    original.map_or(request.uri(), |OriginalUri(uri)| uri).path().to_owned()
}

fn key_header(headers: &HeaderMap) -> Result<Option<HeaderValue>> {
    let Some(value) = headers.get(KEY) else { return Ok(None) };
    let fits = (1..=128).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic);
    if fits {
        Ok(Some(value.clone()))
    } else {
        Err(Error::field("Idempotency-Key", "must be 1 to 128 visible ASCII characters"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_path_method_or_body_is_another_request_and_another_key_another_answer() {
        let hashes = RequestHashes::derived_from(&[7; 32]);
        let hash = |name: &str, method, path, body: &str| {
            let keyed = hashes.keyed(name.as_bytes(), method, path, body.as_bytes());
            (keyed.claim.key_hash, keyed.claim.request_hash)
        };
        let first = hash("k", &Method::POST, "/users/1/activate", "{}");
        assert_eq!(first, hash("k", &Method::POST, "/users/1/activate", "{}"));
        for (method, path, body) in [
            (&Method::POST, "/users/2/activate", "{}"),
            (&Method::PUT, "/users/1/activate", "{}"),
            (&Method::POST, "/users/1/activate", "{ }"),
        ] {
            let other = hash("k", method, path, body);
            assert_eq!(first.0, other.0);
            assert_ne!(first.1, other.1, "{method} {path} {body}");
        }
    }

    #[test]
    fn e1_no_key_that_a_client_can_choose_has_the_key_of_an_answer_stored_as_its_hash() {
        let hashes = RequestHashes::derived_from(&[7; 32]);
        let AnswerKey(secret) = hashes.keyed(b"k", &Method::POST, "/", b"{}").answer;
        for name in ["k", "answer", "answerk", "answer\\nk"] {
            let claim = hashes.keyed(name.as_bytes(), &Method::POST, "/", b"{}").claim;
            assert!(claim.key_hash != secret && claim.request_hash != secret, "{name}");
        }
        let line = HeaderValue::from_bytes(b"answer\nk");
        assert!(line.is_err(), "no header has a line's end");
    }
}
