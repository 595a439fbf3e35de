//! Writes an export of so many records (a million, unless told otherwise) to
//! standard output: `cargo run --release -p audit-verify --example million > million.ndjson`.

use std::io::{self, BufWriter, Write as _};

use audit_verify::{At, Hash, Record};

fn main() -> io::Result<()> {
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    let mut out = BufWriter::new(io::stdout().lock());
    let (mut prev_hash, mut form) = (Hash::ZERO, Vec::new());
    let details = serde_json::value::RawValue::from_string(r#"{"fields":["title","done"]}"#.to_owned())?;
    for seq in 1..=count {
        let mut record = Record {
            version: 2,
            tenant_id: "01900000-0000-7000-8000-000000000001".into(),
            seq,
            at: At(1_795_255_200_000_000 + i64::try_from(seq).unwrap_or_default()),
            action: "todo.updated".into(),
            outcome: "success".into(),
            reason: None,
            actor_id: Some("01900000-0000-7000-8000-000000000002".into()),
            session_id: Some("01900000-0000-7000-8000-000000000003".into()),
            object_id: Some("01900000-0000-7000-8000-000000000004".into()),
            source_address: Some("203.0.113.7".into()),
            request_id: Some("01900000-0000-7000-8000-000000000005".into()),
            details: Some(&details),
            prev_hash,
            hash: Hash::ZERO,
        };
        record.hash = record.expected_hash(&mut form).unwrap_or(Hash::ZERO);
        prev_hash = record.hash;
        serde_json::to_writer(&mut out, &record)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}
