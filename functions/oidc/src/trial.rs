//! What the group's tests begin with: a tenant, its provider, and a browser.

use std::{collections::HashMap, sync::Arc};

use serde_json::{Value, json};
use shared::{
    auth::provider::ClientSecret,
    clock::Clock,
    testing::{
        Answer, Event, Member, ProviderKey, TestApp, TestDatabase, TestKeys, TestProvider,
        provider::{Behaviour, Grant, TOKEN},
    },
};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::Oidc;

pub(crate) const PAGE: &str = "https://app.example.com/signed-in";
pub(crate) const SECRET: &str = "OUR-SECRET-THERE";
const CALLBACK: &str = "https://auth.example.com/api/v1/auth/oidc/entra/callback?tenant=acme";

/// A function, a tenant `acme`, and its provider `entra`.
pub(crate) struct Trial {
    pub(crate) app: TestApp<Oidc>,
    pub(crate) provider: TestProvider,
    pub(crate) key: ProviderKey,
    pub(crate) ada: Member,
    pub(crate) id: Uuid,
}

/// A sign-in that a browser has begun.
#[derive(Clone)]
pub(crate) struct Going {
    pub(crate) url: String,
    pub(crate) query: HashMap<String, String>,
    pub(crate) cookie: String,
}

impl Going {
    pub(crate) fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 302, "{:?}", answer.log);
        let url = answer.header("location").to_owned();
        let query = form_urlencoded::parse(url.split_once('?').unwrap().1.as_bytes()).into_owned().collect();
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        Self { url, query, cookie }
    }

    /// The provider's answer, brought by the same browser.
    pub(crate) fn back(&self) -> Event {
        self.back_with(&[("code", "c-1"), ("state", &self.query["state"])])
    }

    pub(crate) fn back_with(&self, query: &[(&str, &str)]) -> Event {
        callback_at(&self.query["redirect_uri"], query).cookies(std::slice::from_ref(&self.cookie))
    }
}

pub(crate) fn callback(query: &[(&str, &str)]) -> Event {
    callback_at(CALLBACK, query)
}

/// A provider's answer: it keeps the query of the redirect URI (RFC 6749, 3.1.2).
pub(crate) fn callback_at(redirect_uri: &str, query: &[(&str, &str)]) -> Event {
    let target = redirect_uri.strip_prefix("https://auth.example.com").unwrap();
    let and = if target.contains('?') { '&' } else { '?' };
    Event::get(&format!("{target}{and}{}", form(query)))
}

fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

impl Trial {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> Self {
        let usual = [("FEDERATION_ALLOW_LOOPBACK", "on"), ("ALLOWED_ORIGINS", "https://app.example.com")];
        let settings: Vec<_> = settings.iter().copied().chain(usual).collect();
        let keys = Arc::new(TestKeys::generate("test-key"));
        let app = TestApp::start_with(crate::routes(), TestDatabase::create().await, keys, &settings).await;
        let key = ProviderKey::p256("k-1");
        let provider = TestProvider::start(&[key.public_jwk()]);
        let ada = app.tenant("acme").await;
        let mut trial = Self { app, provider, key, ada, id: Uuid::nil() };
        trial.id = trial.register(trial.ada.tenant, "entra").await;
        trial
    }

    /// The function where the provider is the deployment's and no
    /// tenant's; `secret` is ours there.
    pub(crate) async fn of_deployment(secret: Option<&str>) -> Self {
        let key = ProviderKey::p256("k-1");
        let provider = TestProvider::start(&[key.public_jwk()]);
        let mut settings = json!({
            "name": "entra", "issuer": provider.issuer(), "audiences": ["api://tenantry"], "client_id": "client-1",
            "jit_provisioning": true, "role_claim": "groups", "role_map": { "lab": "analyst" },
        });
        if secret.is_some() {
            // A secret that every function of the tests has.
            settings["client_secret_id"] = "refresh-key".into();
        }
        let settings = json!([settings]).to_string();
        let settings = [("FEDERATION_ALLOW_LOOPBACK", "on"), ("IDENTITY_PROVIDERS", &*settings)];
        let keys = Arc::new(TestKeys::generate("test-key"));
        let app = TestApp::start_with(crate::routes(), TestDatabase::create().await, keys, &settings).await;
        let ada = app.tenant("acme").await;
        Self { app, provider, key, ada, id: Uuid::nil() }
    }

    /// Registers the provider for a tenant.
    pub(crate) async fn register(&self, tenant: Uuid, name: &str) -> Uuid {
        let id = self.app.clock.new_id();
        let insert = "INSERT INTO identity_providers (tenant_id, id, name, issuer, audiences, client_id, tenant_claim,
                role_claim, role_map, default_role, jit_provisioning, allowed_algorithms, status, created_at, updated_at)
             VALUES ($1, $2, $3, $4, '{api://tenantry}', 'client-1', 'tenant_id', 'groups', '{\"lab\": \"analyst\"}',
                'viewer', true, '{ES256,RS256}', 'active', now(), now())";
        let insert = sqlx::query(insert).bind(tenant).bind(id).bind(name).bind(self.provider.issuer());
        insert.execute(&mut self.app.superuser().await).await.unwrap();
        let slug: String = sqlx::query_scalar("SELECT slug FROM tenants WHERE id = $1")
            .bind(tenant)
            .fetch_one(&mut self.app.superuser().await)
            .await
            .unwrap();
        let group = &self.app.group;
        let found = shared::auth::provider::Provider::to_sign_in_at(&group.app.db, &slug, name).await.unwrap();
        let secret = ClientSecret::try_from(SECRET.to_owned()).unwrap();
        let sealed = secret.seal(&group.data_keys, &group.app.db, found.0, id).await.unwrap();
        let update = sqlx::query("UPDATE identity_providers SET client_secret_ciphertext = $2 WHERE id = $1");
        update.bind(id).bind(sealed).execute(&mut self.app.superuser().await).await.unwrap();
        id
    }

    pub(crate) async fn login(&self, query: &[(&str, &str)]) -> Answer {
        self.app.send(Event::get(&format!("/api/v1/auth/oidc/entra/login?{}", form(query)))).await
    }

    /// A browser at the provider's page.
    pub(crate) async fn begin(&self) -> Going {
        Going::of(&self.login(&[("tenant", "acme")]).await)
    }

    /// What the provider says of Grace in an ID token for this sign-in.
    pub(crate) fn claims(&self, going: &Going) -> Value {
        let now = self.app.clock.now().unix_timestamp();
        json!({
            "iss": self.provider.issuer(), "sub": "grace", "aud": "client-1", "exp": now + 36_000, "iat": now,
            "nonce": going.query["nonce"], "sid": "theirs-1", "email": "grace@acme.example", "email_verified": true, "name": "Grace",
            "groups": ["lab"],
        })
    }

    /// Has the provider give this ID token for the code of `going`.
    pub(crate) fn grant(&self, going: &Going, id_token: &str) {
        self.grant_by(going, id_token, Some(SECRET));
    }

    pub(crate) fn grant_by(&self, going: &Going, id_token: &str, secret: Option<&str>) {
        self.provider.behave(
            TOKEN,
            Behaviour::Grant(Grant {
                code: "c-1".to_owned(),
                challenge: going.query["code_challenge"].clone(),
                client_id: "client-1".to_owned(),
                client_secret: secret.map(ToOwned::to_owned),
                redirect_uri: going.query["redirect_uri"].clone(),
                tokens: json!({ "access_token": "THEIR-ACCESS-TOKEN", "token_type": "Bearer", "id_token": id_token }),
            }),
        );
    }

    /// A whole sign-in, with these claims in place of the usual ones.
    pub(crate) async fn sign_in(&self, changed: &Value) -> Answer {
        let going = self.begin().await;
        let token = self.key.sign("ES256", &changed_by(self.claims(&going), changed));
        self.grant(&going, &token);
        self.app.send(going.back()).await
    }

    pub(crate) async fn sql(&self, statement: &str) {
        let statement = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
        statement.execute(&mut self.app.superuser().await).await.unwrap();
    }

    pub(crate) async fn count(&self, query: &str) -> i64 {
        let query = sqlx::query_scalar(AssertSqlSafe(query.to_owned()));
        query.fetch_one(&mut self.app.superuser().await).await.unwrap()
    }

    /// The sessions that a sign-in began and that live.
    pub(crate) async fn sessions(&self) -> i64 {
        self.count("SELECT count(*) FROM sessions WHERE issuer IS NOT NULL AND ended_at IS NULL").await
    }

    /// The records of the tenant's trail: action, outcome, reason.
    pub(crate) async fn trail(&self) -> Vec<(String, String, Option<String>)> {
        let records = self.app.trail(self.ada.tenant).await;
        records.into_iter().map(|(action, outcome, reason, _)| (action, outcome, reason)).collect()
    }

    /// How many refusals `nobody`'s trail holds.
    pub(crate) async fn of_nobody(&self) -> usize {
        self.app.trail(Uuid::nil()).await.len()
    }
}

/// `claims` with these in place of its own; null takes one away.
pub(crate) fn changed_by(mut claims: Value, changed: &Value) -> Value {
    for (name, value) in changed.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

/// Checks that it is the one answer to a sign-in that is refused, and that
/// nothing of the provider's or of ours stands in it or in the log.
pub(crate) fn assert_refused(answer: &Answer, what: &str) {
    assert_eq!((answer.status.as_u16(), &*answer.code()), (400, "AUTH_010"), "{what}: {:?}", answer.log);
    let told = format!("{}{:?}", String::from_utf8_lossy(&answer.bytes), answer.log);
    for secret in ["WORDS-OF-THEIRS", "THEIR-ACCESS-TOKEN", SECRET, "grace"] {
        assert!(!told.contains(secret), "{what}: {told}");
    }
    assert_eq!(answer.json()["error"]["detail"], Value::Null, "{what}");
}
