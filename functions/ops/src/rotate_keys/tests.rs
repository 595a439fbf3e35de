use std::{collections::BTreeSet, sync::Arc};

use secrecy::ExposeSecret;
use serde_json::json;
use shared::{
    auth::{Algorithm, GeneratedKey},
    clock::{Clock, SystemClock},
    config::from_lookup,
    secrets::SecretsManager,
    testing::{EmulatedKey, EmulatedSecrets, RUNTIME_PASSWORD, TestClock, TestDatabase, TestSecrets},
};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{found::public_parts, *};

/// The function over secrets that Secrets Manager holds.
struct Ops {
    secrets: EmulatedSecrets,
    database: TestDatabase,
    clock: Arc<TestClock>,
    symmetric: bool,
    in_kms: Option<String>,
}

impl Ops {
    /// With one key of this kind.
    async fn start(algorithm: Algorithm) -> Self {
        let key = GeneratedKey::new(algorithm).unwrap();
        let symmetric = algorithm == Algorithm::Hs256;
        let private = json!({ "keys": [key.jwk], "note": "kept" }).to_string();
        let public = json!({ "keys": public_parts(&private.clone().into()).unwrap() }).to_string();
        let public = if symmetric { &private } else { &public };
        let created = [("token-private-keys", &*private), ("token-public-keys", &**public)];
        let secrets = EmulatedSecrets::create(&created).await;
        Self { secrets, database: TestDatabase::create().await, clock: Arc::default(), symmetric, in_kms: None }
    }

    /// With a key in KMS, named like this.
    async fn start_in_kms(key: &EmulatedKey, name: &str) -> Self {
        let public = json!({ "keys": [key.public_jwk().await] }).to_string();
        let secrets = EmulatedSecrets::create(&[("token-public-keys", &*public)]).await;
        let database = TestDatabase::create().await;
        Self { secrets, database, clock: Arc::default(), symmetric: false, in_kms: Some(name.to_owned()) }
    }

    async fn invoke(&self, mode: Mode) -> Result<Value, String> {
        self.invoke_with(mode, None).await
    }

    async fn invoke_with(&self, mode: Mode, next_kms_key_id: Option<&str>) -> Result<Value, String> {
        let (host, port, name) = self.database.address();
        let private = if self.symmetric { "token-public-keys" } else { "token-private-keys" };
        let settings = [
            ("DATABASE_HOST", host),
            ("DATABASE_PORT", port.to_string()),
            ("DATABASE_NAME", name),
            ("DATABASE_TLS", "disable".to_owned()),
            ("DATABASE_SECRET_ID", "database".to_owned()),
            ("DATABASE_OWNER_SECRET_ID", "database".to_owned()),
            match &self.in_kms {
                Some(id) => ("TOKEN_SIGNING_KMS_KEY_ID", id.clone()),
                None => ("TOKEN_PRIVATE_KEYS_SECRET_ID", self.secrets.id(private)),
            },
            ("TOKEN_PUBLIC_KEYS_SECRET_ID", self.secrets.id("token-public-keys")),
            ("AWS_ENDPOINT_URL", shared::testing::setting("AWS_ENDPOINT_URL")),
        ];
        let lookup = |name: &str| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        let (base, config) = from_lookup(&lookup).unwrap();
        let login = TestSecrets::default();
        login.set("database", json!({ "username": self.database.role(), "password": RUNTIME_PASSWORD }).to_string());
        let start = Start::on_lambda(base).with(self.clock.clone(), Arc::new(login));
        rotate_keys(&start, config, mode, next_kms_key_id.map(ToOwned::to_owned)).await
    }

    async fn step(&self) -> String {
        self.invoke(Mode::Usual).await.unwrap()["step"].as_str().unwrap().to_owned()
    }

    async fn set(&self, name: &str) -> Value {
        serde_json::from_str(self.secrets.text(name).await.expose_secret()).unwrap()
    }

    /// The ids in the public set.
    async fn published(&self) -> Vec<String> {
        let set = self.set("token-public-keys").await;
        set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }

    /// The ids in the private and in the public set.
    async fn kids(&self) -> (Vec<String>, Vec<String>) {
        let kids = |set: Value| {
            let keys = set["keys"].as_array().unwrap().clone();
            keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let private = if self.symmetric { "token-public-keys" } else { "token-private-keys" };
        (kids(self.set(private).await), kids(self.set("token-public-keys").await))
    }
}

fn after(answer: &Value, ops: &Ops) -> Duration {
    let not_before = answer["next"]["not_before"].as_str().unwrap();
    OffsetDateTime::parse(not_before, &Rfc3339).unwrap() - ops.clock.now()
}

#[tokio::test]
async fn a_rotation_publishes_switches_waits_and_retires() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let ops = Ops::start(algorithm).await;
        let old = ops.kids().await.0[0].clone();
        assert_eq!(ops.invoke(Mode::OnlyContinue).await.unwrap(), json!({ "step": "none", "next": null }));

        let published = ops.invoke(Mode::Usual).await.unwrap();
        let new = published["kid"].as_str().unwrap().to_owned();
        assert_eq!((&published["step"], &published["next"]["step"]), (&json!("published"), &json!("switch")));
        assert!(after(&published, &ops) > Duration::minutes(20));
        assert_eq!(
            ops.kids().await,
            (vec![old.clone(), new.clone()], vec![old.clone(), new.clone()]),
            "the old one signs"
        );

        ops.clock.advance(Duration::minutes(20));
        assert_eq!(ops.step().await, "waiting");
        ops.clock.advance(Duration::minutes(2));
        let switched = ops.invoke(Mode::OnlyContinue).await.unwrap();
        assert_eq!((&switched["step"], &switched["kid"]), (&json!("switched"), &json!(new)));
        assert_eq!(ops.kids().await, (vec![new.clone()], vec![old.clone(), new.clone()]), "the old one still checks");

        ops.clock.advance(Duration::minutes(29));
        assert_eq!(ops.step().await, "waiting");
        ops.clock.advance(Duration::minutes(2));
        let retired = ops.invoke(Mode::Usual).await.unwrap();
        assert_eq!(retired, json!({ "step": "retired", "kid": old, "next": null }));
        assert_eq!(ops.kids().await, (vec![new.clone()], vec![new.clone()]));

        let public = ops.set("token-public-keys").await;
        assert!(public.get("rotation").is_none() && public["keys"][0].get("d").is_none());
        let private = ops.set("token-private-keys").await;
        assert_eq!((&private["note"], &private["keys"][0]["kty"]), (&json!("kept"), &public["keys"][0]["kty"]));
    }
}

#[tokio::test]
async fn symmetric_keys_rotate_in_their_one_secret() {
    let ops = Ops::start(Algorithm::Hs256).await;
    let old = ops.kids().await.0[0].clone();
    let new = ops.invoke(Mode::Usual).await.unwrap()["kid"].as_str().unwrap().to_owned();
    assert_eq!(ops.kids().await.0, [&*old, &*new]);
    ops.clock.advance(Duration::minutes(22));
    assert_eq!(ops.step().await, "switched");
    assert_eq!(ops.kids().await.0, [&*new, &*old]);
    ops.clock.advance(Duration::minutes(31));
    assert_eq!(ops.step().await, "retired");
    assert_eq!(ops.kids().await.0, [&*new]);
    assert_eq!(ops.step().await, "published", "and the next one begins");
}

async fn kid(key: &EmulatedKey) -> String {
    key.public_jwk().await["kid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_key_in_kms_is_followed_by_the_one_that_was_made_for_it() {
    let (old, new) = (EmulatedKey::create("ECC_NIST_P256").await, EmulatedKey::create("ECC_NIST_P256").await);
    let alias = format!("alias/{}", SystemClock.new_id());
    old.take(&alias).await;
    let ops = Ops::start_in_kms(&old, &alias).await;
    let (old_kid, new_kid) = (kid(&old).await, kid(&new).await);
    let fault = ops.invoke(Mode::Usual).await.unwrap_err();
    assert!(fault.contains("next_kms_key_id"), "{fault}");
    assert!(ops.invoke_with(Mode::Usual, Some(old.id())).await.unwrap_err().contains("signs already"));
    assert_eq!(ops.invoke(Mode::OnlyContinue).await.unwrap()["step"], "none");

    let published = ops.invoke_with(Mode::Usual, Some(new.id())).await.unwrap();
    assert_eq!((&published["step"], &published["kid"]), (&json!("published"), &json!(new_kid)));
    assert_eq!(ops.published().await, [&*old_kid, &*new_kid]);
    assert_eq!(ops.step().await, "waiting");
    ops.clock.advance(Duration::minutes(22));
    assert_eq!(ops.invoke(Mode::OnlyContinue).await.unwrap()["step"], "switched");
    assert_eq!(ops.step().await, "waiting", "the alias names the new key");
    ops.clock.advance(Duration::minutes(31));
    assert_eq!(ops.invoke(Mode::OnlyContinue).await.unwrap()["kid"], json!(old_kid));
    assert_eq!(ops.published().await, [new_kid]);

    let answer = ops.invoke_with(Mode::Force, Some(old.id())).await.unwrap();
    assert_eq!((&answer["step"], ops.published().await), (&json!("replaced"), vec![old_kid]));
}

#[tokio::test]
async fn a_key_in_kms_that_no_alias_names_is_switched_to_by_a_deployment() {
    let (old, new) = (EmulatedKey::create("ECC_NIST_P256").await, EmulatedKey::create("ECC_NIST_P256").await);
    let mut ops = Ops::start_in_kms(&old, old.id()).await;
    ops.invoke_with(Mode::Usual, Some(new.id())).await.unwrap();
    ops.clock.advance(Duration::minutes(22));
    let waiting = ops.invoke(Mode::Usual).await.unwrap();
    assert!(waiting["step"] == "waiting" && waiting["detail"].as_str().unwrap().contains(new.id()), "{waiting}");
    ops.in_kms = Some(new.id().to_owned());
    assert_eq!(ops.step().await, "switched");
    ops.clock.advance(Duration::minutes(31));
    assert_eq!(ops.step().await, "retired");
    assert_eq!(ops.published().await, [kid(&new).await]);

    ops.in_kms = Some(old.id().to_owned());
    assert!(ops.invoke(Mode::Usual).await.unwrap_err().contains("fit no step"), "deployed without a rotation");
    assert_eq!(ops.invoke(Mode::Force).await.unwrap()["kid"], json!(kid(&old).await));
    assert_eq!(ops.published().await, [kid(&old).await]);
}

#[tokio::test]
async fn a_step_that_was_killed_between_its_two_writes_is_finished_by_the_next_invocation() {
    let ops = Ops::start(Algorithm::Es256).await;
    let public = ops.secrets.text("token-public-keys").await;
    ops.invoke(Mode::Usual).await.unwrap();
    let (private_kids, _) = ops.kids().await;
    ops.secrets.put("token-public-keys", public.expose_secret()).await;
    let published = ops.invoke(Mode::OnlyContinue).await.unwrap();
    assert_eq!((&published["step"], &published["kid"]), (&json!("published"), &json!(private_kids[1])));
    assert_eq!(ops.kids().await.1, private_kids);

    let public = ops.secrets.text("token-public-keys").await;
    ops.clock.advance(Duration::minutes(22));
    assert_eq!(ops.step().await, "switched");
    ops.secrets.put("token-public-keys", public.expose_secret()).await;
    assert_eq!(ops.step().await, "switched");
    assert_eq!(ops.step().await, "waiting");
}

#[tokio::test]
async fn a_key_that_leaked_is_replaced_at_once_whatever_was_going_on() {
    for algorithm in [Algorithm::Es256, Algorithm::Hs256] {
        for rotating in [false, true] {
            let ops = Ops::start(algorithm).await;
            if rotating {
                ops.invoke(Mode::Usual).await.unwrap();
            }
            let known: BTreeSet<_> = ops.kids().await.0.into_iter().collect();
            let answer = ops.invoke(Mode::Force).await.unwrap();
            let new = answer["kid"].as_str().unwrap().to_owned();
            assert!(answer["step"] == "replaced" && !known.contains(&new), "the next one stood beside it");
            assert_eq!(ops.kids().await, (vec![new.clone()], vec![new.clone()]));
            assert!(ops.set("token-public-keys").await.get("rotation").is_none());
        }
    }
    let ops = Ops::start(Algorithm::Es256).await;
    let public = ops.secrets.text("token-public-keys").await;
    let first = ops.invoke(Mode::Force).await.unwrap();
    ops.secrets.put("token-public-keys", public.expose_secret()).await;
    let refused = ops.invoke(Mode::Usual).await.unwrap_err();
    assert!(refused.contains("fit no step") && refused.contains("force"), "{refused}");
    assert_eq!(ops.invoke(Mode::Force).await.unwrap()["kid"], first["kid"], "killed between its writes");
}

#[tokio::test]
async fn what_fits_no_rotation_or_is_no_key_set_is_left_as_it_is() {
    let ops = Ops::start(Algorithm::Es256).await;
    let before = ops.secrets.text("token-private-keys").await;
    for (public, said) in [
        (json!({ "keys": [] }), "has no key"),
        (json!({ "keys": "s3cret" }), "is not a JWK Set"),
        (
            json!({ "keys": public_parts(&json!({ "keys": [GeneratedKey::new(Algorithm::Es256).unwrap().jwk] }).to_string().into()).unwrap() }),
            "fit no step",
        ),
    ] {
        ops.secrets.put("token-public-keys", &public.to_string()).await;
        let fault = ops.invoke(Mode::Usual).await.unwrap_err();
        assert!(fault.contains(said) && !fault.contains("s3cret"), "{fault}");
        assert_eq!(ops.set("token-public-keys").await, public);
    }
    assert_eq!(ops.secrets.text("token-private-keys").await.expose_secret(), before.expose_secret());
}

#[tokio::test]
async fn sets_that_do_not_belong_together_are_refused_before_anything_is_written() {
    let ops = Ops::start(Algorithm::Es256).await;
    let mut stranger = GeneratedKey::new(Algorithm::Es256).unwrap().jwk;
    stranger["kid"] = json!(ops.kids().await.1[0]);
    let symmetric = GeneratedKey::new(Algorithm::Hs256).unwrap().jwk;
    let before = ops.set("token-public-keys").await;
    for (key, said) in [(stranger, "is not the one in"), (symmetric, "both sets must be one secret")] {
        ops.secrets.put("token-private-keys", &json!({ "keys": [key] }).to_string()).await;
        for mode in [Mode::Usual, Mode::Force] {
            let fault = ops.invoke(mode).await.unwrap_err();
            assert!(
                fault.contains(said) && !fault.contains(key["d"].as_str().or(key["k"].as_str()).unwrap()),
                "{fault}"
            );
        }
        assert_eq!(ops.set("token-public-keys").await, before);
    }
}

#[tokio::test]
async fn only_one_step_is_done_at_a_time() {
    let ops = Ops::start(Algorithm::Es256).await;
    let mut other = ops.database.superuser().await;
    sqlx::query("SELECT pg_advisory_lock($1)").bind(LOCK).execute(&mut other).await.unwrap();
    let fault = ops.invoke(Mode::Usual).await.unwrap_err();
    assert_eq!(fault, "a step of a rotation is being done in this moment");
    drop(other);
    while ops.invoke(Mode::Usual).await.is_err() {}
    assert_eq!(ops.step().await, "waiting", "the lock is free once a step is done");
}

#[tokio::test]
async fn a_secret_that_somebody_else_changes_is_not_written_over() {
    let ops = Ops::start(Algorithm::Es256).await;
    let manager = SecretsManager::new(
        &from_lookup(&|name| (name == "AWS_ENDPOINT_URL").then(|| shared::testing::setting("AWS_ENDPOINT_URL")))
            .unwrap(),
    );
    let id = ops.secrets.id("token-public-keys");
    let read = manager.current(&id).await.unwrap();
    ops.secrets.put("token-public-keys", "another's").await;
    let fault = manager.replace(&id, &read, &"ours".into()).await.unwrap_err();
    assert!(fault.contains("changed by somebody else"), "{fault}");
    assert_eq!(ops.secrets.text("token-public-keys").await.expose_secret(), "another's");
}
