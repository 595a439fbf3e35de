//! The tokens that this environment has judged.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use jsonwebtoken::DecodingKey;
use uuid::Uuid;

use crate::auth::{Subject, claims::Times, provider::SigningAlgorithm};

/// What a token was found to be, and by which key.
pub(super) struct Judged {
    pub(super) subject: Subject,
    pub(super) times: Times,
    pub(super) signed: Signed,
}

/// Which key a token names, and the one that it was.
pub(super) struct Signed {
    pub(super) issuer: String,
    pub(super) kid: String,
    pub(super) algorithm: SigningAlgorithm,
    pub(super) key: Arc<DecodingKey>,
}

/// Tokens that were found good. A client sends the same one until it expires;
/// it is judged once, and its key and session are looked at each time. Only
/// good ones come in, so nobody can fill this who cannot sign.
#[derive(Default)]
pub(super) struct Known(Mutex<HashMap<String, Arc<Judged>>>);

impl Known {
    const MOST: usize = 256;

    pub(super) fn get(&self, token: &str) -> Option<Arc<Judged>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    pub(super) fn add(&self, token: &str, judged: Judged) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= Self::MOST {
            known.clear();
        }
        known.insert(token.to_owned(), Arc::new(judged));
    }

    /// Forgets the tokens of a session.
    pub(super) fn forget(&self, session: Uuid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, judged| judged.subject.session != session);
    }
}
