//! Records as lines of an export, in the form of `GET /audit/export`.

use audit_verify::{BadSeq, Chain, Line, instant};
use shared::audit::{Link, Record};

/// The records as an export has them, a line each, if they go on with the
/// chain. What is checked is the line, as a verifier will read it.
pub(super) fn lines(chain: &mut Chain, records: &[Link]) -> Result<Vec<u8>, BadSeq> {
    let mut lines = Vec::new();
    for link in records {
        let line = line(link).ok_or(BadSeq(link.seq))?;
        let read = Line::read(&line).ok_or(BadSeq(link.seq))?;
        chain.extend(&read.form())?;
        lines.extend(line);
        lines.push(b'\n');
    }
    Ok(lines)
}

/// None where its time is none of the calendar.
fn line(link: &Link) -> Option<Vec<u8>> {
    let record = Record {
        version: link.version,
        tenant_id: link.tenant_id,
        seq: link.seq,
        at: instant::text(link.at_micros?)?,
        action: link.action.clone(),
        outcome: link.outcome.clone(),
        reason: link.reason.clone(),
        actor_id: link.actor_id,
        session_id: link.session_id,
        object_id: link.object_id,
        source_address: link.source_address.clone(),
        request_id: link.request_id.clone(),
        details: link.details.clone(),
        prev_hash: link.prev_hash.clone(),
        hash: link.hash.clone(),
    };
    serde_json::to_vec(&record).ok()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn link() -> Link {
        Link {
            version: 2,
            tenant_id: Uuid::nil(),
            seq: 1,
            at_micros: Some(1_795_255_200_100_000),
            action: "auth.logout".into(),
            outcome: "success".into(),
            reason: None,
            actor_id: Some(Uuid::max()),
            session_id: None,
            object_id: None,
            source_address: Some("203.0.113.7".into()),
            request_id: Some("trace-1".into()),
            details: Some(r#"{"scope": "local","n":1.0}"#.into()),
            prev_hash: vec![0; 32],
            hash: vec![0xab; 32],
        }
    }

    #[test]
    fn a_line_is_as_the_export_has_it_byte_for_byte() {
        let expected = [
            r#"{"version":2,"tenant_id":"00000000-0000-0000-0000-000000000000","seq":1,"#,
            r#""at":"2026-11-21T10:00:00.100000Z","action":"auth.logout","outcome":"success","reason":null,"#,
            r#""actor_id":"ffffffff-ffff-ffff-ffff-ffffffffffff","session_id":null,"object_id":null,"#,
            r#""source_address":"203.0.113.7","request_id":"trace-1","details":{"scope": "local","n":1.0},"#,
            &format!(r#""prev_hash":"{}","hash":"{}"}}"#, "00".repeat(32), "ab".repeat(32)),
        ];
        assert_eq!(String::from_utf8(line(&link()).unwrap()).unwrap(), expected.concat());
    }

    #[test]
    fn l1_what_is_not_what_was_hashed_or_fits_no_line_is_bad() {
        for bad in [
            link(),
            Link { at_micros: None, ..link() },
            Link { hash: vec![7], ..link() },
            Link { details: Some("{\n}".into()), ..link() },
            Link { details: Some("x".into()), ..link() },
        ] {
            assert_eq!(lines(&mut Chain::start(), &[bad]), Err(BadSeq(1)));
        }
    }
}
