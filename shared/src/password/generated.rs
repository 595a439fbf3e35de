//! Passwords that nobody thought of, for accounts that somebody else makes.

use aws_lc_rs::rand;
use secrecy::{ExposeSecret, SecretString};

use super::NewPassword;
use crate::error::{Code, Error, Result};

/// Thirty-two that are not taken for each other: no l, o, 0 or 1.
const SIGNS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const GROUPS: usize = 5;
const GROUP: usize = 5;

/// A password of 125 random bits in five groups of five signs, which can be
/// read out and typed, and the same to be hashed.
///
/// # Errors
/// `SYS_001` where the system has no randomness.
pub fn generate() -> Result<(SecretString, NewPassword)> {
    let mut bytes = [0; GROUPS * GROUP];
    rand::fill(&mut bytes).map_err(|cause| Error::new(Code::Internal).caused_by(cause))?;
    let signs = bytes.map(|byte| char::from(SIGNS[usize::from(byte % 32)]));
    let groups: Vec<String> = signs.chunks(GROUP).map(|group| group.iter().collect()).collect();
    let text = SecretString::from(groups.join("-"));
    let password = NewPassword::try_from(SecretString::from(text.expose_secret().to_owned()));
    password.map(|password| (text, password)).map_err(|_| Code::Internal.into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_generated_password_passes_the_policy_and_never_comes_twice() {
        let texts: Vec<_> = (0..1000).map(|_| generate().unwrap().0.expose_secret().to_owned()).collect();
        assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), 1000);
        for text in &texts {
            let groups: Vec<_> = text.split('-').collect();
            assert!(groups.len() == GROUPS && groups.iter().all(|group| group.len() == GROUP), "{text}");
        }
        let used: BTreeSet<_> = texts.iter().flat_map(|text| text.bytes()).filter(|sign| *sign != b'-').collect();
        assert_eq!(used, SIGNS.iter().copied().collect(), "every sign comes");
    }
}
