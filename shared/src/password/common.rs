//! Passwords that are among the first a guesser tries (NIST SP 800-63B,
//! 3.1.1.2), by a list of common passwords, words and names that is part of
//! the binary ([`super::list`]).
//!
//! At 12 characters few are on any list as they stand: they are made of what
//! is. So a password is read as pieces in every way there is, each piece has a
//! price (the decimal logarithm of the guesses it takes), and a password is
//! common where its cheapest reading takes at most [`BUDGET`]. In short:
//!
//! - an entry of the list, in any case and in leet, is common;
//! - so is one with digits and signs around it: any five, up to eight around
//!   the hundred most common, more where they are a date, a run or a sequence;
//! - so is what is said twice or forth and back, up to eight characters of it;
//! - so are runs, sequences and walks on the keyboard, up to four in a row;
//! - so are two entries joined, three only of the most common;
//! - three or more words are not, nor is what was drawn at random (but for one
//!   in eight of 12 digits alone, which hold a year or a date).

use secrecy::zeroize::Zeroizing;

use super::list::List;

/// In tenths of the decimal logarithm of the guesses, as all prices here:
/// 10^10, which is where zxcvbn starts to call a password very unguessable.
const BUDGET: u32 = 100;

// What does not depend on the list. The generator knows the first two.
const DIGIT_OR_SIGN: u32 = 10;
const LETTER: u32 = 14;
const LEET: u32 = 3;
const COPY: u32 = 10;
const WALK: u32 = 25;
const YEAR: u32 = 20;
const DATE: u32 = 50;

/// A shorter walk or copy is too likely by chance.
const MIN_PIECE: usize = 3;

/// Rows, columns and the zigzag of QWERTY, where QWERTZ and AZERTY differ, and
/// the rows of ЙЦУКЕН.
const KEYBOARD: [&str; 24] = [
    "1234567890-=",
    "!@#$%^&*()_+",
    "qwertyuiop[]",
    "asdfghjkl;'",
    "zxcvbnm,./",
    "qwertzuiop",
    "yxcvbnm",
    "azertyuiop",
    "qsdfghjklm",
    "wxcvbn",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz",
    "2wsx",
    "3edc",
    "4rfv",
    "5tgb",
    "6yhn",
    "7ujm",
    "8ik,",
    "9ol.",
    "0p;/",
    "йцукенгшщзхъ",
    "фывапролджэ",
    "ячсмитьбю",
];

/// Whether `password` (in NFC) is among the first that a guesser tries.
pub(crate) fn is_common(password: &str) -> bool {
    // Room for all of it at once: growing would leave copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(password.len()));
    text.extend(password.chars().flat_map(char::to_lowercase));
    guesses(&text) <= BUDGET
}

/// The price of the cheapest reading of `text`.
fn guesses(text: &[char]) -> u32 {
    let mut cheapest = vec![u32::MAX; text.len() + 1];
    cheapest[0] = 0;
    for start in 0..text.len() {
        // Set by the piece of one character that ends here, if by no other.
        let so_far = cheapest[start];
        pieces(text, start, |length, price| {
            let end = &mut cheapest[start + length];
            *end = (*end).min(so_far + price);
        });
    }
    cheapest[text.len()]
}

/// Offers every piece of `text` that begins at `start`, as length and price.
fn pieces(text: &[char], start: usize, mut offer: impl FnMut(usize, u32)) {
    let (before, rest) = text.split_at(start);
    offer(1, if rest[0].is_ascii() && !rest[0].is_ascii_alphabetic() { DIGIT_OR_SIGN } else { LETTER });
    entries(rest, &mut offer);
    for length in MIN_PIECE..=walk(rest) {
        offer(length, WALK);
    }
    for length in MIN_PIECE..=before.len().min(rest.len()) {
        let (copy, original) = (&rest[..length], &before[start - length..]);
        if copy == original || copy.iter().eq(original.iter().rev()) {
            offer(length, COPY);
        }
    }
    for (length, price) in [(4, YEAR), (6, DATE), (8, DATE)] {
        if rest.get(..length).is_some_and(is_date) {
            offer(length, price);
        }
    }
}

/// The longest run (`aaa`), sequence (`abc`, `987`) or walk on the keyboard
/// that `rest` begins with.
fn walk(rest: &[char]) -> usize {
    let while_steps = |step: i64| {
        let steps = rest.windows(2).take_while(|pair| {
            let sequence = pair[0].is_alphanumeric() && pair[1].is_alphanumeric();
            i64::from(u32::from(pair[1])) - i64::from(u32::from(pair[0])) == step && (step == 0 || sequence)
        });
        1 + steps.count()
    };
    let straight = [-1, 0, 1].into_iter().map(while_steps);
    let typed = KEYBOARD.iter().map(|row| along(row.chars(), rest).max(along(row.chars().rev(), rest)));
    straight.chain(typed).max().unwrap_or_default()
}

fn along(row: impl Iterator<Item = char>, rest: &[char]) -> usize {
    row.skip_while(|key| *key != rest[0]).zip(rest).take_while(|(key, typed)| key == *typed).count()
}

/// A year, or a date of six or eight digits in any common order.
fn is_date(digits: &[char]) -> bool {
    if !digits.iter().all(char::is_ascii_digit) {
        return false;
    }
    let number = |from: usize, to: usize| {
        digits[from..to].iter().fold(0, |number, digit| number * 10 + digit.to_digit(10).unwrap_or_default())
    };
    let year = |from| (1940..2040).contains(&number(from, from + 4));
    let day = |a, b| {
        let (a, b) = (number(a, a + 2), number(b, b + 2));
        (1..=31).contains(&a.max(b)) && (1..=12).contains(&a.min(b))
    };
    match digits.len() {
        4 => year(0),
        6 => day(0, 2) || day(2, 4),
        8 => (year(0) && day(4, 6)) || (year(4) && day(0, 2)),
        _ => false,
    }
}

/// Offers the entries that `rest` begins with, as they stand and in leet, where
/// a 1 may be an i or an l.
fn entries(rest: &[char], offer: &mut impl FnMut(usize, u32)) {
    let list = List::embedded();
    for one in [None, Some('i'), Some('l')] {
        let (mut state, mut letters, mut replaced) = (list.root, 0, 0);
        for (index, typed) in rest.iter().enumerate() {
            let meant = one.map_or(*typed, |one| unleet(*typed, one));
            replaced += u32::from(meant != *typed);
            letters += u32::from(typed.is_alphabetic());
            let Some(edge) = list.edge(state, meant) else { break };
            match edge.price {
                Some(price) if one.is_none() => offer(index + 1, price),
                // Mostly other characters is no word in leet, but a number.
                Some(price) if replaced > 0 && replaced <= letters => offer(index + 1, price + LEET),
                _ => {}
            }
            let Some(next) = edge.target else { break };
            state = next;
        }
    }
}

fn unleet(typed: char, one: char) -> char {
    match typed {
        '4' | '@' => 'a',
        '3' => 'e',
        '1' | '!' => one,
        '0' => 'o',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    }
}

#[cfg(test)]
mod tests;
