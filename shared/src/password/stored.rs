//! A stored hash, read: which kinds are known, and what they may ask for.

use argon2::{
    Algorithm, Params, Version,
    password_hash::phc::{Output, PasswordHash, Salt},
};
use bcrypt::HashParts;

use super::pepper::read_version;

/// No known form is longer.
const MAX_LENGTH: usize = 512;
/// What one hash of ours asks for, in KiB: no other may ask for more, since the
/// environment has memory for as many as it has places.
pub(super) const MAX_MEMORY_KIB: u32 = 64 * 1024;
const MAX_PASSES: u32 = 10;
const MAX_LANES: u32 = 16;
/// In bytes. A shorter one is met by a wrong password too soon.
const OUTPUT_LENGTHS: std::ops::RangeInclusive<usize> = 16..=64;
/// About a second of one processor at 14, and twice that with each further one.
const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 4..=14;

/// A hash that may be verified.
#[derive(Debug)]
pub(super) enum Stored {
    /// Argon2i or Argon2id (RFC 9106, or the version before it).
    Argon2(Box<Argon2Hash>),
    /// bcrypt, as other systems left it.
    Bcrypt(String),
}

#[derive(Debug)]
pub(super) struct Argon2Hash {
    pub(super) algorithm: Algorithm,
    pub(super) version: Version,
    pub(super) params: Params,
    /// The version of the pepper in it; none in one that was imported.
    pub(super) pepper: Option<u32>,
    pub(super) salt: Salt,
    pub(super) output: Output,
}

impl Stored {
    /// Reads `text`.
    ///
    /// # Errors
    /// What is wrong with it, without a part of it.
    pub(super) fn read(text: &str) -> Result<Self, &'static str> {
        if text.len() > MAX_LENGTH {
            return Err("a stored hash is too long");
        }
        // $2x$ marks hashes of an implementation that was broken.
        if ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| text.starts_with(prefix)) {
            let parts: HashParts = text.parse().map_err(|_| "a stored bcrypt hash is malformed")?;
            let bounded = BCRYPT_COSTS.contains(&parts.get_cost());
            return bounded.then(|| Self::Bcrypt(text.to_owned())).ok_or("a stored bcrypt hash is out of bounds");
        }
        Argon2Hash::read(text).map(|hash| Self::Argon2(Box::new(hash)))
    }
}

impl Argon2Hash {
    fn read(text: &str) -> Result<Self, &'static str> {
        let phc = PasswordHash::new(text).map_err(|_| "a stored hash is of no known form")?;
        let algorithm = Algorithm::try_from(phc.algorithm.as_str()).map_err(|_| "a stored hash is of no known kind")?;
        // The string of version 16 names none.
        let version = phc.version.map_or(Ok(Version::V0x10), Version::try_from);
        let version = version.map_err(|_| "a stored hash is of an unknown version")?;
        let params = Params::try_from(&phc).map_err(|_| "the parameters of a stored hash are malformed")?;
        let (Some(salt), Some(output)) = (phc.salt, phc.hash) else { return Err("a stored hash was cut off") };
        let bounded = algorithm != Algorithm::Argon2d
            && params.m_cost() <= MAX_MEMORY_KIB
            && params.t_cost() <= MAX_PASSES
            && params.p_cost() <= MAX_LANES
            && OUTPUT_LENGTHS.contains(&output.len());
        if !bounded {
            return Err("a stored hash is out of bounds");
        }
        let pepper = match params.keyid() {
            [] => None,
            version => {
                let version = str::from_utf8(version).ok().and_then(read_version);
                Some(version.ok_or("a stored hash names a pepper of no known form")?)
            }
        };
        Ok(Self { algorithm, version, params, pepper, salt, output })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: &str = "c29tZXNhbHRzb21lc2FsdA";
    const HASH: &str = "RdescudvJCsgt3ub+b4dWRWJTmaaJObGRdescudvJCs";
    const BCRYPT: &str = "abcdefghijklmnopqrstuubFqBsPwzOMwCRDofARopP7A8rQL0wdu";

    #[test]
    fn every_known_kind_is_read() {
        for text in [
            format!("$argon2id$v=19$m=65536,t=3,p=4,keyid=MQ${SALT}${HASH}"),
            format!("$argon2id$v=19$m=65536,t=10,p=16${SALT}${HASH}"),
            format!("$argon2i$v=19$m=8,t=1,p=1${SALT}${HASH}"),
            format!("$argon2i$m=4096,t=3,p=1${SALT}${HASH}"),
            format!("$argon2id$v=19$m=19456,t=2,p=1${SALT}${}", "A".repeat(22)),
            format!("$argon2id$v=19$m=19456,t=2,p=1${SALT}${}", "A".repeat(86)),
            format!("$2a$04${BCRYPT}"),
            format!("$2b$10${BCRYPT}"),
            format!("$2y$14${BCRYPT}"),
        ] {
            assert!(Stored::read(&text).is_ok(), "{text}: {:?}", Stored::read(&text));
        }
    }

    #[test]
    fn what_asks_for_too_much_is_refused() {
        for text in [
            format!("$argon2id$v=19$m=65537,t=3,p=4${SALT}${HASH}"),
            format!("$argon2id$v=19$m=4294967295,t=3,p=4${SALT}${HASH}"),
            format!("$argon2id$v=19$m=65536,t=11,p=4${SALT}${HASH}"),
            format!("$argon2id$v=19$m=65536,t=4294967295,p=4${SALT}${HASH}"),
            format!("$argon2id$v=19$m=65536,t=3,p=17${SALT}${HASH}"),
            format!("$argon2id$v=19$m=65536,t=3,p=16777215${SALT}${HASH}"),
            format!("$2b$15${BCRYPT}"),
            format!("$2b$31${BCRYPT}"),
        ] {
            assert!(
                Stored::read(&text)
                    .is_err_and(|fault| fault.ends_with("out of bounds") || fault.ends_with("malformed")),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_hash_of_a_known_kind_is_refused() {
        for text in [
            String::new(),
            "plain text".to_owned(),
            format!("$argon2d$v=19$m=65536,t=3,p=4${SALT}${HASH}"),
            format!("$argon2id$v=18$m=65536,t=3,p=4${SALT}${HASH}"),
            format!("$argon2id$v=19$m=65536,t=0,p=4${SALT}${HASH}"),
            format!("$argon2id$v=19$m=65536,t=3,p=0${SALT}${HASH}"),
            format!("$argon2id$v=19$m=7,t=3,p=1${SALT}${HASH}"),
            format!("$argon2id$v=19$m=65536,t=3,p=4,x=1${SALT}${HASH}"),
            format!("$argon2id$v=19$m=65536,t=3,p=4,keyid=a${SALT}${HASH}"),
            // "01" and "x"
            format!("$argon2id$v=19$m=65536,t=3,p=4,keyid=MDE${SALT}${HASH}"),
            format!("$argon2id$v=19$m=65536,t=3,p=4,keyid=eA${SALT}${HASH}"),
            format!("$argon2id$v=19$m=65536,t=3,p=4${SALT}"),
            format!("$argon2id$v=19$m=65536,t=3,p=4$${HASH}"),
            format!("$argon2id$v=19$m=65536,t=3,p=4${SALT}${}", "A".repeat(20)),
            format!("$argon2id$v=19$m=65536,t=3,p=4${SALT}${}", "A".repeat(10 * 1024 * 1024)),
            format!("$2x$10${BCRYPT}"),
            format!("$2$10${BCRYPT}"),
            format!("$2b$03${BCRYPT}"),
            format!("$2b$1x${BCRYPT}"),
            format!("$2b$10${}", &BCRYPT[1..]),
            format!("$2b$10${BCRYPT}x"),
            format!("$2b$10${}é", &BCRYPT[2..]),
            format!("$2b$10${}", "é".repeat(27)),
            "$1$salt$qJH7.N4xYta3aEG/dfqo/0".to_owned(),
            "{SSHA}0c0blFTXXNuAMHECS4uxrj3ZieMoWImr".to_owned(),
        ] {
            let shown: String = text.chars().take(80).collect();
            assert!(Stored::read(&text).is_err(), "{shown}");
        }
    }
}
