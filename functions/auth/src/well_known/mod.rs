//! What others may know about our tokens: the keys that check them, and where
//! to find what concerns them.

mod discovery;
mod jwks;

use http::{HeaderName, HeaderValue, header::CACHE_CONTROL};

pub(crate) use discovery::discovery;
pub(crate) use jwks::jwks;

/// Ten minutes: no longer than our own functions keep their keys.
const CACHEABLE: [(HeaderName, HeaderValue); 1] = [(CACHE_CONTROL, HeaderValue::from_static("public, max-age=600"))];
