use super::*;

#[test]
fn an_entry_is_common_in_any_case_and_in_leet() {
    common(&["1qaz2wsx3edc", "Administrator", "unbelievable", "@dm1n1str4t0r", "m0th3rfuck3r"]);
}

#[test]
fn digits_and_signs_around_an_entry_do_not_help() {
    common(&["qwertyuiop123", "iloveyou1234", "Password123456!", "P@ssw0rd2024!!", "!!!!!!dragon", "monkey483920"]);
    common(&["elizabeth1985", "dragon19851212", "1985dragon1212", "Summer-Winter1", "пароль123456"]);
}

#[test]
fn repetition_does_not_help() {
    common(&["passwordpassword", "letmeinletmein1", "drowssappassword", "Passw0rd!Passw0rd!", "xK9#mQxK9#mQ"]);
    common(&["aaaaaaaaaaaa", "abababababab", "12ab12ab12ab"]);
}

#[test]
fn walks_are_common() {
    common(&["123456789012", "abcdefghijkl", "zyxwvutsrqpo", "qwertzuiop12", "1qaz2wsx3edc4rfv", "йцукенгшщзхъ"]);
}

#[test]
fn the_most_common_entries_are_common_joined() {
    common(&["iloveyousomuch", "superman-batman", "manchesterunited", "dragonmonkeymaster"]);
}

#[test]
fn several_words_pass() {
    uncommon(&["correct-horse-battery-staple", "correct horse battery", "purplemonkeydishwasher", "my house is green"]);
    uncommon(&["house-green-river", "MyDogHasFleas", "four score and seven"]);
}

#[test]
fn what_nobody_would_guess_passes() {
    uncommon(&[
        "vN4!x9TzQ#1m",
        "gkwpzrqhtmxl",
        "kitchen8294716",
        "Straßenbahnhof",
        "密码密码一二三四五六七八九十",
        "🦀🐘🦊🐙🐝🦉🐢🦋🐞🦔🐳🦩",
    ]);
}

#[test]
fn any_text_has_a_price() {
    for text in ["", "\n", "İİİİİİİİİİİİ", "ßﬁǅΣς", &"aZ1!".repeat(32), &"\u{10ffff}".repeat(128)] {
        is_common(text);
    }
}

#[track_caller]
fn common(passwords: &[&str]) {
    for password in passwords {
        assert!(is_common(password), "{password} takes 10^{} guesses", price(password));
    }
}

#[track_caller]
fn uncommon(passwords: &[&str]) {
    for password in passwords {
        assert!(!is_common(password), "{password} takes 10^{} guesses", price(password));
    }
}

fn price(password: &str) -> f64 {
    f64::from(guesses(&password.to_lowercase().chars().collect::<Vec<_>>())) / 10.0
}
