//! Password hashing: Argon2id (RFC 9106) with t=3, m=64 MiB, p=4, off the
//! async thread, one at a time per environment.
//!
//! The 64 MiB are allocated once and wiped after each hash: fresh pages from
//! the kernel cost a third of the whole otherwise.

use std::sync::{Arc, Mutex, PoisonError};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use aws_lc_rs::constant_time;
use rayon::{ThreadPool, ThreadPoolBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;

use crate::error::{Code, Error, Result};

const MEMORY_KIB: u32 = 64 * 1024;
const ITERATIONS: u32 = 3;
const LANES: u32 = 4;
const HASH_BYTES: usize = 32;
/// Lambda gives one vCPU per this much memory.
const MIB_PER_VCPU: u32 = 1769;

/// A password of 12 to 128 Unicode scalar values after NFC. Nothing is cut off
/// and no composition is asked for (NIST SP 800-63B, 3.1.1.2).
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "SecretString")]
pub struct NewPassword(SecretString);

impl TryFrom<SecretString> for NewPassword {
    type Error = &'static str;

    fn try_from(text: SecretString) -> Result<Self, Self::Error> {
        let normal = normalize(&text);
        let characters = normal.expose_secret().chars().count();
        if normal.expose_secret().contains('\0') {
            Err("must not contain NUL")
        } else if (12..=128).contains(&characters) {
            Ok(Self(normal))
        } else {
            Err("must have 12 to 128 characters")
        }
    }
}

/// A password as somebody typed it at sign-in: checked against a hash, and
/// against nothing else, so that an old one still opens its account.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct TypedPassword(SecretString);

/// Hashes and checks passwords. Cheap to clone.
#[derive(Clone)]
pub struct Passwords(Arc<Inner>);

struct Inner {
    argon2: Argon2<'static>,
    threads: ThreadPool,
    memory: Mutex<Vec<Block>>,
}

impl Passwords {
    /// For an environment with `memory_mib`, which is also its share of CPU:
    /// more threads than that only get in each other's way.
    ///
    /// # Errors
    /// Where the threads cannot be started.
    pub fn new(memory_mib: u32) -> Result<Self, String> {
        let threads = (memory_mib / MIB_PER_VCPU).clamp(1, LANES) as usize;
        let threads = ThreadPoolBuilder::new().num_threads(threads).build().map_err(|error| error.to_string())?;
        let params = Params::new(MEMORY_KIB, ITERATIONS, LANES, Some(HASH_BYTES)).map_err(|error| error.to_string())?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        Ok(Self(Arc::new(Inner { argon2, threads, memory: Mutex::default() })))
    }

    /// The hash of `password` as a PHC string.
    ///
    /// # Errors
    /// `SYS_001`.
    pub async fn hash(&self, password: &NewPassword) -> Result<String> {
        let (inner, password) = (self.0.clone(), password.0.clone());
        off_thread(move || inner.phc_string(&password)).await
    }

    /// Whether `password` is the one that `stored` is the hash of. Without a
    /// stored hash (an unknown account) it takes the same time to say no.
    ///
    /// # Errors
    /// `SYS_001` where the stored hash is unreadable or asks for more than a
    /// hash of ours.
    pub async fn verify(&self, password: &TypedPassword, stored: Option<String>) -> Result<bool> {
        let (inner, password) = (self.0.clone(), normalize(&password.0));
        off_thread(move || match stored {
            Some(stored) => inner.verify(&password, &stored),
            None => inner.raw_hash(&password, &[0; 16]).map(|_| false),
        })
        .await
    }
}

impl Inner {
    fn phc_string(&self, password: &SecretString) -> Result<String> {
        let salt = Salt::generate();
        let hash = self.raw_hash(password, salt.as_ref())?;
        let phc = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(self.argon2.params()).map_err(internal)?,
            salt: Some(salt),
            hash: Some(Output::new(&hash).map_err(internal)?),
        };
        Ok(phc.to_string())
    }

    fn verify(&self, password: &SecretString, stored: &str) -> Result<bool> {
        let phc = PasswordHash::new(stored).map_err(internal)?;
        let params = Params::try_from(&phc).map_err(internal)?;
        let ours = self.argon2.params();
        let bounded = phc.algorithm == Algorithm::Argon2id.ident()
            && phc.version == Some(Version::V0x13.into())
            && params.m_cost() == ours.m_cost()
            && params.t_cost() == ours.t_cost()
            && params.p_cost() == ours.p_cost();
        let (Some(salt), Some(expected), true) = (phc.salt, phc.hash, bounded) else {
            return Err(internal("a stored hash is not one of ours"));
        };
        if expected.len() != HASH_BYTES {
            return Err(internal("a stored hash was cut off"));
        }
        let hash = self.raw_hash(password, salt.as_ref())?;
        Ok(constant_time::verify_slices_are_equal(&hash, expected.as_bytes()).is_ok())
    }

    fn raw_hash(&self, password: &SecretString, salt: &[u8]) -> Result<[u8; HASH_BYTES]> {
        // Held for the whole hash: as many run at once as there is memory for.
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.resize(self.argon2.params().block_count(), Block::default());
        let blocks = memory.as_mut_slice();
        let mut hash = [0; HASH_BYTES];
        let password = password.expose_secret().as_bytes();
        let hashed = self.threads.install(|| {
            let hashed = self.argon2.hash_password_into_with_memory(password, salt, &mut hash, &mut *blocks);
            blocks.fill(Block::default());
            hashed
        });
        hashed.map(|()| hash).map_err(internal)
    }
}

async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(internal)?
}

fn normalize(text: &SecretString) -> SecretString {
    text.expose_secret().nfc().collect::<String>().into()
}

/// Says what kind of thing went wrong, never of which hash.
fn internal(cause: impl std::fmt::Display) -> Error {
    Error::new(Code::Internal).caused_by(std::io::Error::other(format!("password hashing: {cause}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> TypedPassword {
        TypedPassword(text.to_owned().into())
    }

    fn new(text: &str) -> Result<NewPassword, &'static str> {
        NewPassword::try_from(SecretString::from(text.to_owned()))
    }

    #[tokio::test]
    async fn a_hash_opens_for_its_password_alone_in_either_normal_form() {
        let passwords = Passwords::new(4096).expect("threads");
        let hash = passwords.hash(&new("Zoë's long password").expect("long enough")).await.expect("a hash");
        assert!(hash.starts_with("$argon2id$v=19$m=65536,t=3,p=4$"), "{hash}");
        // The same text with a combining diaeresis (NFD).
        let nfd = typed("Zoe\u{308}'s long password");
        assert!(passwords.verify(&nfd, Some(hash.clone())).await.expect("a verdict"));
        assert!(!passwords.verify(&typed("Zoe's long password"), Some(hash)).await.expect("a verdict"));
        assert!(!passwords.verify(&nfd, None).await.expect("a verdict"));
    }

    #[test]
    fn length_is_counted_in_characters_and_nothing_is_cut_off() {
        assert!(new(&"ä".repeat(12)).is_ok());
        assert!(new(&"ä".repeat(128)).is_ok());
        assert!(new(&"ä".repeat(11)).is_err());
        assert!(new(&"ä".repeat(129)).is_err());
        assert!(new("twelve chars\0").is_err());
    }

    #[tokio::test]
    async fn a_corrupt_or_huge_stored_hash_is_refused_without_its_cost() {
        let passwords = Passwords::new(4096).expect("threads");
        let salt_and_hash = "c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b4dWRWJTmaaJObG";
        for stored in [
            "",
            "not a hash",
            "$argon2id$v=19$m=65536,t=3,p=4$$",
            &format!("$argon2id$v=19$m=4194304,t=3,p=4${salt_and_hash}"),
            &format!("$argon2id$v=19$m=65536,t=4000000,p=4${salt_and_hash}"),
            &format!("$argon2i$v=19$m=65536,t=3,p=4${salt_and_hash}"),
        ] {
            let verdict = passwords.verify(&typed("whatever it may be"), Some(stored.to_owned())).await;
            assert_eq!(verdict.map_err(|error| error.code()), Err(Code::Internal), "{stored}");
        }
    }
}
