//! One field under one data key: what is stored, byte for byte.
//!
//! ```text
//! format 1 | key version 4 | salt 32 | commitment 32 | nonce 12 | ciphertext | tag 16
//! ```
//! The salt is random for each sealing. HKDF-SHA256 (RFC 5869) of the data key
//! with this salt yields two values, told apart by their label: the AES-256-GCM
//! key (NIST SP 800-38D) and the commitment, which is compared in constant time
//! before anything is decrypted. GCM alone does not commit to its key: one
//! ciphertext can be made to open under two. This is the construction of the
//! AWS Encryption SDK's suites with key commitment (algorithm suite 0x0478,
//! "COMMITKEY" and "DERIVEKEY") and of Albertini et al., "How to Abuse and Fix
//! Authenticated Encryption Without Key Commitment" (USENIX Security 2022).
//! Here both values are derived with the associated data as well, so the
//! commitment is to all of the context.
//!
//! Each sealing has an AES key of its own, so GCM's bounds on messages and
//! blocks under one key are out of reach, whatever a tenant writes.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    constant_time, hkdf, rand,
};
use secrecy::{ExposeSecret, SecretSlice, zeroize::Zeroizing};

use super::Field;
use crate::{auth::TenantId, kms::DataKey};

const FORMAT: u8 = 1;
const SALT_LEN: usize = 32;
const COMMITMENT_LEN: usize = 32;
const TAG_LEN: usize = 16;
const HEAD_LEN: usize = 1 + 4 + SALT_LEN + COMMITMENT_LEN + NONCE_LEN;

/// How much longer what is stored is than what was sealed, in bytes.
pub const OVERHEAD: usize = HEAD_LEN + TAG_LEN;

/// Why something stored cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unopened {
    #[error("too short, or of an unknown format")]
    Form,
    #[error("sealed for another tenant, table, column or row, under another key, or altered")]
    Commitment,
    #[error("altered")]
    Tag,
    #[error("there is no such data key: shredded, or the key's version was altered")]
    NoKey,
}

/// The version of the data key that `stored` was sealed under.
pub(super) fn key_version(stored: &[u8]) -> Result<i32, Unopened> {
    let Some(([FORMAT], rest)) = stored.split_first_chunk().filter(|_| stored.len() >= OVERHEAD) else {
        return Err(Unopened::Form);
    };
    let (version, _) = rest.split_first_chunk().ok_or(Unopened::Form)?;
    Ok(i32::from_be_bytes(*version))
}

/// Seals `plaintext`; `None` only where the machine has no randomness.
pub(super) fn seal(key: &DataKey, version: i32, tenant: TenantId, field: Field, plaintext: &[u8]) -> Option<Vec<u8>> {
    let mut salt = [0; SALT_LEN];
    rand::fill(&mut salt).ok()?;
    let mut nonce = [0; NONCE_LEN];
    rand::fill(&mut nonce).ok()?;
    let data = associated_data(tenant, field, version);
    let (key, commitment) = derive(key, &salt, &data)?;
    let mut stored = Vec::with_capacity(OVERHEAD + plaintext.len());
    stored.push(FORMAT);
    stored.extend(version.to_be_bytes());
    stored.extend(salt);
    stored.extend(commitment);
    stored.extend(nonce);
    // The buffer has its whole size from the start: the plaintext in it is
    // overwritten in place and never left behind by a move.
    stored.extend(plaintext);
    let (_, text) = stored.split_at_mut(HEAD_LEN);
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(&data), text).ok()?;
    stored.extend(tag.as_ref());
    Some(stored)
}

/// Opens what [`seal`] made with the same key, version, tenant and field.
pub(super) fn open(
    key: &DataKey,
    version: i32,
    tenant: TenantId,
    field: Field,
    stored: &[u8],
) -> Result<SecretSlice<u8>, Unopened> {
    if key_version(stored)? != version {
        return Err(Unopened::Form);
    }
    let (head, sealed) = stored.split_at(HEAD_LEN);
    let (salt, rest) = head[5..].split_at(SALT_LEN);
    let (stored_commitment, nonce) = rest.split_at(COMMITMENT_LEN);
    let data = associated_data(tenant, field, version);
    let (key, commitment) = derive(key, salt, &data).ok_or(Unopened::Form)?;
    constant_time::verify_slices_are_equal(&commitment, stored_commitment).map_err(|_| Unopened::Commitment)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unopened::Form)?;
    let (ciphertext, tag) = sealed.split_at(sealed.len() - TAG_LEN);
    let mut plaintext = Zeroizing::new(vec![0; ciphertext.len()]);
    key.open_separate_gather(nonce, Aad::from(&data), ciphertext, tag, &mut plaintext).map_err(|_| Unopened::Tag)?;
    Ok(std::mem::take(&mut *plaintext).into())
}

/// The AES key and the commitment.
fn derive(key: &DataKey, salt: &[u8], data: &[u8]) -> Option<(LessSafeKey, [u8; COMMITMENT_LEN])> {
    let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(key.expose_secret());
    // Of one length, so that neither label with its data is another's.
    let info: [&[u8]; 2] = [b"DERIVEKEY", data];
    let aes = UnboundKey::from(secret.expand(&info, &AES_256_GCM).ok()?);
    let mut commitment = [0; COMMITMENT_LEN];
    secret.expand(&[b"COMMITKEY", data], hkdf::HKDF_SHA256).ok()?.fill(&mut commitment).ok()?;
    Some((LessSafeKey::new(aes), commitment))
}

/// What a sealed field is bound to: each part with its length before it.
fn associated_data(tenant: TenantId, Field { table, column, row }: Field, version: i32) -> Vec<u8> {
    let (tenant, version) = (tenant.as_uuid(), version.to_be_bytes());
    let parts: [&[u8]; 6] =
        [&[FORMAT], tenant.as_bytes(), table.as_bytes(), column.as_bytes(), row.as_bytes(), &version];
    parts.iter().fold(Vec::with_capacity(128), |mut data, part| {
        data.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        data.extend(*part);
        data
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const FIELD: Field = Field { table: "todos", column: "notes", row: Uuid::from_u128(7) };

    fn key(byte: u8) -> DataKey {
        DataKey::init_with(|| [byte; 32])
    }

    fn tenant(number: u128) -> TenantId {
        TenantId::verified(Uuid::from_u128(number))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_bytes_come_back_and_any_flipped_bit_is_refused(
            plaintext in proptest::collection::vec(any::<u8>(), 0..300), bit in any::<proptest::sample::Index>(),
        ) {
            let mut stored = seal(&key(1), 3, tenant(1), FIELD, &plaintext).unwrap();
            prop_assert_eq!(stored.len(), plaintext.len() + OVERHEAD);
            prop_assert_eq!(key_version(&stored), Ok(3));
            let opened = open(&key(1), 3, tenant(1), FIELD, &stored).unwrap();
            prop_assert_eq!(opened.expose_secret(), &*plaintext);
            let bit = bit.index(stored.len() * 8);
            stored[bit / 8] ^= 1 << (bit % 8);
            // A flip in the key's version asks for a key that is not there.
            let version = key_version(&stored).unwrap_or(3);
            prop_assert!(open(&key(1), version, tenant(1), FIELD, &stored).is_err(), "bit {}", bit);
        }
    }

    #[test]
    fn every_single_bit_counts() {
        let stored = seal(&key(1), 1, tenant(1), FIELD, b"hello").unwrap();
        for bit in 0..stored.len() * 8 {
            let mut altered = stored.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let version = key_version(&altered).unwrap_or(1);
            assert!(open(&key(1), version, tenant(1), FIELD, &altered).is_err(), "bit {bit}");
        }
        for length in 0..stored.len() {
            assert!(open(&key(1), 1, tenant(1), FIELD, &stored[..length]).is_err(), "{length} bytes");
        }
        assert!(open(&key(1), 1, tenant(1), FIELD, &[&stored[..], &[0]].concat()).is_err(), "one more");
    }

    #[test]
    fn another_context_is_found_by_the_commitment_before_anything_is_decrypted() {
        let stored = seal(&key(1), 1, tenant(1), FIELD, b"hello").unwrap();
        let moved = |key_byte, version, to, field| open(&key(key_byte), version, tenant(to), field, &stored).err();
        assert_eq!(moved(1, 1, 1, FIELD), None);
        for (what, found) in [
            ("key", moved(2, 1, 1, FIELD)),
            ("tenant", moved(1, 1, 2, FIELD)),
            ("table", moved(1, 1, 1, Field { table: "users", ..FIELD })),
            ("column", moved(1, 1, 1, Field { column: "title", ..FIELD })),
            ("row", moved(1, 1, 1, Field { row: Uuid::from_u128(8), ..FIELD })),
            // The same letters, parted elsewhere.
            ("boundary", moved(1, 1, 1, Field { table: "todosn", column: "otes", ..FIELD })),
        ] {
            assert_eq!(found, Some(Unopened::Commitment), "{what}");
        }
        assert_eq!(moved(1, 2, 1, FIELD), Some(Unopened::Form), "another version of the key");
    }

    #[test]
    fn no_two_sealings_are_alike() {
        let seal = || seal(&key(1), 1, tenant(1), FIELD, b"hello").unwrap();
        let (one, two) = (seal(), seal());
        for part in [5..37, 37..69, 69..81, 81..86] {
            assert_ne!(one[part.clone()], two[part.clone()], "{part:?}");
        }
    }

    #[test]
    fn what_was_stored_once_stays_readable() {
        // Made by another implementation of this page (pyca/cryptography): a
        // change of the construction must take another format byte.
        let hex = "0100000001000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1fc1abb40823a50fa08c\
             3fded47368dd4eea939391ff3f4edfb19fd61acd61edec000102030405060708090a0b1349c340bc147cd347819a\
             defb6c7757bd9323387104cd87ec5ee1";
        let stored: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        let plaintext = open(&key(9), 1, tenant(1), FIELD, &stored).unwrap();
        assert_eq!(plaintext.expose_secret(), b"before noon");
    }
}
