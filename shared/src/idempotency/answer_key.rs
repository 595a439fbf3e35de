//! What a stored answer is sealed under: a key that only who sends the same
//! `Idempotency-Key` brings about, together with a key of ours. A dump of the
//! database opens none of them.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};

use crate::{
    auth::Caller,
    error::{Code, Error, Result},
};

/// Seals and opens the answer of one `Idempotency-Key`: nonce 12 | AES-256-GCM
/// ciphertext | tag 16, bound to the caller and to what was done.
#[derive(Clone)]
pub(super) struct AnswerKey(pub(super) [u8; 32]);

impl std::fmt::Debug for AnswerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AnswerKey")
    }
}

impl AnswerKey {
    /// # Errors
    /// `SYS_001`: the machine has no randomness.
    pub(super) fn seal(&self, caller: &Caller, answer: &[u8]) -> Result<Vec<u8>> {
        let mut text = answer.to_vec();
        let sealed = self.key()?.seal_in_place_append_tag(bound_to(caller), &mut text);
        let nonce = sealed.map_err(|_| Code::Internal)?;
        Ok([&nonce.as_ref()[..], &text].concat())
    }

    /// # Errors
    /// `SYS_005`: it is another's, or altered.
    pub(super) fn open(&self, caller: &Caller, sealed: &[u8]) -> Result<Vec<u8>> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(Code::Undecryptable)?;
        let mut text = text.to_vec();
        let key = self.key()?;
        let opened = key.open_in_place(Nonce::from(nonce), bound_to(caller), &mut text);
        let length = opened.map_err(|_| Code::Undecryptable)?.len();
        text.truncate(length);
        Ok(text)
    }

    fn key(&self) -> Result<RandomizedNonceKey> {
        RandomizedNonceKey::new(&AES_256_GCM, &self.0).map_err(|_| Error::new(Code::Internal))
    }
}

fn bound_to(caller: &Caller) -> Aad<Vec<u8>> {
    let (tenant, user) = (caller.tenant_id(), caller.user_id());
    Aad::from([&tenant.as_bytes()[..], user.as_bytes(), caller.action().as_str().as_bytes()].concat())
}
