//! E1 to E4 of THREATS, over a real Postgres and the emulated KMS.

use std::time::Instant;

use secrecy::ExposeSecret;
use sqlx::Executor;
use time::Duration;

use super::*;
use crate::{
    App, Routes,
    clock::{Clock, SystemClock},
    testing::{Mood, TestApp, TestKms},
};

/// An execution environment of its own: its cache, its connections, its KMS.
struct Environment {
    app: TestApp<App>,
    keys: DataKeys,
}

impl Environment {
    async fn start() -> Self {
        Self::of(TestApp::start(Routes::new()).await, Limits::default())
    }

    async fn another(&self, limits: Limits) -> Self {
        Self::of(self.app.another(Routes::new()).await, limits)
    }

    fn of(app: TestApp<App>, limits: Limits) -> Self {
        let config = DataKeysConfig { kms_key_id: TestKms::KEY_ID.into() };
        Self { keys: DataKeys::within(config, &app.start, limits), app }
    }

    async fn tenant(&self, slug: &str) -> TenantId {
        TenantId::verified(self.app.tenant(slug).await.tenant)
    }

    async fn seal(&self, tenant: TenantId, field: Field, plaintext: &str) -> Result<Vec<u8>> {
        self.keys.seal(&self.app.group.db, tenant, field, plaintext.as_bytes()).await
    }

    async fn open(&self, tenant: TenantId, field: Field, stored: &[u8]) -> Result<String> {
        let opened = self.keys.open(&self.app.group.db, tenant, field, stored).await?;
        Ok(String::from_utf8(opened.expose_secret().to_vec()).unwrap())
    }

    /// How many calls of KMS `act` takes.
    async fn calls<T>(&self, act: impl Future<Output = Result<T>>) -> usize {
        let before = self.app.kms.calls();
        act.await.unwrap();
        self.app.kms.calls() - before
    }
}

fn field() -> Field {
    Field { table: "todos", column: "notes", row: SystemClock.new_id() }
}

fn code<T>(outcome: Result<T>) -> Code {
    outcome.err().expect("it is refused").code()
}

#[test]
fn a_function_without_its_kms_key_is_told_its_name() {
    let faults = crate::config::from_lookup::<DataKeysConfig>(&|_| None).err().map(|faults| faults.to_string());
    let expected = "1 fault in the configuration: (1) DATA_KEY_ID is not set: the id, ARN or alias of the KMS key that \
                    wraps the tenants' data keys.";
    assert_eq!(faults.as_deref(), Some(expected));
}

#[tokio::test]
async fn e1_what_was_moved_is_refused_wherever_it_went_and_the_log_says_where_it_stood() {
    let one = Environment::start().await;
    let (ada, eve) = (one.tenant("acme").await, one.tenant("evil").await);
    let here = field();
    let stored = one.seal(ada, here, "before noon").await.unwrap();
    one.seal(eve, here, "of another tenant with a key of its own").await.unwrap();
    assert_eq!(one.open(ada, here, &stored).await.unwrap(), "before noon");
    for (tenant, there) in [
        (eve, here),
        (ada, Field { table: "identity_providers", ..here }),
        (ada, Field { column: "title", ..here }),
        (ada, field()),
    ] {
        let error = one.open(tenant, there, &stored).await.unwrap_err();
        assert_eq!(error.code(), Code::Undecryptable);
        let said = format!("{error:?}");
        assert!(said.contains(&there.to_string()) && said.contains("sealed for another tenant"), "{said}");
    }
    for altered in [vec![], vec![0; 96], vec![1; 97], vec![2; 200], stored[1..].to_vec(), b"before noon".to_vec()] {
        assert_eq!(code(one.open(ada, here, &altered).await), Code::Undecryptable);
    }
    assert!(
        crate::refusal::is_recorded(&http::Method::GET, crate::audit::Action::TodosRead, Code::Undecryptable),
        "of a read, too"
    );
}

#[tokio::test]
async fn e2_a_data_key_of_another_tenant_or_no_data_key_at_all_opens_nothing() {
    let one = Environment::start().await;
    let (ada, eve, bob) = (one.tenant("acme").await, one.tenant("evil").await, one.tenant("bob").await);
    let here = field();
    let stored = one.seal(ada, here, "hers").await.unwrap();
    one.seal(eve, here, "his").await.unwrap();
    one.seal(bob, here, "his").await.unwrap();
    let mut superuser = one.app.superuser().await;
    for (sql, tenant) in [
        // Eve's wrapped key in place of Ada's: KMS sees the wrong context.
        (
            "UPDATE tenant_keys SET wrapped = (SELECT wrapped FROM tenant_keys WHERE tenant_id = $2) WHERE tenant_id = $1",
            ada,
        ),
        (
            "UPDATE tenant_keys SET wrapped = set_byte(wrapped, 70, get_byte(wrapped, 70) # 1) WHERE tenant_id = $1 AND $2 IS NOT NULL",
            bob,
        ),
    ] {
        let changed = sqlx::query(sql).bind(tenant.as_uuid()).bind(eve.as_uuid()).execute(&mut superuser).await;
        assert_eq!(changed.unwrap().rows_affected(), 1);
        let fresh = one.another(Limits::default()).await;
        assert_eq!(code(fresh.open(tenant, here, &stored).await), Code::Undecryptable);
        assert_eq!(code(fresh.seal(tenant, here, "x").await), Code::Undecryptable);
    }
    assert_eq!(one.open(ada, here, &stored).await.unwrap(), "hers", "from memory, still");
    superuser.execute("DELETE FROM tenant_keys").await.unwrap();
    one.app.clock.advance(Limits::default().age);
    let error = one.open(ada, here, &stored).await.unwrap_err();
    assert_eq!(error.code(), Code::Undecryptable, "shredded");
    assert!(format!("{error:?}").contains("there is no such data key"), "{error:?}");
    let anew = one.seal(ada, here, "begun anew").await.unwrap();
    assert_eq!(one.open(ada, here, &anew).await.unwrap(), "begun anew");
    assert_eq!(code(one.open(ada, here, &stored).await), Code::Undecryptable, "another key of the same version");
}

#[tokio::test]
async fn e3_a_disabled_key_is_refused_once_the_caches_time_is_up_and_no_earlier() {
    let one = Environment::start().await;
    let ada = one.tenant("acme").await;
    let here = field();
    let stored = one.seal(ada, here, "hers").await.unwrap();
    one.app.kms.set(Mood::KeyDisabled);
    one.app.clock.advance(Limits::default().age - Duration::seconds(5));
    assert_eq!(one.open(ada, here, &stored).await.unwrap(), "hers");
    one.app.clock.advance(Duration::seconds(6));
    for _ in 0..2 {
        let error = one.open(ada, here, &stored).await.unwrap_err();
        assert_eq!(error.code(), Code::KeyManagementUnavailable);
        assert!(format!("{error:?}").contains("DisabledException"), "{error:?}");
        assert_eq!(code(one.seal(ada, here, "x").await), Code::KeyManagementUnavailable);
    }
    one.app.kms.set(Mood::Obliging);
    assert_eq!(one.open(ada, here, &stored).await.unwrap(), "hers");
    one.app.clock.advance(Duration::days(-1));
    assert_eq!(one.calls(one.open(ada, here, &stored)).await, 1, "a clock set back lengthens nothing");
}

#[tokio::test]
async fn e4_while_kms_throttles_or_is_slow_it_is_503_and_one_call_answers_all_who_wait() {
    let one = Environment::start().await;
    let ada = one.tenant("acme").await;
    let here = field();
    let stored = one.seal(ada, here, "hers").await.unwrap();
    for mood in [Mood::Throttled, Mood::Slow] {
        one.app.clock.advance(Limits::default().age);
        one.app.kms.set(mood);
        let (start, before) = (Instant::now(), one.app.kms.calls());
        let waiting = futures_util::future::join_all((0..20).map(|_| one.open(ada, here, &stored)));
        for outcome in waiting.await {
            assert_eq!(code(outcome), Code::KeyManagementUnavailable, "{mood:?}");
        }
        assert!(start.elapsed() < crate::aws::CALL_TIMEOUT * 2, "{mood:?}: {:?}", start.elapsed());
        // One that is throttled is told so before the next one asks.
        let calls = one.app.kms.calls() - before;
        assert!(calls == 1 || mood == Mood::Throttled, "{mood:?}: {calls}");
    }
    one.app.kms.set(Mood::Obliging);
    assert_eq!(one.open(ada, here, &stored).await.unwrap(), "hers");
}

#[tokio::test]
async fn e4_the_limits_of_time_uses_bytes_and_tenants_hold() {
    let one = Environment::start().await;
    let (ada, eve) = (one.tenant("acme").await, one.tenant("evil").await);
    let here = field();
    let stored = one.seal(ada, here, "hers").await.unwrap();
    let his = one.seal(eve, here, "his").await.unwrap();
    let few = one.another(Limits { uses: 3, ..Limits::default() }).await;
    for expected in [1, 0, 0, 1, 0, 0, 1] {
        assert_eq!(few.calls(few.open(ada, here, &stored)).await, expected, "uses");
    }
    let bytes = u64::try_from(stored.len()).unwrap() * 2;
    let small = one.another(Limits { bytes, ..Limits::default() }).await;
    for expected in [1, 0, 1, 0, 1] {
        assert_eq!(small.calls(small.open(ada, here, &stored)).await, expected, "bytes");
    }
    let alone = one.another(Limits { tenants: 1, ..Limits::default() }).await;
    for (tenant, stored, expected) in
        [(ada, &stored, 1), (ada, &stored, 0), (eve, &his, 1), (eve, &his, 0), (ada, &stored, 1)]
    {
        assert_eq!(alone.calls(alone.open(tenant, here, stored)).await, expected, "tenants");
    }
    let usual = one.another(Limits::default()).await;
    for (minutes, expected) in [(0, 1), (4, 0), (2, 1), (4, 0)] {
        usual.app.clock.advance(Duration::minutes(minutes));
        assert_eq!(usual.calls(usual.open(ada, here, &stored)).await, expected, "time");
    }
}

#[tokio::test]
async fn two_environments_at_once_end_with_one_key_and_many_requests_with_one_call() {
    let one = Environment::start().await;
    for round in 0..5 {
        let ada = one.tenant(&format!("acme-{round}")).await;
        let (two, here) = (one.another(Limits::default()).await, field());
        let (mine, yours) = tokio::join!(one.seal(ada, here, "one"), two.seal(ada, here, "two"));
        let (mine, yours) = (mine.unwrap(), yours.unwrap());
        assert_eq!(one.open(ada, here, &yours).await.unwrap(), "two");
        assert_eq!(two.open(ada, here, &mine).await.unwrap(), "one");
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM tenant_keys WHERE tenant_id = $1")
            .bind(ada.as_uuid())
            .fetch_one(&mut one.app.superuser().await)
            .await
            .unwrap();
        assert_eq!(count, 1);
        let three = one.another(Limits::default()).await;
        let many = futures_util::future::join_all((0..50).map(|_| three.open(ada, here, &mine)));
        assert!(many.await.into_iter().all(|opened| opened.unwrap() == "one"));
        assert_eq!(three.app.kms.calls(), 1);
    }
}

#[tokio::test]
async fn a_newer_version_seals_and_the_older_one_still_opens() {
    let one = Environment::start().await;
    let ada = one.tenant("acme").await;
    let here = field();
    let old = one.seal(ada, here, "old").await.unwrap();
    let (_, wrapped) = one.app.start.data_keys.generate(TestKms::KEY_ID, ada).await.unwrap();
    let newer = tenant_keys::StoredKey { version: 2, wrapped };
    assert!(tenant_keys::add(&one.app.group.db, ada, &newer).await.unwrap());
    assert!(!tenant_keys::add(&one.app.group.db, ada, &newer).await.unwrap(), "a version is added once");
    let two = one.another(Limits::default()).await;
    let new = two.seal(ada, here, "new").await.unwrap();
    assert_eq!((envelope::key_version(&old), envelope::key_version(&new)), (Ok(1), Ok(2)));
    for environment in [&one, &two] {
        assert_eq!(environment.open(ada, here, &old).await.unwrap(), "old");
        assert_eq!(environment.open(ada, here, &new).await.unwrap(), "new", "met before the cache's time is up");
    }
}

#[tokio::test]
async fn a_key_that_is_ready_is_used_within_a_transaction() {
    let one = Environment::start().await;
    let member = one.app.tenant("acme").await;
    let (ada, here) = (TenantId::verified(member.tenant), field());
    one.keys.ready(&one.app.group.db, ada).await.unwrap();
    assert_eq!(one.app.kms.calls(), 0, "none is made for nothing");
    let stored = one.seal(ada, here, "hers").await.unwrap();
    let two = one.another(Limits::default()).await;
    two.keys.ready(&two.app.group.db, ada).await.unwrap();
    let identity = crate::auth::Identity { tenant: ada, user: None, session: None };
    let origin = crate::origin::Origin::of(&axum::extract::Request::default(), &two.app.start.clock);
    let transaction = two.app.group.db.begin_as(&identity, crate::audit::Action::TodosUpdate, &origin).await.unwrap();
    assert_eq!(two.calls(two.open(ada, here, &stored)).await, 0);
    drop(transaction);
}

#[tokio::test]
async fn the_database_holds_no_plaintext_and_no_data_key() {
    let one = Environment::start().await;
    let ada = one.tenant("acme").await;
    let stored = one.seal(ada, field(), "a canary that sings").await.unwrap();
    assert!(!stored.windows(6).any(|window| window == b"canary"));
    let (_, key) = one.keys.0.key(&one.app.group.db, ada, Which::Newest, 0).await.unwrap();
    let dump: Vec<Vec<u8>> = sqlx::query_scalar("SELECT convert_to(k::text, 'UTF8') || wrapped FROM tenant_keys k")
        .fetch_all(&mut one.app.superuser().await)
        .await
        .unwrap();
    assert_eq!(dump.len(), 1);
    assert!(!dump[0].windows(32).any(|window| window == key.expose_secret()));
    assert_eq!(format!("{key:?}"), "SecretBox<[u8; 32]>([REDACTED])");
}
