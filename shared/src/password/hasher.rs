//! Hashing, off the async threads and never more at once than the environment
//! has processors and memory for.
//!
//! A hash of ours is Argon2id (RFC 9106) with t=3, m=64 MiB, p=4 and a pepper.
//! Its 64 MiB are kept and wiped after each hash: fresh pages from the kernel
//! cost a third of the whole otherwise.

use std::sync::{Arc, Mutex, PoisonError};

use argon2::{
    Algorithm, Argon2, Block, KeyId, Params, ParamsBuilder, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use aws_lc_rs::constant_time;
use rayon::{ThreadPool, ThreadPoolBuilder};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use super::{
    NewPassword, Peppers, TypedPassword, internal, normalize,
    stored::{Argon2Hash, MAX_MEMORY_KIB, Stored},
};
use crate::error::Result;

const ITERATIONS: u32 = 3;
const LANES: u32 = 4;
const HASH_BYTES: usize = 32;
/// bcrypt reads no further.
const BCRYPT_BYTES: usize = 72;
/// Lambda gives one vCPU per this much memory.
const MIB_PER_VCPU: u32 = 1769;

/// Hashes and checks passwords. Cheap to clone.
#[derive(Clone)]
pub struct Passwords(Arc<Inner>);

struct Inner {
    params: Params,
    peppers: Peppers,
    threads_per_place: usize,
    /// One permit a place: whoever waits for one holds no thread.
    permits: Arc<Semaphore>,
    /// Places that nobody works at.
    idle: Mutex<Vec<Place>>,
}

/// What one hash at a time is made with.
struct Place {
    threads: ThreadPool,
    memory: Vec<Block>,
}

impl Passwords {
    /// For an environment with `memory_mib`, which is also its share of CPU. It
    /// hashes as many at once as it has processors: more would each keep 64 MiB
    /// and all be later for it. The others wait in line, and a request whose
    /// deadline comes first leaves the line with `SYS_006`.
    ///
    /// # Errors
    /// Where the threads cannot be started.
    pub fn new(memory_mib: u32, peppers: Peppers) -> Result<Self, String> {
        let processors = (memory_mib / MIB_PER_VCPU).max(1);
        let params = KeyId::new(peppers.current().to_string().as_bytes()).and_then(|pepper| {
            let mut params = ParamsBuilder::new();
            params.m_cost(MAX_MEMORY_KIB).t_cost(ITERATIONS).p_cost(LANES).output_len(HASH_BYTES).keyid(pepper);
            params.build()
        });
        let inner = Inner {
            params: params.map_err(|error| error.to_string())?,
            peppers,
            // More threads than processors only get in each other's way.
            threads_per_place: processors.min(LANES) as usize,
            permits: Arc::new(Semaphore::new(processors as usize)),
            idle: Mutex::default(),
        };
        // The only one, where requests come one at a time.
        let first = inner.place()?;
        inner.leave(first);
        Ok(Self(Arc::new(inner)))
    }

    /// The hash of `password` as a PHC string.
    ///
    /// # Errors
    /// `SYS_001`.
    pub async fn hash(&self, password: &NewPassword) -> Result<String> {
        let password = password.0.clone();
        self.run(move |inner, place| inner.phc_string(place, &password)).await
    }

    /// Whether `password` is the one that `stored` is the hash of. Without a
    /// stored hash (an unknown account) it takes the same time to say no.
    ///
    /// # Errors
    /// `SYS_001` where the stored hash is unreadable or asks for more than it
    /// may, before any of it is computed.
    pub async fn verify(&self, password: &TypedPassword, stored: Option<String>) -> Result<bool> {
        let stored = stored.map(|stored| Stored::read(&stored)).transpose().map_err(internal)?;
        let password = normalize(&password.0);
        match stored {
            None => self.run(move |inner, place| inner.current_hash(place, &password, &[0; 16]).map(|_| false)).await,
            Some(Stored::Argon2(stored)) => self.run(move |inner, place| inner.verify(place, &password, &stored)).await,
            Some(Stored::Bcrypt(stored)) => {
                self.run(move |_, place| place.threads.install(|| verify_bcrypt(&password, &stored))).await
            }
        }
    }

    /// A current hash to put in the place of `stored`, which `password` has just
    /// been verified against; none where it is current already.
    ///
    /// Of a bcrypt hash nobody can tell what stood behind its first 72 bytes: a
    /// password of that length or more keeps the hash that it has.
    ///
    /// # Errors
    /// As [`Passwords::verify`].
    pub async fn upgrade(&self, password: &TypedPassword, stored: &str) -> Result<Option<String>> {
        let password = normalize(&password.0);
        let stays = match Stored::read(stored).map_err(internal)? {
            Stored::Argon2(stored) => self.0.is_current(&stored),
            Stored::Bcrypt(_) => password.expose_secret().len() >= BCRYPT_BYTES,
        };
        if stays {
            return Ok(None);
        }
        self.run(move |inner, place| inner.phc_string(place, &password)).await.map(Some)
    }

    /// Waits for a place, then works there on a thread for blocking work.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner, &mut Place) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = self.0.permits.clone().acquire_owned().await.map_err(internal)?;
        let inner = self.0.clone();
        let working = tokio::task::spawn_blocking(move || {
            let mut place = inner.place().map_err(internal)?;
            let result = work(&inner, &mut place);
            inner.leave(place);
            // Not before: a request that was dropped meanwhile still works here.
            drop(permit);
            result
        });
        working.await.map_err(internal)?
    }
}

impl Inner {
    /// An idle place, or a new one: a permit says that there is room for it.
    fn place(&self) -> Result<Place, String> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(place) = idle {
            return Ok(place);
        }
        let threads = ThreadPoolBuilder::new().num_threads(self.threads_per_place).build();
        Ok(Place { threads: threads.map_err(|error| error.to_string())?, memory: Vec::new() })
    }

    fn leave(&self, place: Place) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(place);
    }

    fn is_current(&self, stored: &Argon2Hash) -> bool {
        stored.algorithm == Algorithm::Argon2id && stored.version == Version::V0x13 && stored.params == self.params
    }

    fn phc_string(&self, place: &mut Place, password: &SecretString) -> Result<String> {
        let salt = Salt::generate();
        let hash = self.current_hash(place, password, salt.as_ref())?;
        let phc = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&self.params).map_err(internal)?,
            salt: Some(salt),
            hash: Some(Output::new(&hash).map_err(internal)?),
        };
        Ok(phc.to_string())
    }

    fn current_hash(&self, place: &mut Place, password: &SecretString, salt: &[u8]) -> Result<[u8; HASH_BYTES]> {
        let argon2 = self.argon2(Algorithm::Argon2id, Version::V0x13, &self.params, Some(self.peppers.current()))?;
        let mut hash = [0; HASH_BYTES];
        place.argon2(&argon2, password, salt, &mut hash).map(|()| hash)
    }

    fn verify(&self, place: &mut Place, password: &SecretString, stored: &Argon2Hash) -> Result<bool> {
        let argon2 = self.argon2(stored.algorithm, stored.version, &stored.params, stored.pepper)?;
        let mut hash = vec![0; stored.output.len()];
        place.argon2(&argon2, password, stored.salt.as_ref(), &mut hash)?;
        Ok(constant_time::verify_slices_are_equal(&hash, stored.output.as_bytes()).is_ok())
    }

    fn argon2(
        &self,
        algorithm: Algorithm,
        version: Version,
        params: &Params,
        pepper: Option<u32>,
    ) -> Result<Argon2<'_>> {
        let Some(pepper) = pepper else { return Ok(Argon2::new(algorithm, version, params.clone())) };
        let key = self.peppers.key(pepper).ok_or_else(|| internal(format!("there is no pepper {pepper}")))?;
        Argon2::new_with_secret(key, algorithm, version, params.clone()).map_err(internal)
    }
}

impl Place {
    fn argon2(&mut self, argon2: &Argon2<'_>, password: &SecretString, salt: &[u8], hash: &mut [u8]) -> Result<()> {
        let count = argon2.params().block_count();
        if self.memory.len() < count {
            self.memory.resize(count, Block::default());
        }
        let blocks = &mut self.memory[..count];
        let password = password.expose_secret().as_bytes();
        let hashed = self.threads.install(|| {
            let hashed = argon2.hash_password_into_with_memory(password, salt, hash, &mut *blocks);
            blocks.fill(Block::default());
            hashed
        });
        hashed.map_err(internal)
    }
}

/// As the system that made the hash did, by its first 72 bytes.
fn verify_bcrypt(password: &SecretString, stored: &str) -> Result<bool> {
    let password = password.expose_secret();
    let matches = bcrypt::verify(password, stored).map_err(internal)?;
    // To bcrypt "ab" and "ab\0ab" are one.
    Ok(matches && !password.contains('\0'))
}

#[cfg(test)]
mod tests;
