//! The tenant that a token names, and its times. For the tenant there is no
//! fallback: no header, path, query, host or default is ever consulted.

use serde_json::Value;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use crate::error::{Code, Error};

/// The longest life that any token may claim.
const LONGEST_LIFE: Duration = Duration::minutes(60);
/// How far the clocks of two execution environments may stand apart.
const CLOCK_SKEW: Duration = Duration::seconds(5);

/// When a token is good, in seconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) iat: i64,
    pub(super) exp: i64,
    pub(super) nbf: Option<i64>,
}

impl Times {
    /// # Errors
    /// `AUTH_001` where it is not good yet, `AUTH_002`, `AUTH_004`.
    pub(super) fn check(&self, now: OffsetDateTime) -> Result<(), Error> {
        let time = |seconds| OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| Code::InvalidToken);
        let (issued, expires) = (time(self.iat)?, time(self.exp)?);
        if issued > now + CLOCK_SKEW || self.nbf.map(time).transpose()?.is_some_and(|nbf| nbf > now + CLOCK_SKEW) {
            return Err(Code::InvalidToken.into());
        }
        if expires - issued > LONGEST_LIFE {
            return Err(Code::TokenLifetimeTooLong.into());
        }
        if expires <= now {
            let at = expires.format(&Rfc3339).unwrap_or_default();
            return Err(Error::new(Code::TokenExpired).detail(format!("The access token expired at {at}.")));
        }
        Ok(())
    }
}

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
