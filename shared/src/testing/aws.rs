//! Secrets Manager as the development stack emulates it.

use super::setting;
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

    /// The id of the secret that the test calls `name`.
    #[must_use]
    pub fn id(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
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
            ("TOKEN_ISSUER", "https://auth.example.com".to_owned()),
            ("TOKEN_AUDIENCE", "tenantry".to_owned()),
            // What starts needs its name; what seals makes it first (`TestKms`).
            ("DATA_KEY_ID", "alias/tenantry-tests".to_owned()),
            ("SIGNUP", "open".to_owned()),
        ];
        let all = of_aws.into_iter().chain(secrets).chain(others);
        all.map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
