//! Hashes as text: 64 lower-case hexadecimal digits.

use crate::Hash;

/// The hash that `text` writes; none where it is written in another way, so
/// that a hash has one text.
#[must_use]
pub fn decode(text: &str) -> Option<Hash> {
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(hash)
}

/// The text of a hash.
#[must_use]
pub fn encode(hash: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default();
    hash.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_has_one_text() {
        let hash: Hash = std::array::from_fn(|place| u8::try_from(place * 8 + 7).unwrap());
        let text = encode(&hash);
        assert_eq!(text.len(), 64);
        assert_eq!(decode(&text), Some(hash));
        for other in [text.to_uppercase(), format!("{text}00"), text[2..].to_owned(), text.replace('f', "g")] {
            assert_eq!(decode(&other), None, "{other}");
        }
    }
}
