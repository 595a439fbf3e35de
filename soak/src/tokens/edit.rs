//! Changes of a header and of claims. Who signs the result is another's choice:
//! with a signature of ours some of these would be good tokens.

use super::object::{Object, quoted};
use crate::chance::Chance;

const CLAIMS: [&str; 11] =
    ["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "sid", "tenant_id", "organization_id", "role"];
const PARAMETERS: [&str; 4] = ["alg", "kid", "typ", "crit"];
const ALGORITHMS: [&str; 22] = [
    r#""none""#,
    r#""None""#,
    r#""NONE""#,
    r#""nOnE""#,
    r#""non\u0065""#,
    r#""none ""#,
    r#""HS256""#,
    r#""hs256""#,
    r#""HS384""#,
    r#""HS512""#,
    r#""RS256""#,
    r#""RS512""#,
    r#""PS256""#,
    r#""ES384""#,
    r#""ES512""#,
    r#""ES256K""#,
    r#""EdDSA""#,
    r#""es256""#,
    r#""ES256 ""#,
    r#""""#,
    r#"["ES256"]"#,
    "0",
];
const KIDS: [&str; 9] = [
    r#""""#,
    r#""another""#,
    r#""../../../../etc/passwd""#,
    r#""' OR '1'='1""#,
    r#""\u0000""#,
    r#""/dev/null""#,
    r#""https://evil.example/key""#,
    "[]",
    "7",
];
const TYPES: [&str; 8] =
    [r#""JWT""#, r#""at+JWT ""#, r#""logout+jwt""#, r#""id_token""#, r#""refresh""#, r#""""#, "{}", "7"];
/// Values that fit nowhere.
const ODD: [&str; 17] = [
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1.5",
    "1e18",
    "1e400",
    "18446744073709551616",
    r#""""#,
    r#""x""#,
    r#""\u0000""#,
    "[]",
    "{}",
    r#"["tenantry",7]"#,
    r#"{"a":{"b":[{}]}}"#,
    r#""00000000-0000-0000-0000-000000000000""#,
];

/// Changes a header in one of many ways; `other` is that of another token,
/// which may have another key and algorithm.
pub(crate) fn header(header: &mut Object, other: &Object, chance: &mut Chance) {
    let name = chance.one_of(&PARAMETERS);
    match chance.below(13) {
        0..=2 => header.set("alg", chance.one_of(&ALGORITHMS)),
        3 => header.set("kid", chance.one_of(&KIDS)),
        4 => header.set("kid", quoted(&"k".repeat(1 + chance.below(10_000)))),
        5 => header.set("typ", chance.one_of(&TYPES)),
        6 => header.remove(name),
        7 => {
            header.set("crit", chance.one_of(&[r#"["exp"]"#, r#"["b64"]"#, "[]", "null", r#""exp""#, "{}", "[7]"]));
            header.set("b64", chance.one_of(&["false", "true"]));
        }
        8 => {
            let key = r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA","kid":"mine"}"#;
            header.set("jwk", key);
            header.set("jku", r#""https://evil.example/jwks.json""#);
        }
        9 => {
            header.set("x5u", r#""https://evil.example/chain.pem""#);
            header.set("x5c", r#"["MIIB"]"#);
        }
        10 => twice(header, name, chance),
        11 => {
            let name = chance.one_of(&["alg", "kid"]);
            header.set(name, other.get(name));
        }
        _ => header.set(name, chance.one_of(&ODD)),
    }
}

/// Changes claims in one of many ways; `other` are those of another tenant.
pub(crate) fn claims(claims: &mut Object, other: &Object, chance: &mut Chance) {
    let name = chance.one_of(&CLAIMS);
    match chance.below(10) {
        0 => claims.remove(name),
        1 | 2 => claims.set(name, chance.one_of(&ODD)),
        3 => claims.set(name, quoted(&claims.get(name))),
        4 => claims.set(name, format!("[{}]", claims.get(name))),
        5 => claims.set(name, quoted(&"x".repeat(1 + chance.below(9_000)))),
        6 | 7 => twice(claims, name, chance),
        8 => {
            for name in ["tenant_id", "organization_id", "sid", "sub"] {
                if chance.below(2) == 0 {
                    let from = if name == "organization_id" { "tenant_id" } else { name };
                    claims.set(name, other.get(from));
                }
            }
        }
        _ => claims.set("role", chance.one_of(&[r#""admin""#, r#""viewer""#, r#""owner""#, r#"["admin"]"#])),
    }
}

/// Has a name stand twice, at times with escapes, with its own value or another.
pub(crate) fn twice(object: &mut Object, name: &str, chance: &mut Chance) {
    let value = if chance.below(2) == 0 { object.get(name) } else { chance.one_of(&ODD).to_owned() };
    object.set(name, object.get(name));
    if chance.below(2) == 0 {
        object.add(name, value);
    } else {
        object.add_escaped(name, value);
    }
    if chance.below(2) == 0 {
        object.reverse();
    }
}
