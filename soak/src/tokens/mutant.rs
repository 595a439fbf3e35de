//! What is made of valid tokens.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use shared::testing::TestKeys;

use super::{edit, object::Object, ours, public, text};
use crate::{Result, chance::Chance};

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
    /// The keys that sign; each has its `kid`.
    keys: Vec<Arc<TestKeys>>,
    /// Another's keys, under the same ones.
    foreign: Vec<TestKeys>,
    /// The public keys, in every form that somebody may take for a secret.
    secrets: Vec<Vec<u8>>,
    /// Seconds since 1970.
    now: i64,
    tokens: Vec<Valid>,
}

/// A valid token, and what it is made of.
struct Valid {
    text: String,
    header: Object,
    claims: Object,
    /// Which key signed it.
    key: usize,
}

impl Forge {
    /// From the claims of members, who take turns: each one's neighbours are of
    /// another tenant. The keys take turns too.
    ///
    /// # Errors
    /// The keys are not as expected.
    pub(crate) fn new(keys: Vec<Arc<TestKeys>>, claims: &[Value]) -> Result<Self> {
        let jwks: Vec<_> = keys.iter().map(|keys| keys.public_jwk()).collect();
        let secrets = jwks.iter().map(public::forms).collect::<Result<Vec<_>>>()?.concat();
        let kid = |jwk: &Value| jwk["kid"].as_str().unwrap_or_default().to_owned();
        let foreign = keys.iter().zip(&jwks).map(|(keys, jwk)| TestKeys::of(keys.algorithm(), &kid(jwk)));
        let mut forge = Self { foreign: foreign.collect(), keys, secrets, now: 0, tokens: Vec::new() };
        forge.renew(claims)?;
        Ok(forge)
    }

    /// Goes on with newer claims.
    ///
    /// # Errors
    /// The keys do not sign as expected.
    pub(crate) fn renew(&mut self, claims: &[Value]) -> Result<()> {
        self.now = claims[0]["iat"].as_i64().ok_or("claims without iat")?;
        let valid = |(number, claims): (usize, &Value)| {
            let key = number / 2 % self.keys.len();
            let text = self.keys[key].sign(claims);
            let header = URL_SAFE_NO_PAD.decode(text.split('.').next().unwrap_or_default())?;
            Ok(Valid { header: Object::of(&serde_json::from_slice(&header)?), claims: Object::of(claims), key, text })
        };
        self.tokens = claims.iter().enumerate().map(valid).collect::<Result<_>>()?;
        Ok(())
    }

    /// The valid tokens.
    pub(crate) fn valid(&self) -> Vec<&str> {
        self.tokens.iter().map(|token| token.text.as_str()).collect()
    }

    /// A mutant of this kind, an index into [`KINDS`]: none that is valid.
    pub(crate) fn mutant(&self, kind: usize, chance: &mut Chance) -> String {
        loop {
            let mutant = self.attempt(kind, chance);
            if !self.valid().contains(&mutant.trim()) {
                return mutant;
            }
        }
    }

    fn attempt(&self, kind: usize, chance: &mut Chance) -> String {
        let which = chance.below(self.tokens.len());
        let (valid, next) = (&self.tokens[which], &self.tokens[(which + 1) % self.tokens.len()]);
        let (token, other) = (&*valid.text, &*next.text);
        let (mut header, mut claims) = (valid.header.clone(), valid.claims.clone());
        match kind {
            0 => text::flip_text(token, 1, chance),
            1 => text::flip_text(token, 2 + chance.below(12), chance),
            2 => text::flip_bytes(token, 1, chance),
            3 => text::flip_bytes(token, 2 + chance.below(30), chance),
            4 => text::cut(token, chance),
            5 => text::swap(token, other, chance),
            6 => text::respell(token, chance),
            7 => text::add_parts(token, other, chance),
            8 => {
                edit::header(&mut header, &next.header, chance);
                with_signature(&header.text(), &claims.text(), signature(token, chance))
            }
            9 => {
                edit::claims(&mut claims, &next.claims, chance);
                with_signature(&header.text(), &claims.text(), signature(token, chance))
            }
            10 => {
                edit_some(&mut header, &mut claims, next, chance);
                self.foreign[valid.key].sign_raw(&header.text(), &claims.text())
            }
            11 => {
                edit_some(&mut header, &mut claims, next, chance);
                header.set("alg", chance.one_of(&[r#""HS256""#, r#""HS256""#, r#""ES256""#, r#""EdDSA""#]));
                self.by_hmac(&header.text(), &claims.text(), chance)
            }
            _ => {
                ours::spoil(&mut header, &mut claims, &next.claims, self.now, chance);
                self.keys[valid.key].sign_raw(&header.text(), &claims.text())
            }
        }
    }

    fn by_hmac(&self, header: &str, claims: &str, chance: &mut Chance) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.secrets[chance.below(self.secrets.len())]);
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes())))
    }
}

/// Changes the header, the claims, both or neither.
fn edit_some(header: &mut Object, claims: &mut Object, other: &Valid, chance: &mut Chance) {
    if chance.below(3) == 0 {
        edit::header(header, &other.header, chance);
    }
    if chance.below(3) == 0 {
        edit::claims(claims, &other.claims, chance);
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::json;
    use shared::auth::Algorithm;

    use super::*;

    fn forge() -> Forge {
        let claims = |tenant: &str| json!({ "iss": "https://a.example", "sub": "s", "iat": 1000, "tenant_id": tenant });
        let keys = [TestKeys::of(Algorithm::EdDsa, "one"), TestKeys::of(Algorithm::Es256, "two")];
        Forge::new(keys.map(Arc::new).into(), &["a", "b", "a", "b"].map(claims)).unwrap()
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
            assert!(forge.valid().iter().all(|token| !mutants.contains(*token)), "{name}");
        }
    }
}
