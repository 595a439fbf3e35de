//! What is said in the end.

use std::fmt::Write as _;

use audit_verify::{BadSeq, Verdict, hex, instant};
use serde_json::{Value, json};

use super::{Arguments, Fault, Outcome};

/// What a verdict comes to.
pub(crate) fn judged(verdict: &Verdict, arguments: &Arguments) -> Outcome {
    if verdict.first_bad.is_some() {
        Outcome::Tampered
    } else if verdict.proven.is_none() || verdict.unanchored > arguments.allowed {
        Outcome::Unproven
    } else {
        Outcome::Proven
    }
}

/// The report: lines for people, or one of JSON.
pub(crate) fn report(found: &Result<Verdict, Fault>, outcome: Outcome, is_json: bool) -> String {
    match found {
        Ok(verdict) if is_json => verdict_json(verdict, outcome).to_string(),
        Ok(verdict) => verdict_text(verdict, outcome),
        Err(fault) => {
            let (what, seq) = match fault {
                Fault::Unusable(what) => (what.clone(), None),
                Fault::Untrusted(untrusted) => (untrusted.to_string(), Some(untrusted.seq())),
            };
            if is_json {
                json!({ "outcome": outcome.name(), "fault": what, "checkpoint_seq": seq }).to_string()
            } else {
                format!("{}: {what}", outcome.name())
            }
        }
    }
}

fn verdict_json(verdict: &Verdict, outcome: Outcome) -> Value {
    json!({
        "outcome": outcome.name(),
        "tenant_id": verdict.tenant_id,
        "checked": verdict.checked,
        "head": verdict.last.map(|(seq, hash)| json!({ "seq": seq, "hash": hex::encode(&hash) })),
        "proven": verdict.proven.as_ref().map(|proven| json!({
            "seq": proven.seq,
            "hash": hex::encode(&proven.hash),
            "time": instant::text(proven.time_micros),
            "kid": proven.kid,
        })),
        "unanchored": verdict.unanchored,
        "first_bad_seq": verdict.first_bad.map(|(BadSeq(seq), _)| seq),
        "why": verdict.first_bad.map(|(_, why)| why.to_string()),
    })
}

fn verdict_text(verdict: &Verdict, outcome: Outcome) -> String {
    let mut text = format!("{}: tenant {}", outcome.name(), verdict.tenant_id.as_deref().unwrap_or("unknown"));
    if let Some((BadSeq(seq), why)) = verdict.first_bad {
        let _ = write!(text, "\nfirst bad seq {seq}: {why}");
    }
    let _ = write!(text, "\n{} records good", verdict.checked);
    if let Some((seq, hash)) = verdict.last {
        let _ = write!(text, ", the last is seq {seq}, hash {}", hex::encode(&hash));
    }
    match &verdict.proven {
        None => text.push_str("\nno checkpoint proves any of them"),
        Some(proven) => {
            let time = instant::text(proven.time_micros).unwrap_or_default();
            let _ = write!(text, "\nproven to seq {}, signed {time} by key {}", proven.seq, proven.kid);
            let _ = write!(text, "\n{} records after it that nothing but themselves speaks for", verdict.unanchored);
        }
    }
    text
}
