//! L1 in memory: whatever is done to a chain of 10,000 is found, and the first bad seq is named.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use audit_verify::{Anchors, At, Chain, Checkpoint, CheckpointFault, Found, Hash, Keys, Record, verify};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use serde_json::value::RawValue;

const TENANT: &str = "01900000-0000-7000-8000-000000000001";
const OTHER: &str = "01900000-0000-7000-8000-000000000009";
const LENGTH: u64 = 10_000;

fn details() -> &'static RawValue {
    serde_json::from_str(r#"{"fields":["title"],"n":1}"#).unwrap()
}

fn record(seq: u64, prev_hash: Hash) -> Record<'static> {
    let version = if seq <= LENGTH / 2 { 1 } else { 2 };
    let mut record = Record {
        version,
        tenant_id: TENANT.into(),
        seq,
        at: At(1_795_255_200_000_000 + i64::try_from(seq).unwrap()),
        action: "todo.updated".into(),
        outcome: "success".into(),
        reason: seq.is_multiple_of(3).then(|| "because".into()),
        actor_id: Some("01900000-0000-7000-8000-000000000002".into()),
        session_id: None,
        object_id: Some("01900000-0000-7000-8000-000000000004".into()),
        source_address: Some("203.0.113.7".into()),
        request_id: seq.is_multiple_of(2).then(|| format!("request-{seq} \"\n").into()),
        details: (version == 2).then(details),
        prev_hash,
        hash: Hash::ZERO,
    };
    seal(&mut record);
    record
}

fn seal(record: &mut Record<'_>) {
    record.hash = record.expected_hash(&mut Vec::new()).unwrap();
}

fn chain() -> Vec<Record<'static>> {
    let mut chain: Vec<Record<'static>> = Vec::new();
    for seq in 1..=LENGTH {
        chain.push(record(seq, chain.last().map_or(Hash::ZERO, |last| last.hash)));
    }
    chain
}

/// A seq that is named, where the chain begins after `before`.
fn first_bad<'a>(before: Option<&Record<'_>>, records: impl IntoIterator<Item = &'a Record<'a>>) -> Option<u64> {
    let mut chain = match before {
        None => Chain::new(TENANT),
        Some(before) => Chain::after(TENANT, before.seq, before.hash),
    };
    records.into_iter().any(|record| chain.push(record).is_err()).then(|| chain.seq() + 1)
}

fn text(records: &[Record<'_>]) -> Vec<u8> {
    records.iter().flat_map(|record| [serde_json::to_vec(record).unwrap(), b"\n".to_vec()].concat()).collect()
}

fn check(export: &[u8], anchors: &Anchors) -> Found {
    verify(&mut &*export, &mut Chain::new(TENANT), anchors, None, &mut |_| {}).unwrap()
}

fn bad_seq(found: &Found) -> Option<u64> {
    match found {
        Found::Bad { seq, .. } => Some(*seq),
        Found::Intact { .. } => None,
    }
}

struct Signer(EcdsaKeyPair, &'static str);

impl Signer {
    fn new(kid: &'static str) -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(), kid)
    }

    fn keys(&self) -> Keys {
        let point = self.0.public_key().as_ref();
        let (x, y) = (BASE64.encode(&point[1..33]), BASE64.encode(&point[33..]));
        let key = serde_json::json!({ "kid": self.1, "kty": "EC", "crv": "P-256", "alg": "ES256", "x": x, "y": y });
        Keys::of_jwks(serde_json::json!({ "keys": [key] }).to_string().as_bytes()).unwrap()
    }

    fn sign(&self, record: &Record<'_>) -> Checkpoint {
        let checkpoint = Checkpoint {
            tenant_id: TENANT.to_owned(),
            seq: record.seq,
            hash: record.hash,
            at: At(1_795_255_300_000_000),
            kid: self.1.to_owned(),
            signature: String::new(),
        };
        let signature = self.0.sign(&SystemRandom::new(), &checkpoint.signed_bytes()).unwrap();
        checkpoint.signed(signature.as_ref())
    }

    fn anchors(&self, records: &[&Record<'_>]) -> Anchors {
        Anchors::of(TENANT, &records.iter().map(|record| self.sign(record)).collect::<Vec<_>>(), &self.keys()).unwrap()
    }
}

type Edit = fn(&mut Record<'_>);

/// Each column, changed.
fn edits() -> [(&'static str, Edit); 15] {
    [
        ("version", |record| record.version = 3 - record.version),
        ("tenant_id", |record| record.tenant_id = OTHER.into()),
        ("seq", |record| record.seq += 1),
        ("at", |record| record.at.0 += 1),
        ("action", |record| record.action = "todo.deleted".into()),
        ("outcome", |record| record.outcome = "failure".into()),
        ("reason", |record| record.reason = if record.reason.is_some() { None } else { Some("".into()) }),
        ("actor_id", |record| record.actor_id = Some(OTHER.into())),
        ("session_id", |record| record.session_id = Some(OTHER.into())),
        ("object_id", |record| record.object_id = None),
        ("source_address", |record| record.source_address = Some("203.0.113.8".into())),
        ("request_id", |record| record.request_id = Some("another".into())),
        ("details", |record| {
            record.details = if record.details.is_some() { None } else { Some(details()) };
        }),
        ("prev_hash", |record| record.prev_hash.0[31] ^= 1),
        ("hash", |record| record.hash.0[0] ^= 1),
    ]
}

#[test]
fn l1_an_edit_of_any_column_of_any_record_is_found_at_its_seq() {
    let chain = chain();
    assert_eq!(first_bad(None, &chain), None);
    for at in 0..chain.len() {
        let before = at.checked_sub(1).map(|before| &chain[before]);
        for (column, edit) in edits() {
            let mut edited = chain[at].clone();
            edit(&mut edited);
            assert_eq!(first_bad(before, [&edited]), Some(chain[at].seq), "{column} of {}", chain[at].seq);
        }
    }
}

#[test]
fn l1_a_record_that_is_edited_and_hashed_anew_is_found_at_the_next() {
    let chain = chain();
    for pair in chain.windows(2).skip(1) {
        let mut edited = pair[0].clone();
        edited.action = "todo.deleted".into();
        seal(&mut edited);
        let before = &chain[usize::try_from(pair[0].seq).unwrap() - 2];
        assert_eq!(first_bad(Some(before), [&edited, &pair[1]]), Some(pair[1].seq));
    }
}

#[test]
fn l1_a_deletion_a_swap_a_repetition_and_an_insertion_anywhere_are_found() {
    let chain = chain();
    for at in 1..chain.len() - 2 {
        let (before, this, next, after) = (&chain[at - 1], &chain[at], &chain[at + 1], &chain[at + 2]);
        let seq = this.seq;
        assert_eq!(first_bad(Some(before), [next, after]), Some(seq), "deleted {seq}");
        assert_eq!(first_bad(Some(before), [next, this, after]), Some(seq), "swapped {seq} and the next");
        assert_eq!(first_bad(Some(before), [this, this, next]), Some(seq + 1), "repeated {seq}");
        let mut forged = record(seq, before.hash);
        forged.action = "forged".into();
        seal(&mut forged);
        assert_eq!(first_bad(Some(before), [&forged, this, next]), Some(seq + 1), "inserted before {seq}");
    }
}

#[test]
fn l1_records_far_apart_that_are_swapped_and_a_deleted_head_are_found() {
    let mut swapped = chain();
    assert_eq!(first_bad(None, &swapped[1..]), Some(1));
    swapped.swap(99, 7_000);
    assert_eq!(first_bad(None, &swapped), Some(100));
}

#[test]
fn l1_an_export_is_proven_to_the_last_checkpoint_and_a_tail_cut_past_it_is_found() {
    let (chain, signer) = (chain(), Signer::new("a"));
    let export = text(&chain);
    let anchors = signer.anchors(&[&chain[4_999], &chain[8_999]]);
    assert_eq!(check(&export, &anchors), Found::Intact { anchored: 9_000 });
    assert_eq!(check(&export, &Anchors::default()), Found::Intact { anchored: 0 });
    for left in [0, 1, 5_000, 8_998, 8_999] {
        let found = check(&text(&chain[..left]), &anchors);
        assert_eq!(bad_seq(&found), Some(left as u64 + 1), "{left} are left");
    }
    assert_eq!(check(&text(&chain[..9_000]), &anchors), Found::Intact { anchored: 9_000 });
}

#[test]
fn l1_a_chain_that_is_hashed_anew_contradicts_the_checkpoint() {
    let (chain, signer) = (chain(), Signer::new("a"));
    let anchors = signer.anchors(&[&chain[99], &chain[199]]);
    let mut forged = chain[..149].to_vec();
    for seq in 150..=300 {
        let mut record = record(seq, forged.last().unwrap().hash);
        record.actor_id = None;
        seal(&mut record);
        forged.push(record);
    }
    assert_eq!(first_bad(None, &forged), None, "the forgery is a chain");
    assert_eq!(bad_seq(&check(&text(&forged), &anchors)), Some(101));
}

#[test]
fn l1_a_line_that_is_no_record_is_found_at_its_seq() {
    let chain = chain();
    let lines = |second: &[u8]| [&text(&chain[..1]), second, &text(&chain[2..3])].concat();
    let second = String::from_utf8(text(&chain[1..2])).unwrap();
    let with_more = second.replacen('{', r#"{"note":"x","#, 1);
    let twice = second.replacen('{', r#"{"action":"todo.deleted","#, 1);
    for wrong in ["\n", "{}\n", "not JSON\n", &*with_more, &*twice, &second.to_uppercase()] {
        assert_eq!(bad_seq(&check(&lines(wrong.as_bytes()), &Anchors::default())), Some(2), "{wrong}");
    }
    assert_eq!(check(&lines(second.as_bytes()), &Anchors::default()), Found::Intact { anchored: 0 });
}

#[test]
fn l1_details_are_kept_byte_for_byte() {
    let chain = chain();
    let export = String::from_utf8(text(&chain[chain.len() - 1..])).unwrap();
    let spaced = export.replace(r#""n":1"#, r#""n": 1"#);
    assert_ne!(export, spaced);
    for (export, bad) in [(export, None), (spaced, Some(LENGTH))] {
        let before = &chain[chain.len() - 2];
        let mut chain = Chain::after(TENANT, before.seq, before.hash);
        let found = verify(&mut export.as_bytes(), &mut chain, &Anchors::default(), None, &mut |_| {}).unwrap();
        assert_eq!(bad_seq(&found), bad);
    }
}

#[test]
fn l1_a_checkpoint_that_is_forged_or_contradicts_another_is_refused() {
    let (chain, signer, other) = (chain(), Signer::new("a"), Signer::new("a"));
    let unknown = Signer::new("b");
    let of = |checkpoints: &[Checkpoint]| Anchors::of(TENANT, checkpoints, &signer.keys()).map(drop);
    let good = signer.sign(&chain[9]);
    assert_eq!(of(&[good.clone(), good.clone()]), Ok(()));
    assert_eq!(of(&[other.sign(&chain[9])]), Err(CheckpointFault::Signature(10)));
    assert_eq!(of(&[unknown.sign(&chain[9])]), Err(CheckpointFault::Kid(10, "b".to_owned())));
    let mut forged = chain[9].clone();
    forged.hash = chain[8].hash;
    assert_eq!(of(&[good.clone(), signer.sign(&forged)]), Err(CheckpointFault::Contradiction(10)));
    for edited in [
        Checkpoint { seq: 11, ..good.clone() },
        Checkpoint { hash: chain[8].hash, ..good.clone() },
        Checkpoint { at: At(0), ..good.clone() },
        Checkpoint { signature: String::new(), ..good.clone() },
    ] {
        assert_eq!(of(std::slice::from_ref(&edited)), Err(CheckpointFault::Signature(edited.seq)));
    }
}
