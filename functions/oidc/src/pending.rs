//! A sign-in that has begun, as the browser keeps it: sealed, so that it can
//! neither be read nor made, and for ten minutes.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    constant_time, hmac,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use shared::{
    Code, Error, Result,
    session::cookie::{self, Lax, SetCookie},
};
use time::{Duration, OffsetDateTime};

/// How long somebody may take to sign in at the provider.
pub(crate) const LIFE: Duration = Duration::minutes(10);
/// Told apart from all that is sealed otherwise.
const LABEL: &[u8] = b"tenantry sign-in 1";
const COOKIE: Lax = Lax("__Host-sign-in");

/// What a callback is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pending {
    pub(crate) state: String,
    pub(crate) nonce: String,
    pub(crate) verifier: String,
    /// The tenant's slug; none where the provider is the deployment's.
    pub(crate) tenant: Option<String>,
    /// The provider's name and issuer.
    pub(crate) provider: String,
    pub(crate) issuer: String,
    pub(crate) redirect_uri: Option<String>,
    /// In seconds since 1970.
    pub(crate) ends_at: i64,
}

impl Pending {
    /// Whether `state` is its own, compared in constant time.
    pub(crate) fn has(&self, state: &str) -> bool {
        constant_time::verify_slices_are_equal(self.state.as_bytes(), state.as_bytes()).is_ok()
    }
}

/// Seals and opens what the browser keeps.
pub(crate) struct Seal(RandomizedNonceKey);

impl Seal {
    /// Derives a key of its own from one that has another use.
    pub(crate) fn derived_from(key: &[u8; 32]) -> Option<Self> {
        let key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), b"sign-in");
        RandomizedNonceKey::new(&AES_256_GCM, key.as_ref()).ok().map(Self)
    }

    /// The cookie that the browser keeps it in.
    ///
    /// # Errors
    /// `SYS_001`.
    pub(crate) fn set(&self, pending: &Pending) -> Result<SetCookie> {
        let mut text = serde_json::to_vec(pending).map_err(|cause| Error::new(Code::Internal).caused_by(cause))?;
        let nonce = self.0.seal_in_place_append_tag(Aad::from(LABEL), &mut text).map_err(|_| Code::Internal)?;
        let sealed = [&nonce.as_ref()[..], &text].concat();
        Ok(COOKIE.set(URL_SAFE_NO_PAD.encode(sealed), LIFE))
    }

    /// What the browser has kept; none where it sent nothing that was sealed
    /// here, or it is over.
    pub(crate) fn sent(&self, headers: &HeaderMap, now: OffsetDateTime) -> Option<Pending> {
        let sealed = URL_SAFE_NO_PAD.decode(cookie::sent_as(COOKIE.0, headers)?).ok()?;
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let text = self.0.open_in_place(nonce, Aad::from(LABEL), &mut text).ok()?;
        let pending: Pending = serde_json::from_slice(text).ok()?;
        (now.unix_timestamp() < pending.ends_at).then_some(pending)
    }

    /// Has the browser forget it.
    pub(crate) fn forget() -> SetCookie {
        COOKIE.set(String::new(), Duration::ZERO)
    }
}
