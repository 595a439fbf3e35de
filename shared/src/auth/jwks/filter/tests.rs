use serde_json::json;

use super::*;
use crate::testing::ProviderKey;

fn keys(keys: &[Value]) -> Keys {
    Keys::of(serde_json::from_value(json!({ "keys": keys })).unwrap())
}

fn with(jwk: &Value, changed: &Value) -> Value {
    let mut jwk = jwk.clone();
    for (name, value) in changed.as_object().unwrap() {
        jwk[name] = value.clone();
    }
    jwk
}

fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// An odd number of so many bits.
fn modulus(bits: usize) -> String {
    let mut bytes = vec![0xa5; bits.div_ceil(8)];
    bytes[0] = 0xff >> (bytes.len() * 8 - bits);
    base64(&bytes)
}

#[test]
fn keys_of_every_kind_verify_what_they_signed_by_their_own_algorithms_only() {
    let (rsa, p256, p384, ed) =
        (ProviderKey::rsa("r"), ProviderKey::p256("p"), ProviderKey::p384("q"), ProviderKey::ed25519("e"));
    let set = keys(&[rsa.public_jwk(), p256.public_jwk(), p384.public_jwk(), ed.public_jwk()]);
    let stored = Keys::from_text(&set.to_text());
    let of_rsa = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
    for (pair, kid, algorithms) in
        [(&rsa, "r", &of_rsa[..]), (&p256, "p", &["ES256"]), (&p384, "q", &["ES384"]), (&ed, "e", &["EdDSA"])]
    {
        for name in of_rsa.iter().chain(&["ES256", "ES384", "EdDSA", "HS256", "HS384", "HS512"]) {
            let alg: Algorithm = name.parse().unwrap();
            for keys in [&set, &stored] {
                let key = keys.get(kid, alg);
                assert_eq!(key.is_some(), algorithms.contains(name), "{kid} {name}");
                if let Some(key) = key {
                    let signature = base64(&pair.signature(name, b"message"));
                    assert!(jsonwebtoken::crypto::verify(&signature, b"message", &key, alg).unwrap(), "{name}");
                    assert!(!jsonwebtoken::crypto::verify(&signature, b"massage", &key, alg).unwrap_or(false));
                }
            }
        }
    }
}

#[test]
fn j11_k5_a_key_that_may_not_be_used_is_ignored_and_its_siblings_work() {
    let (rsa, p256, p384, ed) = (
        ProviderKey::rsa("bad").public_jwk(),
        ProviderKey::p256("bad").public_jwk(),
        ProviderKey::p384("bad").public_jwk(),
        ProviderKey::ed25519("bad").public_jwk(),
    );
    let good = [ProviderKey::p256("one").public_jwk(), ProviderKey::ed25519("two").public_jwk()];
    let mut off_curve = bytes(p256["y"].as_str().unwrap()).unwrap();
    off_curve[31] ^= 1;
    let even = {
        let mut n = bytes(rsa["n"].as_str().unwrap()).unwrap();
        *n.last_mut().unwrap() &= 0xfe;
        base64(&n)
    };
    let bad = [
        json!(null),
        json!(7),
        json!("key"),
        json!([]),
        json!({}),
        json!({ "kid": "bad" }),
        json!({ "kid": "bad", "kty": "oct", "k": "c2VjcmV0", "alg": "HS256" }),
        json!({ "kid": "bad", "kty": "RSA" }),
        with(&rsa, &json!({ "n": modulus(2047) })),
        with(&rsa, &json!({ "n": modulus(1024) })),
        with(&rsa, &json!({ "n": modulus(8193) })),
        with(&rsa, &json!({ "n": modulus(65536) })),
        with(&rsa, &json!({ "n": base64(&[&[0; 64][..], &[0xff; 192]].concat()) })),
        with(&rsa, &json!({ "n": even })),
        with(&rsa, &json!({ "n": "" })),
        with(&rsa, &json!({ "n": "AA" })),
        with(&rsa, &json!({ "n": "not base64" })),
        with(&rsa, &json!({ "n": 7 })),
        with(&rsa, &json!({ "e": base64(&[1]) })),
        with(&rsa, &json!({ "e": base64(&[0, 0, 1]) })),
        with(&rsa, &json!({ "e": base64(&[2]) })),
        with(&rsa, &json!({ "e": base64(&[0]) })),
        with(&rsa, &json!({ "e": base64(&[1, 0, 0, 0, 1]) })),
        with(&rsa, &json!({ "e": "" })),
        with(&rsa, &json!({ "alg": "ES256" })),
        with(&rsa, &json!({ "alg": "RSA-OAEP" })),
        with(&rsa, &json!({ "alg": "HS256" })),
        with(&rsa, &json!({ "alg": "none" })),
        with(&rsa, &json!({ "alg": "" })),
        with(&rsa, &json!({ "alg": ["RS256"] })),
        with(&rsa, &json!({ "use": "enc" })),
        with(&rsa, &json!({ "use": "SIG" })),
        with(&rsa, &json!({ "use": ["sig"] })),
        with(&rsa, &json!({ "key_ops": ["encrypt", "sign"] })),
        with(&rsa, &json!({ "key_ops": [] })),
        with(&rsa, &json!({ "key_ops": "verify" })),
        with(&rsa, &json!({ "kty": "rsa" })),
        with(&rsa, &json!({ "kid": "" })),
        with(&rsa, &json!({ "kid": null })),
        with(&rsa, &json!({ "kid": 7 })),
        with(&rsa, &json!({ "kid": "k".repeat(257) })),
        with(&rsa, &json!({ "kid": "k\0" })),
        with(&p256, &json!({ "y": base64(&off_curve) })),
        with(&p256, &json!({ "x": base64(&[0; 32]), "y": base64(&[0; 32]) })),
        with(&p256, &json!({ "x": base64(&[0xff; 32]) })),
        with(&p256, &json!({ "x": base64(&[0; 31]) })),
        with(&p256, &json!({ "crv": "P-384" })),
        with(&p256, &json!({ "crv": "P-521" })),
        with(&p256, &json!({ "crv": "secp256k1" })),
        with(&p256, &json!({ "crv": null })),
        with(&p256, &json!({ "alg": "ES384" })),
        with(&p384, &json!({ "crv": "P-256" })),
        with(&p384, &json!({ "x": p256["x"], "y": p256["y"] })),
        with(&ed, &json!({ "crv": "Ed448" })),
        with(&ed, &json!({ "crv": "X25519" })),
        with(&ed, &json!({ "kty": "EC" })),
        with(&ed, &json!({ "alg": "RS256" })),
        with(&ed, &json!({ "x": base64(&[7; 31]) })),
        with(&ed, &json!({ "x": base64(&[0; 32]) })),
        with(&ed, &json!({ "x": base64(&[&[0xec][..], &[0xff; 31]].concat()) })),
    ];
    for bad in bad {
        for set in [[&bad, &good[0], &good[1]], [&good[0], &bad, &good[1]], [&good[0], &good[1], &bad]] {
            let keys = keys(&set.map(Value::clone));
            assert!(keys.get("one", ES256).is_some() && keys.get("two", EdDSA).is_some(), "{bad}");
            assert_eq!(keys.0.len(), 2, "{bad}");
        }
    }
}

#[test]
fn j11_whatever_a_point_of_small_order_is_written_as_it_is_none_that_may_be_used() {
    let order_8 = |hex: &str| -> Vec<u8> {
        (0..32).map(|index| u8::from_str_radix(&hex[index * 2..index * 2 + 2], 16).unwrap()).collect()
    };
    let ends = |first: u8, rest: u8, last: u8| [&[first][..], &[rest; 30], &[last]].concat();
    for mut point in [
        ends(0, 0, 0),
        ends(1, 0, 0),
        ends(0xec, 0xff, 0x7f),
        ends(0xed, 0xff, 0x7f),
        ends(0xee, 0xff, 0x7f),
        order_8("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
        order_8("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    ] {
        for sign in [0, 0x80] {
            point[31] = point[31] & 0x7f | sign;
            let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": base64(&point) });
            assert!(!keys(&[jwk]).has("k"), "{point:02x?}");
        }
    }
    // Why: with the neutral point as key, this signature is good for every message.
    let anything = base64(&[&ends(1, 0, 0)[..], &[0; 32]].concat());
    let neutral = DecodingKey::from_ed_components(&base64(&ends(1, 0, 0))).unwrap();
    assert!(jsonwebtoken::crypto::verify(&anything, b"whatever", &neutral, EdDSA).unwrap());
}

#[test]
fn j11_two_keys_by_one_name_are_none_even_where_one_of_them_is_unreadable() {
    let (one, other) = (ProviderKey::p256("twice").public_jwk(), ProviderKey::p256("twice").public_jwk());
    let sibling = ProviderKey::p256("once").public_jwk();
    for second in [&other, &one, &json!({ "kid": "twice" }), &with(&other, &json!({ "use": "enc" }))] {
        for set in [[&one, &sibling, second], [second, &sibling, &one]] {
            let keys = keys(&set.map(Value::clone));
            assert!(!keys.has("twice") && keys.has("once"), "{second}");
        }
    }
}

#[test]
fn what_a_key_says_that_it_is_for_is_held_to() {
    let rsa = ProviderKey::rsa("r").public_jwk();
    for (said, fits) in [
        (json!({}), [true, true]),
        (json!({ "alg": "RS256" }), [true, false]),
        (json!({ "alg": "PS256", "use": "sig" }), [false, true]),
        (json!({ "key_ops": ["verify"], "use": "sig", "x5c": ["..."], "x5t": "..." }), [true, true]),
        (json!({ "key_ops": ["sign", "verify"], "use": null, "alg": null }), [true, true]),
    ] {
        let keys = keys(&[with(&rsa, &said)]);
        assert_eq!([RS256, PS256].map(|alg| keys.get("r", alg).is_some()), fits, "{said}");
    }
    // Some write a leading zero.
    let n = [&[0][..], &bytes(rsa["n"].as_str().unwrap()).unwrap()].concat();
    assert!(keys(&[with(&rsa, &json!({ "n": base64(&n) }))]).has("r"));
}

#[test]
fn what_is_kept_is_what_is_usable_and_nothing_private() {
    let jwk = with(&ProviderKey::p256("k").public_jwk(), &json!({ "d": "private", "x5c": ["certificate"] }));
    let text = keys(&[jwk.clone(), json!({ "kid": "broken" })]).to_text();
    assert!(!text.contains("private") && !text.contains("certificate") && !text.contains("broken"), "{text}");
    assert!(Keys::from_text(&text).has("k"));
    for text in ["", "{}", "[]", "null", r#"{"keys":{}}"#, r#"{"keys":[]"#] {
        assert!(Keys::from_text(text).0.is_empty(), "{text}");
    }
    let many: Vec<_> = (0..5000).map(|kid| with(&jwk, &json!({ "kid": kid.to_string() }))).collect();
    assert_eq!(keys(&many).0.len(), MOST);
}
