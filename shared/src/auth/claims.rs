//! The tenant that a token names. There is no fallback: no header, path,
//! query, host or default is ever consulted.

use serde_json::Value;
use uuid::Uuid;

use crate::error::Code;

/// Reads the tenant from the claims `tenant_id` and `organization_id`.
///
/// # Errors
/// `TEN_001` where neither is there, `TEN_002` where one is no UUID in a
/// string, or they differ.
pub(super) fn tenant(tenant_id: Option<&Value>, organization_id: Option<&Value>) -> Result<Uuid, Code> {
    match (tenant_id, organization_id) {
        (None, None) => Err(Code::NoTenant),
        (Some(claim), None) | (None, Some(claim)) => uuid(claim),
        (Some(one), Some(other)) if one == other => uuid(one),
        (Some(_), Some(_)) => Err(Code::ConflictingTenants),
    }
}

fn uuid(claim: &Value) -> Result<Uuid, Code> {
    match claim {
        Value::Null => Err(Code::NoTenant),
        Value::String(text) if text.is_empty() => Err(Code::NoTenant),
        Value::String(text) => Uuid::try_parse(text).map_err(|_| Code::ConflictingTenants),
        _ => Err(Code::ConflictingTenants),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_tenant_is_one_uuid_in_one_string_or_nothing() {
        let id = "0193a1b2-0000-7000-8000-000000000001";
        let uuid = Uuid::try_parse(id).expect("a UUID");
        let (good, other) = (json!(id), json!("0193a1b2-0000-7000-8000-000000000002"));
        assert_eq!(tenant(Some(&good), None), Ok(uuid));
        assert_eq!(tenant(None, Some(&good)), Ok(uuid));
        assert_eq!(tenant(Some(&good), Some(&good)), Ok(uuid));
        assert_eq!(tenant(Some(&good), Some(&other)), Err(Code::ConflictingTenants));
        assert_eq!(tenant(None, None), Err(Code::NoTenant));
        for (claim, code) in [
            (json!(null), Code::NoTenant),
            (json!(""), Code::NoTenant),
            (json!([id]), Code::ConflictingTenants),
            (json!([]), Code::ConflictingTenants),
            (json!(7), Code::ConflictingTenants),
            (json!("demo"), Code::ConflictingTenants),
        ] {
            assert_eq!(tenant(Some(&claim), None), Err(code), "{claim}");
        }
    }
}
