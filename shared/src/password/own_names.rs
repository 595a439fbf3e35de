//! Passwords that are made of what the account itself is called, which whoever
//! attacks that account tries first.
//!
//! The rule, in letters and digits alone and without regard to case: a name is
//! taken whole, in its words, and at the `@`; of these parts, those of four
//! characters or more are looked for in the password, forwards and backwards.
//! Where they make up half of it or more it is refused; and so it is where it
//! stands within a name, forwards or backwards.

use secrecy::zeroize::Zeroizing;
use unicode_normalization::UnicodeNormalization;

/// A shorter part is in too many words by chance.
const MIN_PART: usize = 4;

/// Whether `names` make `password` (in NFC) up.
pub(super) fn make_up(password: &str, names: &[&str]) -> bool {
    // Room for all of it at once: growing would leave copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(password.len() * 3));
    text.extend(letters_and_digits(password));
    let mut covered = vec![false; text.len()];
    for name in names {
        let name: String = name.nfc().collect();
        let whole: Vec<char> = letters_and_digits(&name).collect();
        if occurs(&text, &whole) {
            return true;
        }
        let sides = name.split('@').map(str::to_owned);
        let words = name.split(|c: char| !c.is_alphanumeric()).map(str::to_owned);
        for part in sides.chain(words) {
            mark(&mut covered, &text, &letters_and_digits(&part).collect::<Vec<_>>());
        }
    }
    let count = covered.iter().filter(|is_covered| **is_covered).count();
    count > 0 && count * 2 >= text.len()
}

/// Marks where `part` stands in `text`, forwards or backwards.
fn mark(covered: &mut [bool], text: &[char], part: &[char]) {
    if part.len() < MIN_PART {
        return;
    }
    for (start, window) in text.windows(part.len()).enumerate() {
        if same(window, part) {
            covered[start..start + part.len()].fill(true);
        }
    }
}

/// Whether `text` stands in `name`, forwards or backwards.
fn occurs(text: &[char], name: &[char]) -> bool {
    text.len() >= MIN_PART && name.windows(text.len()).any(|window| same(window, text))
}

fn same(one: &[char], other: &[char]) -> bool {
    one == other || one.iter().eq(other.iter().rev())
}

fn letters_and_digits(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] =
        ["ada.lovelace@analytical-engines.example", "Ada Zoë Lovelace", "engines", "Analytical Engines Ltd"];

    #[test]
    fn a_password_of_the_accounts_own_names_is_refused() {
        for password in [
            "ada.lovelace@analytical-engines.example",
            "lovelace2024!",
            "Ada-Lovelace-1815",
            "AnalyticalEngines",
            "engines!engines",
            "my lovelace 123",
            "analytical #1!",
        ] {
            assert!(make_up(password, &NAMES), "{password}");
        }
    }

    #[test]
    fn backwards_is_no_better() {
        assert!(make_up("ecalevoL1815", &NAMES));
        assert!(make_up("senignelacitylana", &NAMES));
    }

    #[test]
    fn a_piece_of_a_name_is_refused_where_it_is_the_whole_password() {
        assert!(make_up("velaceanalyt", &NAMES), "across the @");
        assert!(make_up("tylanaecalev", &NAMES), "and backwards");
    }

    #[test]
    fn a_name_may_stand_in_a_password_that_is_mostly_something_else() {
        for password in [
            "lovelace rides a purple bicycle",
            "nine-quiet-otters-row-north",
            "vN4!x9TzQ#1m",
            "my ada is four years old",
        ] {
            assert!(!make_up(password, &NAMES), "{password}");
        }
    }

    #[test]
    fn composed_or_not_a_name_is_the_same() {
        assert!(make_up("françoise-1234", &["Franc\u{327}oise"]));
    }

    #[test]
    fn short_parts_empty_names_and_passwords_without_letters_match_nothing() {
        assert!(!make_up("ada-bob-4-dog-7", &["ada@bob.cat", "dog"]));
        assert!(!make_up("🦀🐘🦊🐙🐝🦉🐢🦋🐞🦔🐳🦩", &["", "@", "🦀🐘🦊🐙🐝"]));
        assert!(!make_up("vN4!x9TzQ#1m", &[]));
    }
}
