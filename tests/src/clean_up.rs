//! The clean-up under the functions: what lives goes on living.

use std::sync::Arc;

use serde_json::{Value, json};
use shared::{
    clock::SystemClock,
    config::from_lookup,
    start::Start,
    testing::{Answer, Event, RUNTIME_PASSWORD, TestApp, TestDatabase, TestKeys, TestSecrets},
};
use time::Duration;

use crate::file;

/// `auth` and `ops` over one database.
struct Api {
    auth: TestApp<auth::Auth>,
    database: Arc<TestDatabase>,
}

impl Api {
    async fn start() -> Self {
        let database = Arc::new(TestDatabase::create().await.with_maintainer().await);
        let keys = TestKeys::generate("test-key").into();
        let settings = [("AWS_LAMBDA_MAX_CONCURRENCY", "10")];
        Self { auth: TestApp::start_with(auth::routes(), database.clone(), keys, &settings).await, database }
    }

    async fn clean_up(&self) -> Value {
        let (host, port, name) = self.database.address();
        let secrets = TestSecrets::default();
        let login = json!({ "username": self.database.maintainer(), "password": RUNTIME_PASSWORD });
        secrets.set("owner", login.to_string());
        let settings = [
            ("DATABASE_HOST", host),
            ("DATABASE_PORT", port.to_string()),
            ("DATABASE_NAME", name),
            ("DATABASE_TLS", "disable".to_owned()),
            ("DATABASE_SECRET_ID", "runtime".to_owned()),
            ("DATABASE_OWNER_SECRET_ID", "owner".to_owned()),
        ];
        let lookup = |name: &str| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        let start = Start::on_lambda(from_lookup(&lookup).unwrap());
        let start = start.with(Arc::new(SystemClock), Arc::new(secrets));
        ops::run(ops::Action::CleanUp {}, &start, from_lookup(&lookup).unwrap()).await.unwrap()
    }

    async fn signed_up(&self) -> Value {
        let answer = self.auth.send(Event::from_file("auth-signup")).await;
        assert_eq!(answer.status, 201, "{:?}", answer.log);
        answer.json()
    }

    async fn signed_in(&self) -> Value {
        let event: Value = serde_json::from_str(&file("events/auth-signup.json")).unwrap();
        let account: Value = serde_json::from_str(event["body"].as_str().unwrap()).unwrap();
        let (slug, email, password) = (&account["organization"]["slug"], &account["email"], &account["password"]);
        let credentials = json!({ "tenant": slug, "email": email, "password": password });
        let answer = self.auth.send(Event::from_file("auth-login").json(&credentials)).await;
        assert_eq!(answer.status, 200, "{:?}", answer.log);
        answer.json()
    }

    async fn refresh(&self, token: &Value) -> Answer {
        self.auth.send(Event::post("/api/v1/auth/refresh", &json!({ "refresh_token": token }))).await
    }

    async fn me(&self, tokens: &Value) -> String {
        self.auth.send(Event::get("/api/v1/auth/me").bearer(tokens["access_token"].as_str().unwrap())).await.code()
    }

    async fn sql(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&mut self.auth.superuser().await).await.unwrap();
    }
}

#[tokio::test]
async fn a_refresh_token_that_was_used_still_ends_its_session_after_a_clean_up_however_old_it_is() {
    let api = Api::start().await;
    let first = api.signed_up().await;
    let second = api.refresh(&first["refresh_token"]).await.json();
    // Long ago, and past its own time.
    api.sql("UPDATE refresh_tokens SET expires_at = now() - interval '1 day', rotated_at = rotated_at - interval '8 days' WHERE generation = 0").await;
    let cleaned = api.clean_up().await;
    assert_eq!((&cleaned["refresh_tokens"], &cleaned["complete"]), (&json!(0), &json!(true)));
    assert_eq!(api.me(&second).await, "none");
    assert_eq!(api.refresh(&first["refresh_token"]).await.code(), "AUTH_007");
    assert_eq!(api.me(&second).await, "AUTH_006", "the family ended");
    // Now they may go: the session stays for thirty days, and refuses them.
    assert_eq!(api.clean_up().await["refresh_tokens"], 2);
    assert_eq!(api.refresh(&second["refresh_token"]).await.code(), "AUTH_007");
    let sessions: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sessions").fetch_one(&mut api.auth.superuser().await).await.unwrap();
    assert_eq!(sessions, 1);
}

#[tokio::test]
async fn clients_sign_in_and_refresh_while_it_runs_over_thousands_of_rows() {
    let api = Api::start().await;
    let ada = api.signed_up().await;
    api.sql(
        "INSERT INTO sessions (tenant_id, id, user_id, created_at, last_used_at, expires_at)
         SELECT tenant_id, gen_random_uuid(), id, '2020-01-01', '2020-01-01', '2020-01-31'
           FROM users, generate_series(1, 6000);
         INSERT INTO refresh_tokens (tenant_id, session_id, generation, token_hash, created_at, expires_at)
         SELECT tenant_id, id, n, sha256(id::text::bytea), created_at, expires_at
           FROM sessions, generate_series(0, 1) AS n WHERE created_at < '2021-01-01'",
    )
    .await;
    let clients = async {
        let (mut tokens, mut slowest) = (ada, std::time::Duration::ZERO);
        for _ in 0..4 {
            api.signed_in().await;
            let start = std::time::Instant::now();
            let answer = api.refresh(&tokens["refresh_token"]).await;
            slowest = slowest.max(start.elapsed());
            assert_eq!(answer.status, 200, "{:?}", answer.log);
            tokens = answer.json();
        }
        (tokens, slowest)
    };
    let (cleaned, (tokens, slowest)) = tokio::join!(api.clean_up(), clients);
    assert_eq!((&cleaned["sessions"], &cleaned["refresh_tokens"]), (&json!(6000), &json!(12_000)));
    assert!(slowest < std::time::Duration::from_secs(3), "nobody waits for it: {slowest:?}");
    assert_eq!(api.me(&tokens).await, "none");
    api.auth.clock.advance(Duration::seconds(11));
    assert_eq!(api.refresh(&tokens["refresh_token"]).await.status, 200);
}
