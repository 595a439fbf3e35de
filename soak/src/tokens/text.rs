//! Changes of a token as a text, whatever it says.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::chance::Chance;

/// Flips bits of characters, so that each stays one that a header can carry.
pub(crate) fn flip_text(token: &str, bits: usize, chance: &mut Chance) -> String {
    let mut bytes = token.as_bytes().to_vec();
    let mut flipped = 0;
    while flipped < bits {
        let (place, bit) = (chance.below(bytes.len()), chance.below(7));
        if (bytes[place] ^ (1 << bit)).is_ascii_graphic() {
            bytes[place] ^= 1 << bit;
            flipped += 1;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Flips bits of the header, the claims or the signature. (Of an ECDSA
/// signature (r, s) the twin (r, n - s) verifies too, by its nature. It says the
/// same of the same claims, and chance does not find it.)
pub(crate) fn flip_bytes(token: &str, bits: usize, chance: &mut Chance) -> String {
    let mut parts: Vec<_> = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap_or_default()).collect();
    let part = chance.below(parts.len());
    for _ in 0..bits {
        let place = chance.below(parts[part].len());
        parts[part][place] ^= 1 << chance.below(8);
    }
    let parts: Vec<_> = parts.iter().map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
    parts.join(".")
}

/// Leaves out its end, its beginning, a piece, or a whole part.
pub(crate) fn cut(token: &str, chance: &mut Chance) -> String {
    let (one, other) = (chance.below(token.len()), chance.below(token.len()));
    let (from, to) = (one.min(other), one.max(other) + 1);
    let near_the_end = token.len() - 1 - chance.below(8);
    match chance.below(5) {
        0 => token[..from].to_owned(),
        1 => token[..near_the_end].to_owned(),
        2 => token[to..].to_owned(),
        3 => format!("{}{}", &token[..from], &token[to..]),
        _ => {
            let mut parts: Vec<_> = token.split('.').collect();
            parts[chance.below(3)] = "";
            parts.join(".")
        }
    }
}

/// Takes each part from one of two tokens, changes their places, or joins the
/// beginning of one to the end of the other.
pub(crate) fn swap(token: &str, other: &str, chance: &mut Chance) -> String {
    let (mut mixed, parts): (Vec<_>, Vec<_>) = (token.split('.').collect(), other.split('.').collect());
    let way = chance.below(5);
    if way < 2 {
        let place = chance.below(token.len().min(other.len()));
        return format!("{}{}", &token[..place], &other[place..]);
    }
    if way == 2 {
        mixed.rotate_left(1 + chance.below(2));
    } else {
        for part in 0..3 {
            if chance.below(2) == 0 {
                mixed[part] = parts[part];
            }
        }
    }
    mixed.join(".")
}

/// The same bytes in another spelling: bits that base64 does not use, padding,
/// the other alphabet, characters that a lenient decoder would skip.
pub(crate) fn respell(token: &str, chance: &mut Chance) -> String {
    let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
    let which = chance.below(3);
    let part = &mut parts[which];
    match chance.below(4) {
        0 => part.push_str(chance.one_of(&["=", "==", "===", "A", "AA"])),
        1 => *part = part.replace('-', "+").replace('_', "/"),
        2 => part.insert_str(chance.below(part.len()), chance.one_of(&[" ", "%", "=", "+", "/", "~", "\t"])),
        _ => {
            const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            let unused_bits = match part.len() % 4 {
                2 => 4,
                3 => 2,
                _ => 0,
            };
            let last = part.pop().unwrap_or('A');
            let value = ALPHABET.find(last).unwrap_or_default() ^ chance.below(1 << unused_bits);
            part.push_str(&ALPHABET[value..=value]);
        }
    }
    parts.join(".")
}

/// Puts something before, after or between the parts.
pub(crate) fn add_parts(token: &str, other: &str, chance: &mut Chance) -> String {
    match chance.below(6) {
        0 => format!("{token}."),
        1 => format!(".{token}"),
        2 => format!("{token}.{other}"),
        3 => token.replacen('.', "..", 1),
        4 => format!("{token},{other}"),
        _ => format!("{token} {other}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use shared::testing::TestKeys;

    use super::*;

    #[test]
    fn another_spelling_can_hold_the_same_bytes() {
        use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
        let lenient = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
        let lenient = GeneralPurpose::new(
            &base64::alphabet::URL_SAFE,
            lenient.with_encode_padding(false).with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
        );
        let (token, mut chance) = (TestKeys::generate("k").sign(&Value::Null), Chance::new(2));
        let signature = |token: &str| lenient.decode(token.rsplit('.').next().unwrap());
        let same = (0..200).map(|_| respell(&token, &mut chance)).filter(|mutant| {
            *mutant != token && signature(mutant).is_ok_and(|bytes| bytes == signature(&token).unwrap())
        });
        assert!(same.count() > 10);
    }
}
