//! A function under test, its clock, its secrets, and the people who use it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

use axum::Router;
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

#[cfg(feature = "kms")]
use super::TestKms;
use super::{Answer, Event, TestDatabase, TestKeys, database::RUNTIME_PASSWORD};
use crate::{
    app::Group,
    auth::Role,
    clock::{Clock, SystemClock},
    config::{self, Config, Faults},
    lambda,
    routes::Routes,
    secrets::{BoxFuture, SecretSource, Secrets},
    start::Start,
    telemetry,
};

const PEPPERS: [&str; 2] =
    ["YGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn8", "gIGCg4SFhoeIiYqLjI2Oj5CRkpOUlZaXmJmam5ydnp8"];

/// The machine's clock, set forward at will.
#[derive(Default)]
pub struct TestClock(AtomicI64);

impl TestClock {
    /// Sets it forward (or back).
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(by.whole_milliseconds().try_into().unwrap(), Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> OffsetDateTime {
        SystemClock.now() + Duration::milliseconds(self.0.load(Ordering::Relaxed))
    }
}

/// Secrets that a test can change under a running function.
#[derive(Default)]
pub struct TestSecrets(Mutex<Held>);

#[derive(Default)]
struct Held {
    values: HashMap<String, String>,
    reads: HashMap<String, usize>,
    away: bool,
}

impl TestSecrets {
    /// Sets a secret.
    pub fn set(&self, id: &str, value: impl Into<String>) {
        self.0.lock().unwrap().values.insert(id.to_owned(), value.into());
    }

    /// Has every read fail from now on, or none.
    pub fn set_away(&self, away: bool) {
        self.0.lock().unwrap().away = away;
    }

    /// How often a secret was asked for.
    #[must_use]
    pub fn reads(&self, id: &str) -> usize {
        self.0.lock().unwrap().reads.get(id).copied().unwrap_or_default()
    }

    pub(super) fn all(&self) -> Vec<(String, String)> {
        self.0.lock().unwrap().values.clone().into_iter().collect()
    }
}

impl SecretSource for TestSecrets {
    fn read<'a>(&'a self, ids: &'a [&'a str]) -> BoxFuture<'a, Result<Secrets, Faults>> {
        let distinct = ids.iter().enumerate().all(|(index, id)| !ids[..index].contains(id));
        assert!(distinct, "a batch names a secret once: {ids:?}");
        let mut held = self.0.lock().unwrap();
        for id in ids {
            *held.reads.entry((*id).to_owned()).or_default() += 1;
        }
        if held.away {
            return Box::pin(async { Err("the secrets are away".to_owned().into()) });
        }
        let secret = |id: &&str| Some(((*id).to_owned(), SecretString::from(held.values.get(*id)?.clone())));
        let found = Secrets::new(ids.iter().filter_map(secret).collect());
        Box::pin(async { Ok(found) })
    }
}

/// A function under test.
pub struct TestApp<G> {
    /// Its state.
    pub group: G,
    /// Its database.
    pub database: Arc<TestDatabase>,
    /// Its clock.
    pub clock: Arc<TestClock>,
    /// Its secrets.
    pub secrets: Arc<TestSecrets>,
    /// Its KMS.
    #[cfg(feature = "kms")]
    pub kms: Arc<TestKms>,
    /// The keys that sign its tokens.
    pub keys: Arc<TestKeys>,
    /// What it was started from.
    pub start: Start,
    router: Router,
}

/// A user with a live session.
#[derive(Debug, Clone)]
pub struct Member {
    /// The tenant.
    pub tenant: Uuid,
    /// The user.
    pub user: Uuid,
    /// The session.
    pub session: Uuid,
    /// The role.
    pub role: Role,
    /// An access token, good for 15 minutes.
    pub token: String,
}

impl<G: Group> TestApp<G> {
    /// Starts the function with its routes and a database of its own.
    pub async fn start(routes: Routes<G>) -> Self {
        let keys = Arc::new(TestKeys::generate("test-key"));
        Self::start_with(routes, TestDatabase::create().await, keys, &[]).await
    }

    /// Another execution environment over this one's database, with its keys.
    pub async fn another(&self, routes: Routes<G>) -> Self {
        Self::start_with(routes, self.database.clone(), self.keys.clone(), &[]).await
    }

    /// Starts it over a database and with keys that others use too; `settings`
    /// go before the usual ones.
    pub async fn start_with(
        routes: Routes<G>,
        database: impl Into<Arc<TestDatabase>>,
        keys: Arc<TestKeys>,
        settings: &[(&str, &str)],
    ) -> Self {
        let database = database.into();
        telemetry::capture::start();
        telemetry::init(tracing::Level::INFO);
        let (clock, secrets) = (Arc::new(TestClock::default()), Arc::new(TestSecrets::default()));
        fill(&secrets, &keys, &database);
        let start = Start::on_lambda(read(&database, settings)).with(clock.clone(), secrets.clone());
        #[cfg(feature = "kms")]
        let kms = Arc::new(TestKms::default());
        #[cfg(feature = "kms")]
        let start = Start { data_keys: kms.clone(), ..start };
        let group = Box::pin(lambda::build::<G>(read(&database, settings), &start)).await.unwrap();
        let app = lambda::router(routes, &group, &start).unwrap();
        Self {
            group,
            database,
            clock,
            secrets,
            #[cfg(feature = "kms")]
            kms,
            keys,
            start,
            router: app,
        }
    }

    /// Sends an event through the whole function.
    pub async fn send(&self, event: Event) -> Answer {
        telemetry::capture::drain();
        let Ok(response) = lambda::respond(self.router.clone(), event.into_request()).await;
        let (mut parts, body) = response.into_parts();
        let rate_limit = ["ratelimit-policy", "ratelimit"].map(|name| {
            let value = parts.headers.remove(name);
            value.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
        });
        let log = telemetry::capture::drain();
        Answer {
            status: parts.status,
            headers: parts.headers,
            rate_limit,
            bytes: body.to_vec().into(),
            log: log.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        }
    }

    /// A connection as the superuser.
    pub async fn superuser(&self) -> PgConnection {
        self.database.superuser().await
    }

    /// A new tenant, and its admin.
    pub async fn tenant(&self, slug: &str) -> Member {
        let tenant = self.clock.new_id();
        sqlx::query("INSERT INTO tenants (id, slug, name) VALUES ($1, $2, $2)")
            .bind(tenant)
            .bind(slug)
            .execute(&mut self.superuser().await)
            .await
            .unwrap();
        self.member(tenant, Role::Admin).await
    }

    /// A new user of a tenant, with a session.
    pub async fn member(&self, tenant: Uuid, role: Role) -> Member {
        let (user, session, now) = (self.clock.new_id(), self.clock.new_id(), self.clock.now());
        let mut superuser = self.superuser().await;
        sqlx::query("INSERT INTO users (tenant_id, id, email, display_name, role) VALUES ($1, $2, $3, 'A User', $4)")
            .bind(tenant)
            .bind(user)
            .bind(format!("{}@example.com", user.simple()))
            .bind(role.as_str())
            .execute(&mut superuser)
            .await
            .unwrap();
        sqlx::query(
            "INSERT INTO sessions (tenant_id, id, user_id, created_at, last_used_at, expires_at) VALUES ($1, $2, $3, $4, $4, $5)",
        )
        .bind(tenant)
        .bind(session)
        .bind(user)
        .bind(now)
        .bind(now + Duration::days(30))
        .execute(&mut superuser)
        .await
        .unwrap();
        let mut member = Member { tenant, user, session, role, token: String::new() };
        member.token = self.keys.sign(&self.claims(&member));
        member
    }

    /// The claims of `member`'s access token, to be changed and signed again.
    #[must_use]
    pub fn claims(&self, member: &Member) -> Value {
        let now = self.clock.now().unix_timestamp();
        json!({
            "iss": "https://auth.example.com/api/v1", "aud": "tenantry", "sub": member.user, "sid": member.session,
            "tenant_id": member.tenant, "role": member.role, "jti": self.clock.new_id(),
            "iat": now, "exp": now + 900,
        })
    }

    /// The audit trail of a tenant: action, outcome, reason and object, oldest first.
    pub async fn trail(&self, tenant: Uuid) -> Vec<(String, String, Option<String>, Option<Uuid>)> {
        sqlx::query_as("SELECT action, outcome, reason, object_id FROM audit_events WHERE tenant_id = $1 ORDER BY seq")
            .bind(tenant)
            .fetch_all(&mut self.superuser().await)
            .await
            .unwrap()
    }

    /// The details of a tenant's successes of one action, oldest first.
    pub async fn details(&self, tenant: Uuid, action: &str) -> Vec<String> {
        let sql = "SELECT details FROM audit_events
                    WHERE tenant_id = $1 AND action = $2 AND outcome = 'success' ORDER BY seq";
        let details: Vec<Option<String>> =
            sqlx::query_scalar(sql).bind(tenant).bind(action).fetch_all(&mut self.superuser().await).await.unwrap();
        details.into_iter().map(Option::unwrap_or_default).collect()
    }
}

/// What every function may read, by the names that the tests have for it.
pub(super) fn fill(secrets: &TestSecrets, keys: &TestKeys, database: &TestDatabase) {
    secrets.set("database", json!({ "username": database.role(), "password": RUNTIME_PASSWORD }).to_string());
    secrets.set("token-public-keys", keys.public_set());
    secrets.set("token-private-keys", keys.private_set());
    secrets.set("refresh-key", "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA");
    let [one, two] = PEPPERS;
    secrets.set("password-pepper", json!({ "current": 1, "keys": { "1": one } }).to_string());
    secrets.set("password-pepper-rotated", json!({ "current": 2, "keys": { "1": one, "2": two } }).to_string());
    secrets.set("cursor-key", "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8");
}

fn read<C: Config>(database: &TestDatabase, settings: &[(&str, &str)]) -> C {
    let (host, port, name) = database.address();
    let port = port.to_string();
    let usual = [
        ("DATABASE_HOST", host.as_str()),
        ("DATABASE_PORT", &port),
        ("DATABASE_NAME", &name),
        ("DATABASE_TLS", "disable"),
        ("DATABASE_SECRET_ID", "database"),
        ("TOKEN_ISSUER", "https://auth.example.com/api/v1"),
        ("TOKEN_AUDIENCE", "tenantry"),
        ("TOKEN_PUBLIC_KEYS_SECRET_ID", "token-public-keys"),
        ("TOKEN_PRIVATE_KEYS_SECRET_ID", "token-private-keys"),
        ("REFRESH_KEY_SECRET_ID", "refresh-key"),
        ("PASSWORD_PEPPER_SECRET_ID", "password-pepper"),
        ("CURSOR_KEY_SECRET_ID", "cursor-key"),
        #[cfg(feature = "kms")]
        ("DATA_KEY_ID", TestKms::KEY_ID),
        ("SIGNUP", "open"),
        // Enough for a test that is about something else.
        ("AUTH_RATE_LIMIT_PER_MINUTE", "1000000"),
        // Enough for every lane of a hash.
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "8192"),
    ];
    let lookup =
        |name: &str| settings.iter().chain(&usual).find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    config::from_lookup(&lookup).unwrap()
}
