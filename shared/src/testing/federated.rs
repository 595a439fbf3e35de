//! An identity provider that a tenant trusts, and people whom it vouches for.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{ProviderKey, TestApp, TestDatabase, TestProvider};
use crate::{
    app::Group,
    clock::{Clock, SystemClock},
};

/// Has a function call providers on loopback.
pub const ON_LOOPBACK: (&str, &str) = ("FEDERATION_ALLOW_LOOPBACK", "on");

/// A provider with one key, `k1`, for one algorithm.
pub struct TestIssuer {
    /// What it serves.
    pub provider: TestProvider,
    /// Its key.
    pub key: ProviderKey,
    /// How it signs.
    pub algorithm: &'static str,
}

impl TestIssuer {
    /// Starts one that signs by `algorithm`.
    #[must_use]
    pub fn start(algorithm: &'static str) -> Self {
        let key = Self::key(algorithm, "k1");
        Self { provider: TestProvider::start(&[key.public_jwk()]), key, algorithm }
    }

    /// A key for `algorithm`.
    #[must_use]
    pub fn key(algorithm: &str, kid: &str) -> ProviderKey {
        match algorithm {
            "ES256" => ProviderKey::p256(kid),
            "EdDSA" => ProviderKey::ed25519(kid),
            _ => ProviderKey::rsa(kid),
        }
    }

    /// Its settings as a registration has them, with `changes`: whom it does
    /// not know it creates.
    #[must_use]
    pub fn settings(&self, changes: &Value) -> Value {
        let mut settings = json!({
            "name": "idp", "issuer": self.provider.issuer(), "audiences": ["api://tenantry"], "client_id": "client-1",
            "tenant_claim": "tenant_id", "role_claim": null, "role_map": null, "default_role": "viewer",
            "jit_provisioning": true, "allowed_algorithms": ["RS256", "PS256", "ES256", "EdDSA"], "status": "active",
        });
        for (name, value) in changes.as_object().unwrap() {
            settings[name] = value.clone();
        }
        settings
    }

    /// Registers it for `tenant`, with `changes` made to its settings. Returns its id.
    pub async fn register(&self, database: &TestDatabase, tenant: Uuid, changes: &Value) -> Uuid {
        let id = SystemClock.new_id();
        let mut row = self.settings(changes);
        let whole = json!({ "tenant_id": tenant, "id": id, "version": 1, "created_at": "2026-01-01T00:00:00Z",
                            "updated_at": "2026-01-01T00:00:00Z" });
        row.as_object_mut().unwrap().extend(whole.as_object().unwrap().clone());
        sqlx::query("INSERT INTO identity_providers SELECT * FROM jsonb_populate_record(NULL::identity_providers, $1)")
            .bind(row)
            .execute(&mut database.superuser().await)
            .await
            .unwrap();
        id
    }

    /// The claims of an access token of `subject`'s for `tenant`.
    #[must_use]
    pub fn claims<G: Group>(&self, app: &TestApp<G>, tenant: Uuid, subject: &str) -> Value {
        let now = app.clock.now().unix_timestamp();
        json!({
            "iss": self.provider.issuer(), "aud": "api://tenantry", "sub": subject, "tenant_id": tenant,
            "jti": app.clock.new_id(), "iat": now, "exp": now + 900,
        })
    }

    /// A token with these claims.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        self.key.sign(self.algorithm, claims)
    }

    /// How often it was asked for anything.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.provider.received().len()
    }
}
