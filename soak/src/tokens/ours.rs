//! Tokens that our own key signed, and that are to be refused nonetheless.

use uuid::Uuid;

use super::{
    edit::twice,
    object::{Object, quoted},
};
use crate::chance::Chance;

/// What may not stand in a claim that must be there, whichever it is.
const NEVER: [&str; 6] = ["null", r#""""#, r#""x""#, "[]", "{}", "true"];
const REQUIRED: [&str; 9] = ["iss", "sub", "aud", "exp", "iat", "jti", "sid", "tenant_id", "role"];

/// Makes a good header and good claims into ones that must be refused, however
/// well they are signed. `other` are the claims of another tenant, `now` is in
/// seconds since 1970.
pub(crate) fn spoil(header: &mut Object, claims: &mut Object, other: &Object, now: i64, chance: &mut Chance) {
    let any = |chance: &mut Chance, most: usize| i64::try_from(chance.below(most)).unwrap_or_default();
    match chance.below(14) {
        0 => claims.remove(chance.one_of(&REQUIRED)),
        1 => claims.set(chance.one_of(&REQUIRED), chance.one_of(&NEVER)),
        // It expired, at the latest this second.
        2 => {
            let expired = now - any(chance, 3000);
            claims.set("exp", expired.to_string());
            claims.set("iat", (expired - 900).to_string());
        }
        // It lives longer than 60 minutes.
        3 => {
            let issued = now - any(chance, 600);
            claims.set("iat", issued.to_string());
            claims.set("exp", (issued + 3601 + any(chance, 1_000_000)).to_string());
        }
        // It is of the future, beyond what clocks may differ.
        4 => {
            let issued = now + 600 + any(chance, 100_000);
            claims.set("iat", issued.to_string());
            claims.set("exp", (issued + 900).to_string());
        }
        5 => claims.set("nbf", chance.one_of(&["1e18", r#""0""#, "[]", "99999999999", "true"])),
        6 => {
            let aud = chance.one_of(&[r#""another""#, r#""Tenantry""#, r#""tenantry ""#, r#"["tenantry",7]"#, "7"]);
            claims.set("aud", aud);
        }
        7 => {
            let issuer = claims.get("iss");
            let issuer = issuer.trim_matches('"');
            let slashed = format!("{issuer}/");
            let plain = issuer.replace("https://", "http://");
            let listed = format!("[{}]", quoted(issuer));
            let wrong = [quoted(&slashed), quoted(&plain), listed, quoted("https://evil.example")];
            claims.set("iss", wrong[chance.below(wrong.len())].clone());
        }
        // A session that is not there, or another tenant's.
        8 => {
            let unknown = quoted(&Uuid::from_u64_pair(any(chance, 1 << 40).unsigned_abs(), 1 << 63).to_string());
            claims.set("sid", chance.one_of(&[unknown.as_str(), &other.get("sid")]));
        }
        // The tenant of one and the session of another; or two tenants.
        9 => {
            let tenant = other.get("tenant_id");
            match chance.below(3) {
                0 => claims.set("tenant_id", tenant),
                1 => claims.set("organization_id", tenant),
                _ => claims.add("tenant_id", tenant),
            }
        }
        10 => {
            let name = chance.one_of(&REQUIRED);
            twice(claims, name, chance);
        }
        11 => {
            let name = chance.one_of(&["alg", "typ", "kid"]);
            twice(header, name, chance);
        }
        12 => header.set("crit", chance.one_of(&["[]", "null", r#"["exp"]"#, r#"["b64"]"#, r#""exp""#])),
        _ => match chance.below(3) {
            0 => header.remove(chance.one_of(&["alg", "typ", "kid"])),
            1 => header.set("typ", chance.one_of(&["null", r#""JWT""#, r#""""#, r#""logout+jwt""#, r#""refresh""#])),
            _ => header.set("alg", chance.one_of(&["null", r#""none""#, r#""HS256""#, r#""RS256""#, r#""ES384""#])),
        },
    }
}
