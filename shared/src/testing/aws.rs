//! Secrets Manager and KMS as the development stack emulates them.

use aws_sdk_kms::types::{KeySpec, KeyUsageType};
use serde_json::Value;

use secrecy::SecretString;

use super::{TestDatabase, TestKeys, TestSecrets, setting, world};
use crate::{
    auth::PublishedKey,
    aws,
    clock::{Clock, SystemClock},
    secrets,
};

/// Secrets of a test's own, under names that no other test uses.
pub struct EmulatedSecrets {
    prefix: String,
}

impl EmulatedSecrets {
    /// Creates these secrets.
    pub async fn create(secrets: &[(&str, &str)]) -> Self {
        let _ = setting("AWS_ENDPOINT_URL");
        let created = Self { prefix: format!("test/{}/", SystemClock.new_id().simple()) };
        let client = secrets::connect(true).await;
        for (name, value) in secrets {
            let secret = client.create_secret().name(created.id(name)).secret_string(*value);
            secret.send().await.expect("Secrets Manager takes the secret");
        }
        created
    }

    /// Creates what every function needs: a [`super::TestApp`]'s secrets.
    pub async fn usual(keys: &TestKeys, database: &TestDatabase) -> Self {
        let secrets = TestSecrets::default();
        world::fill(&secrets, keys, database);
        let secrets = secrets.all();
        let secrets: Vec<_> = secrets.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Self::create(&secrets).await
    }

    /// The id of the secret that the test calls `name`.
    #[must_use]
    pub fn id(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// What stands in it.
    pub async fn text(&self, name: &str) -> SecretString {
        let request = secrets::connect(true).await.get_secret_value().secret_id(self.id(name));
        request.send().await.expect("Secrets Manager has the secret").secret_string.unwrap().into()
    }

    /// Puts another text in.
    pub async fn put(&self, name: &str, text: &str) {
        let request = secrets::connect(true).await.put_secret_value().secret_id(self.id(name)).secret_string(text);
        request.send().await.expect("Secrets Manager takes the text");
    }

    /// The environment of a function that reads them, over the database with
    /// this host, port and name.
    #[must_use]
    pub fn environment(&self, (host, port, name): (String, u16, String)) -> Vec<(String, String)> {
        let of_aws = ["AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
        let of_aws = of_aws.map(|name| (name, setting(name)));
        let secrets = [
            ("DATABASE_SECRET_ID", "database"),
            ("DATABASE_OWNER_SECRET_ID", "database-owner"),
            ("TOKEN_PUBLIC_KEYS_SECRET_ID", "token-public-keys"),
            ("TOKEN_PRIVATE_KEYS_SECRET_ID", "token-private-keys"),
            ("REFRESH_KEY_SECRET_ID", "refresh-key"),
            ("PASSWORD_PEPPER_SECRET_ID", "password-pepper"),
            ("CURSOR_KEY_SECRET_ID", "cursor-key"),
        ];
        let secrets = secrets.map(|(variable, name)| (variable, self.id(name)));
        let others = [
            ("DATABASE_HOST", host),
            ("DATABASE_PORT", port.to_string()),
            ("DATABASE_NAME", name),
            ("DATABASE_TLS", "disable".to_owned()),
            ("TOKEN_ISSUER", "https://auth.example.com/api/v1".to_owned()),
            ("TOKEN_AUDIENCE", "tenantry".to_owned()),
            // What starts needs its name; what seals makes it first (`TestKms`).
            ("DATA_KEY_ID", "alias/tenantry-tests".to_owned()),
            ("SIGNUP", "open".to_owned()),
        ];
        let all = of_aws.into_iter().chain(secrets).chain(others);
        all.map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// A KMS key of a test's own.
pub struct EmulatedKey {
    client: aws_sdk_kms::Client,
    id: String,
}

impl EmulatedKey {
    /// Creates a key to sign with, or of `SYMMETRIC_DEFAULT` to encrypt with.
    pub async fn create(spec: &str) -> Self {
        let _ = setting("AWS_ENDPOINT_URL");
        let client = aws_sdk_kms::Client::new(&aws::settings(true).await);
        let spec = KeySpec::from(spec);
        let usage =
            if spec == KeySpec::SymmetricDefault { KeyUsageType::EncryptDecrypt } else { KeyUsageType::SignVerify };
        let created = client.create_key().key_spec(spec).key_usage(usage).send().await.expect("KMS creates the key");
        let id = created.key_metadata.unwrap().key_id;
        Self { client, id }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its public JWK, under its thumbprint.
    pub async fn public_jwk(&self) -> Value {
        let public = self.client.get_public_key().key_id(&self.id).send().await.expect("KMS gives the public key");
        serde_json::to_value(PublishedKey::of_kms(public.public_key.unwrap().as_ref()).unwrap()).unwrap()
    }

    /// Has an alias, a new one or another key's, name this key.
    pub async fn take(&self, alias: &str) {
        let _ = self.client.delete_alias().alias_name(alias).send().await;
        let created = self.client.create_alias().alias_name(alias).target_key_id(&self.id).send().await;
        created.expect("KMS creates the alias");
    }
}
