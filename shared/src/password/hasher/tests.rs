use std::time::{Duration, Instant};

use serde_json::json;
use tokio::{runtime::Builder, time::timeout};

use super::*;
use crate::error::Code;

const ONE: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA";
const TWO: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8";
const OTTERS: &str = "nine-quiet-otters-row-north";

fn peppers(current: u32, keys: &[(&str, &str)]) -> Peppers {
    let keys: serde_json::Map<_, _> =
        keys.iter().map(|(version, key)| ((*version).to_owned(), (*key).into())).collect();
    serde_json::from_value(json!({ "current": current, "keys": keys })).expect("peppers")
}

fn with(current: u32, keys: &[(&str, &str)]) -> Passwords {
    Passwords::new(MIB_PER_VCPU, peppers(current, keys)).expect("threads")
}

fn passwords() -> Passwords {
    with(1, &[("1", ONE)])
}

fn typed(text: &str) -> TypedPassword {
    TypedPassword(text.to_owned().into())
}

fn new(text: &str) -> NewPassword {
    NewPassword::try_from(SecretString::from(text.to_owned())).expect("a password that the policy takes")
}

impl Passwords {
    async fn opens(&self, password: &str, stored: &str) -> bool {
        self.verify(&typed(password), Some(stored.to_owned())).await.expect("a verdict")
    }

    async fn upgraded(&self, password: &str, stored: &str) -> Option<String> {
        self.upgrade(&typed(password), stored).await.expect("an answer")
    }
}

#[tokio::test]
async fn a_hash_opens_for_its_password_alone_in_either_normal_form() {
    let passwords = passwords();
    let hash = passwords.hash(&new("Zoë's quiet otters")).await.expect("a hash");
    assert!(hash.starts_with("$argon2id$v=19$m=65536,t=3,p=4,keyid=MQ$"), "{hash}");
    // The same text with a combining diaeresis (NFD).
    let nfd = "Zoe\u{308}'s quiet otters";
    assert!(passwords.opens(nfd, &hash).await);
    for other in ["Zoe's quiet otters", "zoë's quiet otters", "Zoë's quiet otters ", "Zoë's quiet otter", ""] {
        assert!(!passwords.opens(other, &hash).await, "{other}");
    }
    assert!(!passwords.verify(&typed(nfd), None).await.expect("a verdict"));
    assert_ne!(passwords.hash(&new("Zoë's quiet otters")).await.expect("a hash"), hash, "each has a salt of its own");
}

#[tokio::test]
async fn the_last_of_128_characters_counts() {
    let (passwords, long) = (passwords(), OTTERS.repeat(5));
    let long: String = long.chars().take(127).collect();
    let hash = passwords.hash(&new(&format!("{long}漢"))).await.expect("a hash");
    assert!(passwords.opens(&format!("{long}漢"), &hash).await);
    assert!(!passwords.opens(&format!("{long}字"), &hash).await && !passwords.opens(&long, &hash).await);
}

#[tokio::test]
async fn a_current_hash_stays_and_its_pepper_is_part_of_it() {
    let ours = passwords();
    let hash = ours.hash(&new(OTTERS)).await.expect("a hash");
    assert_eq!(ours.upgraded(OTTERS, &hash).await, None);
    let other_key = with(1, &[("1", TWO)]);
    assert!(!other_key.opens(OTTERS, &hash).await, "the same version with another key");
    let without = hash.replace(",keyid=MQ", "");
    assert!(!ours.opens(OTTERS, &without).await, "a hash that hides its pepper");
}

#[tokio::test]
async fn a_pepper_is_rotated_without_a_pause() {
    let old = passwords().hash(&new(OTTERS)).await.expect("a hash");
    // The new key is known, and not used yet.
    let published = with(1, &[("1", ONE), ("2", TWO)]);
    assert!(published.opens(OTTERS, &old).await && published.upgraded(OTTERS, &old).await.is_none());
    let switched = with(2, &[("1", ONE), ("2", TWO)]);
    assert!(switched.opens(OTTERS, &old).await && !switched.opens("another password", &old).await);
    let upgraded = switched.upgraded(OTTERS, &old).await.expect("a new hash");
    assert!(upgraded.starts_with("$argon2id$v=19$m=65536,t=3,p=4,keyid=Mg$"), "{upgraded}");
    assert!(switched.opens(OTTERS, &upgraded).await && switched.upgraded(OTTERS, &upgraded).await.is_none());
    assert!(published.opens(OTTERS, &upgraded).await, "an environment that has not switched knows it");
    // The old key is gone: what was upgraded opens, what was not is our fault.
    let retired = with(2, &[("2", TWO)]);
    assert!(retired.opens(OTTERS, &upgraded).await);
    let verdict = retired.verify(&typed(OTTERS), Some(old)).await;
    assert_eq!(verdict.map_err(|error| error.code()), Err(Code::Internal));
}

/// By the reference implementation's own tests.
#[tokio::test]
async fn other_argon2_hashes_are_verified_and_upgraded() {
    let passwords = passwords();
    for stored in [
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
        "$argon2i$m=65536,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ",
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
    ] {
        assert!(passwords.opens("password", stored).await, "{stored}");
        assert!(!passwords.opens("Password", stored).await, "{stored}");
        let upgraded = passwords.upgraded("password", stored).await.expect("a new hash");
        assert!(upgraded.starts_with("$argon2id$v=19$m=65536,t=3,p=4,keyid=MQ$"), "{upgraded}");
        assert!(passwords.opens("password", &upgraded).await);
    }
}

/// By libxcrypt, and by jBCrypt's own tests.
#[tokio::test]
async fn bcrypt_hashes_are_verified_and_upgraded() {
    let passwords = passwords();
    for (password, stored) in [
        (OTTERS, "$2a$04$abcdefghijklmnopqrstuubFqBsPwzOMwCRDofARopP7A8rQL0wdu"),
        (OTTERS, "$2b$05$abcdefghijklmnopqrstuuIAMotokjvqxS37l/xxPOkoAA/z9PVFG"),
        (OTTERS, "$2y$06$abcdefghijklmnopqrstuuMM2WY3hywXWbrAFXK1YPdEELrhzR1uW"),
        ("üüüüüüüüüüüüüüüüüüüü", "$2b$04$abcdefghijklmnopqrstuusIX6466NDPZho88f/gMIQsOczhhvhYi"),
        ("a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"),
        ("", "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s."),
    ] {
        assert!(passwords.opens(password, stored).await, "{stored}");
        assert!(!passwords.opens(&format!("{password}x"), stored).await, "{stored}");
        assert!(!passwords.opens(&format!("{password}\0{password}"), stored).await, "{stored}");
        let upgraded = passwords.upgraded(password, stored).await.expect("a new hash");
        assert!(passwords.opens(password, &upgraded).await);
    }
}

#[tokio::test]
async fn a_bcrypt_hash_stays_where_what_it_cut_off_cannot_be_told() {
    let passwords = passwords();
    // Of 80 digits, by libxcrypt.
    let stored = "$2b$04$abcdefghijklmnopqrstuum2G75IXDN/xsgbNa/hCiPSKyIHQd70S";
    let digits = "0123456789".repeat(8);
    for typed in [&*digits, &digits[..72], &format!("{}, mistyped", &digits[..72])] {
        assert!(passwords.opens(typed, stored).await, "{typed}");
        assert_eq!(passwords.upgraded(typed, stored).await, None, "{typed}");
    }
    assert!(!passwords.opens(&digits[..71], stored).await);
    let shorter = bcrypt::hash_with_salt(&digits[..71], 4, [7; 16]).expect("a hash").to_string();
    assert!(passwords.opens(&digits[..71], &shorter).await && !passwords.opens(&digits[..72], &shorter).await);
    assert!(passwords.upgraded(&digits[..71], &shorter).await.is_some());
}

#[tokio::test]
async fn a_corrupt_or_huge_stored_hash_is_refused_before_any_of_it_is_computed() {
    let passwords = passwords();
    // Nobody could hash now.
    let all = passwords.0.permits.acquire_many(1).await.expect("all places");
    for stored in [
        "",
        "not a hash",
        "$argon2id$v=19$m=65536,t=3,p=4$$",
        "$2b$31$abcdefghijklmnopqrstuubFqBsPwzOMwCRDofARopP7A8rQL0wdu",
    ] {
        for answer in [
            timeout(Duration::from_secs(1), passwords.verify(&typed(OTTERS), Some(stored.to_owned())))
                .await
                .map(|a| a.map(drop)),
            timeout(Duration::from_secs(1), passwords.upgrade(&typed(OTTERS), stored)).await.map(|a| a.map(drop)),
        ] {
            assert_eq!(answer.expect("at once").map_err(|error| error.code()), Err(Code::Internal), "{stored}");
        }
    }
    drop(all);
}

#[test]
fn as_many_hash_at_once_as_there_are_processors() {
    for (memory_mib, places, threads) in [(128, 1, 1), (1024, 1, 1), (1769, 1, 1), (3538, 2, 2), (10_240, 5, 4)] {
        let passwords = Passwords::new(memory_mib, peppers(1, &[("1", ONE)])).expect("threads");
        let inner = &passwords.0;
        assert_eq!((inner.permits.available_permits(), inner.threads_per_place), (places, threads), "{memory_mib}");
        let kept_mib = places * MAX_MEMORY_KIB as usize / 1024;
        assert!(kept_mib * 2 <= memory_mib as usize, "they take half of the memory at most");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn places_are_kept_and_never_more_than_there_is_room_for() {
    let passwords = Passwords::new(2 * MIB_PER_VCPU, peppers(1, &[("1", ONE)])).expect("threads");
    let hash = passwords.hash(&new(OTTERS)).await.expect("a hash");
    assert_eq!(passwords.0.idle.lock().expect("places").len(), 1, "one after the other needs one");
    let many = (0..8).map(|_| {
        let (passwords, hash) = (passwords.clone(), hash.clone());
        tokio::spawn(async move { passwords.opens(OTTERS, &hash).await })
    });
    for one in many.collect::<Vec<_>>() {
        assert!(one.await.expect("no panic"));
    }
    let idle = passwords.0.idle.lock().expect("places");
    assert_eq!(idle.len(), 2);
    for place in idle.iter() {
        assert_eq!(place.memory.len(), 64 * 1024);
        assert!(place.memory.iter().all(|block| block.as_ref().iter().all(|word| *word == 0)), "wiped");
    }
}

#[test]
fn whoever_waits_holds_no_thread_and_leaves_the_line_when_cut_short() {
    let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(1).build().expect("a runtime");
    runtime.block_on(async {
        let passwords = passwords();
        let busy = passwords.0.permits.clone().acquire_owned().await.expect("the only place");
        let (typed, start) = (typed(OTTERS), Instant::now());
        let waiting = (0..100).map(|_| timeout(Duration::from_millis(200), passwords.verify(&typed, None)));
        let mut waiting = Box::pin(futures_util::future::join_all(waiting));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        // The only thread for blocking work is free.
        let free = timeout(Duration::from_secs(1), tokio::task::spawn_blocking(|| ()));
        assert!(matches!(free.await, Ok(Ok(()))));
        assert!(waiting.await.iter().all(Result::is_err));
        assert!(start.elapsed() < Duration::from_secs(2));
        drop(busy);
        let next = timeout(Duration::from_secs(10), passwords.verify(&typed, None)).await;
        assert_eq!(next.expect("its turn at once").ok(), Some(false));
    });
}
