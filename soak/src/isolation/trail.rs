//! What the trail's routes answer: records hold what was reached for, and a
//! chain is sound and one's own.

use serde_json::Value;
use shared::{audit::Action, testing::Answer};

use super::{
    plan::Sent,
    world::{Leak, World},
};
use crate::Result;

/// Records without what was reached for, which may be another's, and without the
/// caller of a forged token, who is of another tenant than it says; any other
/// answer as it is.
pub(super) fn without_what_was_reached_for(action: Action, body: &str) -> String {
    match action {
        Action::AuditEvents => {
            let mut page: Value = serde_json::from_str(body).unwrap_or_default();
            match page["items"].as_array_mut() {
                Some(records) => records.iter_mut().for_each(strip),
                None => return body.to_owned(),
            }
            page.to_string()
        }
        Action::AuditExport => body.lines().map(|line| stripped(line) + "\n").collect(),
        _ => body.to_owned(),
    }
}

fn stripped(line: &str) -> String {
    let Ok(mut record) = serde_json::from_str::<Value>(line) else { return line.to_owned() };
    strip(&mut record);
    record.to_string()
}

fn strip(record: &mut Value) {
    let Some(fields) = record.as_object_mut() else { return };
    let forged = fields.get("request_id").is_some_and(|id| id == "forged");
    let names: &[&str] = if forged { &["actor_id", "session_id"] } else { &[] };
    for name in ["object_id", "details"].iter().chain(names) {
        fields.remove(*name);
    }
}

/// A chain that was verified is sound, and its head the tenant's own: whatever
/// another wrote into it, or took for it, would show.
///
/// # Errors
/// A [`Leak`].
pub(super) async fn is_ones_own(world: &mut World, sent: &Sent, answer: &Answer) -> Result<()> {
    if sent.route.action != Action::AuditVerify || answer.status != 200 {
        return Ok(());
    }
    let found = answer.json();
    let tenant = &mut world.tenants[sent.own];
    let seq = found["head"]["seq"].as_i64().unwrap_or_default();
    let sql = "SELECT encode(hash, 'hex') FROM audit_events WHERE tenant_id = $1 AND seq = $2";
    let hash: Option<String> =
        sqlx::query_scalar(sql).bind(tenant.id).bind(seq).fetch_optional(&mut world.superuser).await?;
    if found["valid"] != true || found["head"]["hash"].as_str() != hash.as_deref() || seq < tenant.head_seq {
        return Err(Leak(format!("the trail of tenant {} is not its own: {found}", sent.own)).into());
    }
    tenant.head_seq = seq;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_record_only_what_was_reached_for_is_left_out() {
        let record =
            |request: &str| json!({ "object_id": "x-1", "details": {}, "actor_id": "a-1", "request_id": request });
        let page = json!({ "items": [record("the-same"), record("forged")], "next_cursor": null }).to_string();
        let left: Value = serde_json::from_str(&without_what_was_reached_for(Action::AuditEvents, &page)).unwrap();
        assert_eq!(left["items"], json!([{ "actor_id": "a-1", "request_id": "the-same" }, { "request_id": "forged" }]));
        let lines = format!("{}\n{}\n", record("the-same"), record("forged"));
        let left = without_what_was_reached_for(Action::AuditExport, &lines);
        assert_eq!(left.lines().count(), 2);
        assert!(!left.contains("x-1") && left.matches("a-1").count() == 1, "{left}");
        assert_eq!(without_what_was_reached_for(Action::UsersList, &page), page);
    }
}
