use super::*;

type All = (DatabaseConfig, (TokenConfig, BaseConfig));

fn read(pairs: &[(&str, &str)]) -> Result<All, Faults> {
    from_lookup(&|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
}

const GOOD: &[(&str, &str)] = &[
    ("DATABASE_HOST", "db.example.com"),
    ("DATABASE_NAME", "tenantry"),
    ("DATABASE_SECRET_ID", "database"),
    ("TOKEN_ISSUER", "https://auth.example.com/api/v1"),
    ("TOKEN_AUDIENCE", "tenantry"),
    ("TOKEN_PUBLIC_KEYS_SECRET_ID", "token-public-keys"),
];

#[test]
fn every_fault_is_reported_at_once_by_name_and_without_a_value() {
    let faults = read(&[("DATABASE_PORT", "s3cret"), ("LOG_LEVEL", "loud"), ("DATABASE_TLS", "disable")]);
    insta::assert_snapshot!(faults.err().map(|faults| faults.to_string()).unwrap_or_default(), @"9 faults in the configuration: (1) DATABASE_HOST is not set: the host name of Postgres or of its proxy. (2) DATABASE_TLS may be disable only where DATABASE_HOST is on loopback. (3) DATABASE_PORT must be a port number. (4) DATABASE_NAME is not set: the name of the database. (5) DATABASE_SECRET_ID is not set: the name or ARN of the secret {\"username\",\"password\"}. (6) TOKEN_ISSUER is not set: the https URL that stands in every token's iss. (7) TOKEN_AUDIENCE is not set: the audience that stands in every token's aud. (8) TOKEN_PUBLIC_KEYS_SECRET_ID is not set: the name or ARN of the secret with the public JWK Set. (9) LOG_LEVEL must be one of error, warn, info, debug, trace.");
}

#[test]
fn plain_text_is_for_loopback_only() {
    assert!(read(GOOD).is_ok());
    for (name, value) in [
        ("DATABASE_TLS", "disable"),
        ("TOKEN_ISSUER", "http://auth.example.com/api/v1"),
        ("TOKEN_ISSUER", "https://auth.example.com/api/v1/"),
        ("TOKEN_ISSUER", "https://auth.example.com/"),
        ("TOKEN_ISSUER", "https://auth.example.com"),
        ("TOKEN_ISSUER", "https://auth.example.com/?/api/v1"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1.example.com:5000"),
    ] {
        let pairs: Vec<_> = [(name, value)].into_iter().chain(GOOD.iter().copied()).collect();
        let faults = read(&pairs).err().map(|faults| faults.to_string()).unwrap_or_default();
        assert!(faults.contains(name), "{name}={value}: {faults}");
    }
    let local = [("TOKEN_ISSUER", "http://127.0.0.1:9000/api/v1"), ("AWS_ENDPOINT_URL", "http://[::1]:5000")];
    let pairs: Vec<_> = local.into_iter().chain(GOOD.iter().copied()).collect();
    assert!(read(&pairs).is_ok());
}
