//! Tests: which keys sign the group's tokens.

use std::sync::Arc;

use shared::{
    auth::Algorithm,
    testing::{TestApp, TestDatabase, TestKeys},
};

use crate::{
    Auth,
    trial::{acme, me},
};

pub(crate) const ALGORITHMS: [Algorithm; 3] = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Hs256];

async fn start(database: &Arc<TestDatabase>, keys: TestKeys, settings: &[(&str, &str)]) -> TestApp<Auth> {
    TestApp::start_with(crate::routes(), database.clone(), keys.into(), settings).await
}

#[tokio::test]
async fn a_key_of_each_algorithm_signs_tokens_that_its_own_set_accepts() {
    for algorithm in ALGORITHMS {
        let database = TestDatabase::create().await.into();
        // One secret for both is how HS256 has to be; the others may.
        for settings in [&[][..], &[("TOKEN_PUBLIC_KEYS_SECRET_ID", "token-private-keys")]] {
            let app = start(&database, TestKeys::of(algorithm, "one"), settings).await;
            let token = if settings.is_empty() {
                acme(&app).await.access
            } else {
                crate::trial::another_session(&app).await.access
            };
            assert_eq!(me(&app, &token).await, "none", "{algorithm:?}");
            for other in ALGORITHMS {
                let others = start(&database, TestKeys::of(other, "one"), &[]).await;
                assert_eq!(me(&others, &token).await, "AUTH_001", "{algorithm:?} for {other:?}");
            }
        }
    }
}
