//! Keyset pages: `?limit=&cursor=` in, `items`, `next_cursor` and `Link` out.

use aws_lc_rs::{constant_time, hmac};
use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderValue, Uri, header::LINK};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    auth::Caller,
    error::{Error, Result},
    extract::Json,
};

const TAG_BYTES: usize = 16;

/// How many items a page holds: 1 to 100, 20 by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Limit(u8);

impl Default for Limit {
    fn default() -> Self {
        Self(20)
    }
}

impl TryFrom<String> for Limit {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let limit = text.parse().ok().filter(|limit| (1..=100).contains(limit));
        limit.map(Self).ok_or("must be a number from 1 to 100")
    }
}

impl Limit {
    /// How many rows to ask for: one more than the page holds, which tells
    /// whether there is a next one.
    #[must_use]
    pub fn rows(self) -> i64 {
        i64::from(self.0) + 1
    }
}

/// The query of a list without filters. One with filters has these two among
/// them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paging {
    /// How many items.
    #[serde(default)]
    pub limit: Limit,
    /// Where to go on, from the page before.
    pub cursor: Option<String>,
}

/// Seals and opens cursors, so that a forged or a foreign one is refused. A
/// cursor is the last item's id and a tag over it, its caller and its list.
#[derive(Clone)]
pub struct Cursors(hmac::Key);

impl Cursors {
    /// Takes a 256-bit key.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The id that `cursor` points behind.
    ///
    /// # Errors
    /// `VAL_001` where it was not sealed here for this caller and this list.
    pub fn open(&self, caller: &Caller, cursor: Option<&str>) -> Result<Option<Uuid>> {
        let Some(cursor) = cursor else { return Ok(None) };
        let opened = || {
            let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
            let (id, tag) = bytes.split_at_checked(16)?;
            let id = Uuid::from_slice(id).ok()?;
            constant_time::verify_slices_are_equal(tag, &self.tag(caller, id)).ok()?;
            Some(id)
        };
        opened().map(Some).ok_or_else(|| Error::field("cursor", "must be a next_cursor of this list"))
    }

    /// Makes the page out of `limit.rows()` rows or fewer.
    pub fn page<T>(
        &self,
        caller: &Caller,
        limit: Limit,
        mut rows: Vec<T>,
        uri: Uri,
        id: impl Fn(&T) -> Uuid,
    ) -> Page<T> {
        let more = rows.len() > usize::from(limit.0);
        rows.truncate(usize::from(limit.0));
        let last = rows.last().filter(|_| more).map(id);
        let next_cursor = last.map(|id| {
            let mut bytes = id.as_bytes().to_vec();
            bytes.extend(self.tag(caller, id));
            URL_SAFE_NO_PAD.encode(bytes)
        });
        Page { items: rows, next_cursor, uri }
    }

    fn tag(&self, caller: &Caller, id: Uuid) -> [u8; TAG_BYTES] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [caller.tenant_id(), caller.user_id(), id] {
            context.update(part.as_bytes());
        }
        context.update(caller.action().as_str().as_bytes());
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&context.sign().as_ref()[..TAG_BYTES]);
        tag
    }
}

/// One page of a list.
#[derive(Debug, Clone, Serialize)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// What to send as `cursor` for the next page; null on the last one.
    pub next_cursor: Option<String>,
    #[serde(skip)]
    uri: Uri,
}

impl<T: Serialize> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        let link = self.next_cursor.as_deref().and_then(|cursor| next_link(&self.uri, cursor));
        let mut response = Json(self).into_response();
        if let Some(link) = link {
            response.headers_mut().insert(LINK, link);
        }
        response
    }
}

/// `Link: <...>; rel="next"` (RFC 8288) with the other parameters as they were.
fn next_link(uri: &Uri, cursor: &str) -> Option<HeaderValue> {
    let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs.filter(|(name, _)| name != "cursor"))
        .append_pair("cursor", cursor)
        .finish();
    HeaderValue::try_from(format!("<{}?{query}>; rel=\"next\"", uri.path())).ok()
}
