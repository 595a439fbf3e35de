//! A trail that was never in a database, and keys that were never in KMS.

use audit_verify::{Anchors, Bounds, Checkpoint, Form, Hash, Keys, NOTHING, SignedCheckpoint, hex, instant};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

pub(crate) const TENANT: &str = "01939f6e-7d2a-7000-8000-000000000001";

pub(crate) const WHOLE: Bounds = Bounds { from_seq: 1, before: None, to_seq: None };

/// A record as an export has it, with fields to change.
pub(crate) type Record = serde_json::Map<String, Value>;

/// The record of this seq after the one with the hash `prev`.
pub(crate) fn record(seq: i64, prev: Hash) -> Record {
    let id = |kind: i64| format!("01939f6e-7d2a-7000-8000-{:012x}", seq * 8 + kind);
    let some = |there: bool, value: String| there.then_some(value);
    let version = if seq % 5 == 0 { 1 } else { 2 };
    let details = (version == 2 && seq % 2 == 0).then(|| json!({ "sessions_ended": seq }));
    let record = json!({
        "version": version,
        "tenant_id": TENANT,
        "seq": seq,
        "at": instant::text(1_763_000_000_000_000 + seq * 1_001),
        "action": if seq % 3 == 0 { "auth.login" } else { "todos.update" },
        "outcome": if seq % 7 == 0 { "denied" } else { "success" },
        "reason": some(seq % 7 == 0, "AUTH_007".into()),
        "actor_id": some(seq % 11 != 0, id(1)),
        "session_id": some(seq % 11 != 0, id(2)),
        "object_id": some(seq % 4 != 0, id(3)),
        "source_address": some(seq % 13 != 0, "203.0.113.7".into()),
        "request_id": some(seq % 17 != 0, format!("trace-{seq}")),
        "details": details,
        "prev_hash": hex::encode(&prev),
        "hash": "",
    });
    let Value::Object(mut record) = record else { unreachable!() };
    rehash(&mut record);
    record
}

/// Gives a record the hash that it would have had.
pub(crate) fn rehash(record: &mut Record) -> Hash {
    let text = |name: &str| record[name].as_str();
    let details = Some(record["details"].to_string()).filter(|details| details != "null");
    let form = Form {
        version: record["version"].as_i64().unwrap().try_into().unwrap(),
        tenant_id: text("tenant_id").unwrap(),
        seq: record["seq"].as_i64().unwrap(),
        at_micros: instant::parse(text("at").unwrap()),
        action: text("action").unwrap(),
        outcome: text("outcome").unwrap(),
        reason: text("reason"),
        actor_id: text("actor_id"),
        session_id: text("session_id"),
        object_id: text("object_id"),
        source_address: text("source_address"),
        request_id: text("request_id"),
        details: details.as_deref(),
        prev_hash: hex::decode(text("prev_hash").unwrap()),
        hash: None,
    };
    let hash = form.recomputed(&mut Vec::new()).unwrap();
    record["hash"] = hex::encode(&hash).into();
    hash
}

pub(crate) fn line(record: &Record) -> Vec<u8> {
    serde_json::to_vec(record).unwrap()
}

/// A chain of so many records.
pub(crate) fn chain(length: i64) -> Vec<Record> {
    let mut prev = NOTHING;
    let grow = |seq| {
        let record = record(seq, prev);
        prev = hash(&record);
        record
    };
    (1..=length).map(grow).collect()
}

pub(crate) fn hash(record: &Record) -> Hash {
    hex::decode(record["hash"].as_str().unwrap()).unwrap()
}

/// A key that signs checkpoints.
pub(crate) struct Signer {
    pair: EcdsaKeyPair,
    pub(crate) kid: String,
    pub(crate) jwks: String,
}

impl Signer {
    pub(crate) fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let thumbprint = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, members.as_bytes());
        let kid = URL_SAFE_NO_PAD.encode(thumbprint);
        let jwks = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": kid, "x": x, "y": y }] }).to_string();
        Self { pair, kid, jwks }
    }

    /// The checkpoint of a record.
    pub(crate) fn sign(&self, record: &Record) -> SignedCheckpoint {
        self.sign_all(Checkpoint {
            tenant_id: record["tenant_id"].as_str().unwrap().into(),
            seq: record["seq"].as_i64().unwrap(),
            hash: hash(record),
            time_micros: 1_763_000_000_000_000,
            kid: self.kid.clone(),
        })
    }

    pub(crate) fn sign_all(&self, checkpoint: Checkpoint) -> SignedCheckpoint {
        let signature = self.pair.sign(&SystemRandom::new(), &checkpoint.signed_bytes()).unwrap();
        SignedCheckpoint { checkpoint, signature: signature.as_ref().to_vec() }
    }

    pub(crate) fn keys(&self) -> Keys {
        let mut keys = Keys::default();
        keys.add_set(self.jwks.as_bytes()).unwrap();
        keys
    }

    /// The checkpoints of some records of a chain.
    pub(crate) fn anchors(&self, chain: &[Record], seqs: &[usize]) -> Anchors {
        let mut anchors = Anchors::of(None);
        for seq in seqs {
            anchors.add(self.sign(&chain[seq - 1]), &self.keys()).unwrap();
        }
        anchors
    }
}
