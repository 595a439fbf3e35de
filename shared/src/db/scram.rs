//! A password as Postgres keeps it. Made here, so that no password in plain
//! stands in a statement, and with it in a log of the server.

use std::num::NonZeroU32;

use aws_lc_rs::{
    digest::{SHA256, digest},
    hmac::{HMAC_SHA256, Key, sign},
    pbkdf2::{PBKDF2_HMAC_SHA256, derive},
    rand,
};
use base64::{Engine, engine::general_purpose::STANDARD};

/// Postgres's own default (`scram_iterations`).
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).expect("not zero");
const SALT_BYTES: usize = 16;

/// What is wrong with a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PasswordFault(&'static str);

/// The SCRAM-SHA-256 verifier of a password (RFC 5802, 3; RFC 5803).
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier(String);

impl Verifier {
    /// The verifier of `password`, salted anew.
    ///
    /// # Errors
    /// A password of other than printable ASCII: those are the same before and
    /// after `SASLprep` (RFC 4013), which is not done here.
    pub fn of(password: &str) -> Result<Self, PasswordFault> {
        if password.is_empty() || !password.bytes().all(|c| (b' '..=b'~').contains(&c)) {
            return Err(PasswordFault("must be of printable ASCII characters"));
        }
        let mut salt = [0; SALT_BYTES];
        rand::fill(&mut salt).map_err(|_| PasswordFault("could not be salted"))?;
        Ok(Self(salted(password, &salt)))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

fn salted(password: &str, salt: &[u8]) -> String {
    let mut salted_password = [0; 32];
    derive(PBKDF2_HMAC_SHA256, ITERATIONS, salt, password.as_bytes(), &mut salted_password);
    let key = Key::new(HMAC_SHA256, &salted_password);
    let stored_key = digest(&SHA256, sign(&key, b"Client Key").as_ref());
    let server_key = sign(&key, b"Server Key");
    let [salt, stored_key, server_key] =
        [salt, stored_key.as_ref(), server_key.as_ref()].map(|bytes| STANDARD.encode(bytes));
    format!("SCRAM-SHA-256${ITERATIONS}:{salt}${stored_key}:{server_key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the example exchange of RFC 7677, 3: its client proof and server
    /// signature follow from these keys.
    #[test]
    fn the_verifier_is_the_one_of_rfc_7677() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        assert_eq!(
            salted("pencil", &salt),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
    }

    #[test]
    fn each_verifier_has_a_salt_of_its_own() {
        assert!(Verifier::of("pencil") != Verifier::of("pencil"));
    }

    #[test]
    fn a_password_that_saslprep_could_change_is_refused() {
        for password in ["", "pass\u{ad}word", "pässword", "a\nb", "a\0b", "\u{7f}"] {
            assert!(Verifier::of(password).is_err(), "{password:?}");
        }
        assert!(Verifier::of(" !\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~").is_ok());
    }
}
