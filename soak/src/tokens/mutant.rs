//! What is made of valid tokens.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::Value;
use shared::testing::TestKeys;

use super::{edit, object::Object, ours};
use crate::{Result, chance::Chance};

/// What begins a P-256 public key in DER (RFC 5480).
const SPKI: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];

/// The kinds of mutants, and how many of a hundred are of each.
pub(crate) const KINDS: [(&str, usize); 13] = [
    ("a bit of the text", 12),
    ("several bits of the text", 8),
    ("a bit of what it encodes", 12),
    ("several bits of what it encodes", 8),
    ("cut", 10),
    ("parts of two tokens", 5),
    ("spelled otherwise", 5),
    ("parts too many", 3),
    ("header changed", 10),
    ("claims changed", 10),
    ("signed by another key", 7),
    ("HS256 with the public key", 6),
    ("signed by us, to be refused", 4),
];

/// Makes mutants.
pub(crate) struct Forge {
    keys: Arc<TestKeys>,
    /// Another's keys, under the kid of ours.
    foreign: TestKeys,
    /// The public key, in every form that somebody may take for a secret.
    secrets: Vec<Vec<u8>>,
    /// Seconds since 1970.
    now: i64,
    header: Object,
    claims: Vec<Object>,
    tokens: Vec<String>,
}

impl Forge {
    /// From the claims of members of at least two tenants, who take turns.
    ///
    /// # Errors
    /// The keys are not as expected.
    pub(crate) fn new(keys: &Arc<TestKeys>, claims: &[Value]) -> Result<Self> {
        let jwk = keys.public_jwk();
        let coordinate = |name: &str| Ok::<_, crate::Error>(URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap_or(""))?);
        let point = [coordinate("x")?, coordinate("y")?].concat();
        let der = [&SPKI[..], &point].concat();
        let pem = |end: &str| {
            format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----{end}", STANDARD.encode(&der)).into_bytes()
        };
        let set = format!("{{\"keys\":[{jwk}]}}");
        let secrets =
            vec![pem("\n"), pem(""), der.clone(), point, jwk.to_string().into_bytes(), set.into_bytes(), Vec::new()];
        let kid = jwk["kid"].as_str().ok_or("a key without kid")?;
        let mut forge = Self {
            keys: keys.clone(),
            foreign: TestKeys::generate(kid),
            secrets,
            now: 0,
            header: Object::of(&Value::Null),
            claims: Vec::new(),
            tokens: Vec::new(),
        };
        forge.renew(claims)?;
        Ok(forge)
    }

    /// Goes on with newer claims.
    ///
    /// # Errors
    /// The keys do not sign as expected.
    pub(crate) fn renew(&mut self, claims: &[Value]) -> Result<()> {
        self.now = claims[0]["iat"].as_i64().ok_or("claims without iat")?;
        self.tokens = claims.iter().map(|claims| self.keys.sign(claims)).collect();
        self.claims = claims.iter().map(Object::of).collect();
        let header = self.tokens[0].split('.').next().unwrap_or_default();
        self.header = Object::of(&serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header)?)?);
        Ok(())
    }

    /// The valid tokens.
    pub(crate) fn valid(&self) -> &[String] {
        &self.tokens
    }

    /// A mutant of this kind, an index into [`KINDS`]: none that is valid.
    pub(crate) fn mutant(&self, kind: usize, chance: &mut Chance) -> String {
        loop {
            let mutant = self.attempt(kind, chance);
            if !self.tokens.iter().any(|token| token == mutant.trim()) {
                return mutant;
            }
        }
    }

    fn attempt(&self, kind: usize, chance: &mut Chance) -> String {
        let which = chance.below(self.tokens.len());
        let next = (which + 1) % self.tokens.len();
        let (token, other) = (&*self.tokens[which], &*self.tokens[next]);
        let (mut header, mut claims) = (self.header.clone(), self.claims[which].clone());
        match kind {
            0 => flip_text(token, 1, chance),
            1 => flip_text(token, 2 + chance.below(12), chance),
            2 => flip_bytes(token, 1, chance),
            3 => flip_bytes(token, 2 + chance.below(30), chance),
            4 => cut(token, chance),
            5 => swap(token, other, chance),
            6 => respell(token, chance),
            7 => add_parts(token, other, chance),
            8 => {
                edit::header(&mut header, chance);
                with_signature(&header.text(), &claims.text(), signature(token, chance))
            }
            9 => {
                edit::claims(&mut claims, &self.claims[next], chance);
                with_signature(&header.text(), &claims.text(), signature(token, chance))
            }
            10 => {
                self.edit_some(&mut header, &mut claims, next, chance);
                self.foreign.sign_raw(&header.text(), &claims.text())
            }
            11 => {
                self.edit_some(&mut header, &mut claims, next, chance);
                header.set("alg", chance.one_of(&[r#""HS256""#, r#""HS256""#, r#""ES256""#]));
                self.by_hmac(&header.text(), &claims.text(), chance)
            }
            _ => {
                ours::spoil(&mut header, &mut claims, &self.claims[next], self.now, chance);
                self.keys.sign_raw(&header.text(), &claims.text())
            }
        }
    }

    /// Changes the header, the claims, both or neither.
    fn edit_some(&self, header: &mut Object, claims: &mut Object, other: usize, chance: &mut Chance) {
        if chance.below(3) == 0 {
            edit::header(header, chance);
        }
        if chance.below(3) == 0 {
            edit::claims(claims, &self.claims[other], chance);
        }
    }

    fn by_hmac(&self, header: &str, claims: &str, chance: &mut Chance) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.secrets[chance.below(self.secrets.len())]);
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes())))
    }
}

fn with_signature(header: &str, claims: &str, signature: &str) -> String {
    format!("{}.{}.{signature}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

/// The token's own signature, or none, or one of zeros.
fn signature<'a>(token: &'a str, chance: &mut Chance) -> &'a str {
    const ZEROS: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    match chance.below(6) {
        0 => "",
        1 => ZEROS,
        _ => token.rsplit('.').next().unwrap_or_default(),
    }
}

/// Flips bits of characters, so that each stays one that a header can carry.
fn flip_text(token: &str, bits: usize, chance: &mut Chance) -> String {
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

/// Flips bits of the header, the claims or the signature. (Not all bits of the
/// signature: of (r, s) the twin (r, n - s) verifies too, by the nature of
/// ECDSA. It says the same of the same claims, and chance does not find it.)
fn flip_bytes(token: &str, bits: usize, chance: &mut Chance) -> String {
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
fn cut(token: &str, chance: &mut Chance) -> String {
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
fn swap(token: &str, other: &str, chance: &mut Chance) -> String {
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
fn respell(token: &str, chance: &mut Chance) -> String {
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
fn add_parts(token: &str, other: &str, chance: &mut Chance) -> String {
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
    use std::collections::HashSet;

    use serde_json::json;

    use super::*;

    fn forge() -> Forge {
        let claims = |tenant: &str| json!({ "iss": "https://a.example", "sub": "s", "iat": 1000, "tenant_id": tenant });
        Forge::new(&Arc::new(TestKeys::generate("k")), &[claims("a"), claims("b")]).unwrap()
    }

    #[test]
    fn the_shares_are_hundredths() {
        assert_eq!(KINDS.iter().map(|(_, share)| share).sum::<usize>(), 100);
    }

    #[test]
    fn no_mutant_is_a_valid_token_and_few_are_the_same() {
        let (forge, mut chance) = (forge(), Chance::new(1));
        for (kind, (name, _)) in KINDS.iter().enumerate() {
            let mutants: HashSet<_> = (0..50).map(|_| forge.mutant(kind, &mut chance)).collect();
            assert!(mutants.len() > 10, "{name}: {}", mutants.len());
            assert!(forge.valid().iter().all(|token| !mutants.contains(token)), "{name}");
        }
    }

    #[test]
    fn another_spelling_can_hold_the_same_bytes() {
        use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
        let lenient = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
        let lenient = GeneralPurpose::new(
            &base64::alphabet::URL_SAFE,
            lenient.with_encode_padding(false).with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
        );
        let (forge, mut chance) = (forge(), Chance::new(2));
        let token = &forge.valid()[0];
        let signature = |token: &str| lenient.decode(token.rsplit('.').next().unwrap());
        let same = (0..200).map(|_| respell(token, &mut chance)).filter(|mutant| {
            mutant != token && signature(mutant).is_ok_and(|bytes| bytes == signature(token).unwrap())
        });
        assert!(same.count() > 10);
    }
}
