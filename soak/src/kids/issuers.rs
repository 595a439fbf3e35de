//! Two providers, and their tokens: one speaks for every tenant, one for the
//! tenant that registered it.

use serde_json::json;
use shared::{
    clock::{Clock, SystemClock},
    testing::{TestDatabase, TestIssuer, provider},
};
use uuid::Uuid;

use crate::Result;

/// The providers, and the tenant that both name.
pub(super) struct Issuers {
    everyones: TestIssuer,
    tenants: TestIssuer,
    tenant: Uuid,
}

impl Issuers {
    pub(super) async fn start(database: &TestDatabase) -> Result<Self> {
        let tenant = SystemClock.new_id();
        let insert = "INSERT INTO tenants (id, slug, name) VALUES ($1, 'acme', 'Acme Clinic')";
        sqlx::query(insert).bind(tenant).execute(&mut database.superuser().await).await?;
        let issuers = Self { everyones: TestIssuer::start("RS256"), tenants: TestIssuer::start("RS256"), tenant };
        issuers.tenants.register(database, tenant, &json!({})).await;
        Ok(issuers)
    }

    /// What `IDENTITY_PROVIDERS` is set to.
    pub(super) fn of_the_deployment(&self) -> String {
        let settings = json!([{
            "name": "everyones",
            "issuer": self.everyones.provider.issuer(),
            "audiences": ["api://tenantry"],
            "client_id": "client-1",
            "tenant_claim": "tenant_id",
            "default_role": "viewer",
            "jit_provisioning": true,
        }]);
        settings.to_string()
    }

    /// How often the keys of each were fetched.
    pub(super) fn fetches(&self) -> [usize; 2] {
        self.both().map(|issuer| issuer.provider.count(provider::KEYS))
    }

    /// The same, but those of `before`.
    pub(super) fn fetches_since(&self, before: [usize; 2]) -> [usize; 2] {
        let now = self.fetches();
        [now[0] - before[0], now[1] - before[1]]
    }

    /// So many valid tokens of both, each one so often.
    pub(super) fn valid(&self, count: usize, sent_again: usize) -> Vec<String> {
        let mut tokens = Vec::with_capacity(count);
        let mut sources = self.both().into_iter().cycle();
        while let Some(issuer) = sources.next().filter(|_| tokens.len() < count) {
            let token = self.token(issuer, "k1");
            tokens.extend(std::iter::repeat_n(token, sent_again.min(count - tokens.len())));
        }
        tokens
    }

    /// So many tokens of both, each well signed, under a key id of its own that
    /// nobody knows.
    pub(super) fn under_random_kids(&self, count: usize) -> Vec<String> {
        let issuers = self.both().into_iter().cycle().take(count);
        issuers.map(|issuer| self.token(issuer, &SystemClock.new_id().to_string())).collect()
    }

    fn both(&self) -> [&TestIssuer; 2] {
        [&self.everyones, &self.tenants]
    }

    /// A token of today under this key id, by the provider's one key.
    fn token(&self, issuer: &TestIssuer, kid: &str) -> String {
        let now = SystemClock.now().unix_timestamp();
        let claims = json!({
            "iss": issuer.provider.issuer(), "sub": "ada", "aud": "api://tenantry", "iat": now, "exp": now + 900,
            "jti": SystemClock.new_id(), "tenant_id": self.tenant,
        });
        let header = json!({ "alg": issuer.algorithm, "typ": "at+jwt", "kid": kid });
        issuer.key.sign_raw(issuer.algorithm, &header.to_string(), &claims.to_string())
    }
}
