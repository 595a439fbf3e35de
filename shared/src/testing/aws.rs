//! Secrets Manager as the development stack emulates it.

use secrecy::SecretString;

use super::{TestDatabase, TestKeys, TestSecrets, setting, world};
use crate::{
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
            ("SIGNUP", "open".to_owned()),
        ];
        let all = of_aws.into_iter().chain(secrets).chain(others);
        all.map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
