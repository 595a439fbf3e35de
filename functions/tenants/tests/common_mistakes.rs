//! "The common mistakes" of `docs/AUTH_CONFIGURATION.md`: each one is made, and
//! answered as the page says.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::{collections::BTreeMap, sync::Arc};

use http::Method;
use serde_json::{Value, json};
use shared::{
    clock::Clock,
    testing::{
        Answer, Event, Member, ProviderKey, TestApp, TestDatabase, TestKeys, TestProvider,
        provider::{Behaviour, KEYS},
    },
};
use tenants::Tenants;
use uuid::Uuid;

const PROVIDERS: &str = "/api/v1/tenants/current/identity-providers";

/// The page's table: the beginning of each mistake, and its answer.
fn table() -> BTreeMap<String, String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/AUTH_CONFIGURATION.md");
    let page = std::fs::read_to_string(page).unwrap();
    let section = page.split_once("\n## The common mistakes\n").unwrap().1.split_once("\n## ").unwrap().0;
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(2);
    let cells = rows.map(|row| row.split(" | ").map(str::trim).collect::<Vec<_>>());
    cells.map(|row| (row[0].trim_start_matches("| ").to_owned(), row[1].replace('`', ""))).collect()
}

/// A tenant with a registered provider, and the claims of a token that is as it should be.
struct World {
    app: TestApp<Tenants>,
    ada: Member,
    key: ProviderKey,
    provider: TestProvider,
    registered: String,
    claims: Value,
}

impl World {
    async fn start() -> Self {
        let (database, keys) = (TestDatabase::create().await, Arc::new(TestKeys::generate("test-key")));
        let settings = [("FEDERATION_ALLOW_LOOPBACK", "on")];
        let app = TestApp::start_with(tenants::routes(), database, keys, &settings).await;
        let ada = app.tenant("acme").await;
        let key = ProviderKey::p256("one");
        let provider = TestProvider::start(&[key.public_jwk()]);
        let body = json!({
            "name": "idp", "issuer": provider.issuer(), "audiences": ["api"], "client_id": "client",
            "role_claim": "groups", "role_map": { "leads": "admin" }, "jit_provisioning": true, "allowed_algorithms": ["ES256"],
        });
        let answer = app.send(Event::post(PROVIDERS, &body).bearer(&ada.token)).await;
        assert_eq!(answer.status, 201, "{}", answer.json());
        let now = app.clock.now().unix_timestamp();
        let claims = json!({
            "iss": provider.issuer(), "sub": "user-1", "aud": "api", "iat": now, "exp": now + 600, "jti": "1",
            "groups": [], "tenant_id": ada.tenant,
        });
        Self { registered: answer.header("location").to_owned(), app, ada, key, provider, claims }
    }

    async fn patch(&self, changes: Value) {
        let event = Event::new(&Method::PATCH, &self.registered).bearer(&self.ada.token).header("if-match", "*");
        let answer = self.app.send(event.json(&changes)).await;
        assert_eq!(answer.status, 200, "{}", answer.json());
    }

    async fn send(&self, token: &str) -> Answer {
        self.app.send(Event::get("/api/v1/tenants/current").bearer(token)).await
    }

    /// The token with one claim set to another value, or taken out by null.
    fn with(&self, claim: &str, value: Value) -> String {
        let mut claims = self.claims.clone();
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(claim)),
            value => claims[claim] = value,
        }
        self.key.sign("ES256", &claims)
    }

    /// The answer to the mistake that the page describes so.
    async fn made(&self, mistake: &str) -> Answer {
        let now = self.claims["iat"].as_i64().unwrap();
        let other = format!("{}/", self.provider.issuer());
        let starts = |start: &str| mistake.starts_with(start);
        let token = match mistake {
            _ if starts("the issuer is registered without the slash") => self.with("iss", json!(other)),
            _ if starts("the token is of another version") => self.with("iss", json!("https://93.184.215.14/v1")),
            _ if starts("`aud` is none of") => self.with("aud", json!("another")),
            _ if starts("the ID token was sent") => {
                let mut claims = self.claims.clone();
                claims["aud"] = json!("client");
                claims["nonce"] = json!("n");
                self.key.sign("ES256", &claims)
            }
            _ if starts("the access token is opaque") => "eF9O351I0AAvHp9wS4jHbqpr2GPQhjnrb2UV1ecOn3".to_owned(),
            _ if starts("it is signed by an algorithm") => {
                let rsa = ProviderKey::rsa("two");
                self.provider.set_keys(&[self.key.public_jwk(), rsa.public_jwk()]);
                rsa.sign("RS256", &self.claims)
            }
            _ if starts("the role claim is neither") => self.with("groups", json!({ "admin": true })),
            _ if starts("the provider is `inactive`") => {
                self.patch(json!({ "status": "inactive" })).await;
                self.with("jti", json!("2"))
            }
            _ if starts("the token has expired") => {
                let mut claims = self.claims.clone();
                (claims["iat"], claims["exp"]) = (json!(now - 700), json!(now - 100));
                self.key.sign("ES256", &claims)
            }
            _ if starts("it lives over 60 minutes") => self.with("exp", json!(now + 3601)),
            _ if starts("nobody is known by this issuer") => {
                self.patch(json!({ "jit_provisioning": false })).await;
                self.with("sub", json!("nobody"))
            }
            _ if starts("the user was deactivated") => {
                let token = self.with("jti", json!("3"));
                assert_eq!(self.send(&token).await.status, 200);
                self.sql("UPDATE users SET status = 'inactive' WHERE id <> $1").await;
                token
            }
            _ if starts("the session of the token was signed out") => {
                let token = self.with("jti", json!("6"));
                assert_eq!(self.send(&token).await.status, 200);
                self.sql("UPDATE sessions SET ended_at = now() WHERE user_id <> $1").await;
                token
            }
            _ if starts("the groups would take the role") => {
                assert_eq!(self.send(&self.with("groups", json!(["leads"]))).await.status, 200);
                self.sql("UPDATE users SET role = 'viewer' WHERE id = $1").await;
                self.with("jti", json!("7"))
            }
            _ if starts("no claim names the tenant") => self.with("tenant_id", Value::Null),
            _ if starts("the claim is no UUID") => self.with("organization_id", json!(Uuid::max())),
            _ if starts("the claim names a tenant that has not") => {
                self.with("tenant_id", json!(self.app.tenant("other").await.tenant))
            }
            _ if starts("the tenant is suspended") => {
                self.sql("UPDATE tenants SET status = 'suspended' WHERE $1 <> id").await;
                self.with("jti", json!("4"))
            }
            _ if starts("the provider cannot be reached") => {
                self.provider.behave(KEYS, Behaviour::Json(500, json!({})));
                self.with("jti", json!("5"))
            }
            _ => panic!("{mistake} is not made here"),
        };
        self.send(&token).await
    }

    async fn sql(&self, text: &'static str) {
        sqlx::query(text).bind(self.ada.user).execute(&mut self.app.superuser().await).await.unwrap();
    }
}

#[tokio::test]
async fn a_token_without_a_mistake_is_taken() {
    let world = World::start().await;
    let answer = world.send(&world.key.sign("ES256", &world.claims)).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
}

#[tokio::test]
async fn every_mistake_is_answered_as_the_page_says() {
    let table = table();
    assert!(table.len() >= 19);
    // What is not only in the token would be in the way of the next one.
    let lasting = ["it is signed by", "the provider", "nobody", "the user", "the session", "the groups", "the tenant"];
    let shared = World::start().await;
    for (mistake, expected) in table {
        let leaves_something = lasting.iter().any(|start| mistake.starts_with(start));
        let answer =
            if leaves_something { World::start().await.made(&mistake).await } else { shared.made(&mistake).await };
        assert_eq!(format!("{} {}", answer.status.as_u16(), answer.code()), expected, "{mistake}: {:?}", answer.log);
    }
}
