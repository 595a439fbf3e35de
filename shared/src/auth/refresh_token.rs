//! Refresh tokens: opaque to clients, derived so that the same successor can
//! be given twice though only hashes are stored.
//!
//! A token is base64url(tenant || session || generation || tag), the tag being
//! HMAC-SHA-256 under a server key. It carries its tenant and its session, so
//! no look-up crosses tenants, and a forged one costs no look-up at all.

use aws_lc_rs::{
    digest::{SHA256, digest},
    hmac,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use super::TenantId;

/// How long a refresh token may be used.
pub const LIFE: time::Duration = time::Duration::days(7);

const BODY_BYTES: usize = 16 + 16 + 4;

/// Derives and checks refresh tokens.
#[derive(Clone)]
pub struct RefreshTokens(hmac::Key);

/// A refresh token whose tag was good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshToken {
    /// The tenant.
    pub tenant: TenantId,
    /// The session.
    pub session: Uuid,
    /// How many times the session was refreshed before.
    pub generation: i32,
}

impl RefreshTokens {
    /// Takes the 256-bit server key.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The token as the client gets it.
    #[must_use]
    pub fn encode(&self, token: &RefreshToken) -> String {
        let mut bytes = token.body().to_vec();
        let tag = hmac::sign(&self.0, &bytes);
        bytes.extend(tag.as_ref());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads what a client sent; none if this server did not make it.
    #[must_use]
    pub fn decode(&self, text: &str) -> Option<RefreshToken> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (body, tag) = bytes.split_at_checked(BODY_BYTES)?;
        hmac::verify(&self.0, body, tag).ok()?;
        Some(RefreshToken {
            tenant: TenantId::verified(Uuid::from_slice(&body[..16]).ok()?),
            session: Uuid::from_slice(&body[16..32]).ok()?,
            generation: i32::from_be_bytes(body[32..].try_into().ok()?),
        })
    }

    /// What is stored of the token.
    #[must_use]
    pub fn hash(&self, token: &RefreshToken) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, self.encode(token).as_bytes()).as_ref());
        hash
    }
}

impl RefreshToken {
    /// The token that follows this one.
    #[must_use]
    pub fn successor(self) -> Self {
        Self { generation: self.generation + 1, ..self }
    }

    fn body(&self) -> [u8; BODY_BYTES] {
        let mut body = [0; BODY_BYTES];
        body[..16].copy_from_slice(self.tenant.as_uuid().as_bytes());
        body[16..32].copy_from_slice(self.session.as_bytes());
        body[32..].copy_from_slice(&self.generation.to_be_bytes());
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_token_of_this_server_and_unchanged_is_read() {
        let tokens = RefreshTokens::new(&[7; 32]);
        let token =
            RefreshToken { tenant: TenantId::verified(Uuid::from_u128(1)), session: Uuid::from_u128(2), generation: 3 };
        let text = tokens.encode(&token);
        assert_eq!(tokens.decode(&text), Some(token));
        assert_eq!(RefreshTokens::new(&[8; 32]).decode(&text), None);
        for position in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("ASCII");
            assert_eq!(tokens.decode(&changed), None, "position {position}");
        }
        assert_eq!(tokens.decode(""), None);
        assert_ne!(tokens.hash(&token), tokens.hash(&token.successor()));
    }
}
