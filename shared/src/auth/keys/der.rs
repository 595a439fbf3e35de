//! What KMS says in DER, as tokens and JWKs have it.

use super::published::Point;

/// A P-256 `SubjectPublicKeyInfo` (RFC 5480) up to the coordinates of its
/// uncompressed point.
const P256_INFO: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04";

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;

/// The point of a P-256 key; none of any other.
pub(super) fn p256_point(info: &[u8]) -> Option<Point> {
    let (x, y) = info.strip_prefix(P256_INFO)?.split_at_checked(32)?;
    Some(Point::P256 { x: x.try_into().ok()?, y: y.try_into().ok()? })
}

/// An `Ecdsa-Sig-Value` (RFC 3279, 2.2.3) on P-256 as r || s of 32 bytes each
/// (RFC 7518, 3.4).
pub(super) fn fixed_signature(der: &[u8]) -> Option<[u8; 64]> {
    let (content, b"") = element(der, SEQUENCE)? else { return None };
    let (r, rest) = element(content, INTEGER)?;
    let (s, b"") = element(rest, INTEGER)? else { return None };
    let mut fixed = [0; 64];
    for (integer, place) in [r, s].into_iter().zip(fixed.chunks_exact_mut(32)) {
        let bytes = positive(integer)?;
        let zeros = place.len().checked_sub(bytes.len())?;
        place[zeros..].copy_from_slice(bytes);
    }
    Some(fixed)
}

/// The content of the first element, and what follows it. Lengths from 128 on
/// have another form, and no signature on P-256 has them.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    match der {
        [first, length @ 0..0x80, rest @ ..] if *first == tag => rest.split_at_checked((*length).into()),
        _ => None,
    }
}

/// A positive integer without the zero that keeps it so.
fn positive(integer: &[u8]) -> Option<&[u8]> {
    match integer {
        [0, rest @ ..] if rest.first().is_some_and(|byte| *byte >= 0x80) => Some(rest),
        [0x01..0x80, ..] => Some(integer),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{
            ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
        },
    };

    use super::*;

    #[test]
    fn a_signature_in_der_becomes_one_that_a_token_may_have() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
        let mut lengths = std::collections::BTreeSet::new();
        // As many as it takes to meet integers with and without a zero, and short ones.
        for number in 0..2_000_u32 {
            let message = number.to_be_bytes();
            let der = pair.sign(&SystemRandom::new(), &message).unwrap();
            lengths.insert(der.as_ref().len());
            let fixed = fixed_signature(der.as_ref()).unwrap();
            public.verify(&message, &fixed).unwrap();
        }
        assert!([70, 71, 72].iter().all(|length| lengths.contains(length)) && lengths.len() > 3, "{lengths:?}");
    }

    #[test]
    fn what_is_no_signature_on_p256_is_none() {
        let good = b"\x30\x06\x02\x01\x01\x02\x01\x7f";
        let fixed = fixed_signature(good).unwrap();
        assert_eq!((fixed[31], fixed[63], fixed.iter().filter(|byte| **byte != 0).count()), (1, 0x7f, 2));
        for bad in [
            &b""[..],
            b"\x30",
            b"\x30\x00",
            b"\x31\x06\x02\x01\x01\x02\x01\x7f",
            b"\x30\x06\x02\x01\x01\x02\x01\x7f\x00",
            b"\x30\x07\x02\x01\x01\x02\x01\x7f\x00",
            b"\x30\x07\x02\x01\x01\x02\x01\x7f",
            b"\x30\x06\x02\x01\x01\x04\x01\x7f",
            b"\x30\x06\x02\x01\x81\x02\x01\x7f",
            b"\x30\x05\x02\x00\x02\x01\x7f",
            b"\x30\x06\x02\x01\x00\x02\x01\x7f",
            b"\x30\x07\x02\x02\x00\x01\x02\x01\x7f",
            b"\x30\x81\x06\x02\x01\x01\x02\x01\x7f",
            b"\x30\x80\x02\x01\x01\x02\x01\x7f\x00\x00",
        ] {
            assert_eq!(fixed_signature(bad), None, "{bad:02x?}");
        }
        let mut long = b"\x30\x26\x02\x21\x7f".to_vec();
        long.extend([0x11; 32]);
        long.extend(b"\x02\x01\x01");
        assert_eq!(fixed_signature(&long), None);
    }

    #[test]
    fn only_a_p256_key_has_a_point() {
        let info = [P256_INFO, &[1; 32], &[2; 32]].concat();
        assert_eq!(p256_point(&info), Some(Point::P256 { x: [1; 32], y: [2; 32] }));
        assert_eq!(p256_point(&info[..90]), None);
        assert_eq!(p256_point(&[&info[..], &[0]].concat()), None);
        assert_eq!(p256_point(&info[1..]), None);
    }
}
