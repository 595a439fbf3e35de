//! Users whom a provider vouches for, and what an admin's act is worth against
//! the provider's tokens that are about.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use shared::testing::{Answer, Event, Member, TestApp, TestDatabase, TestIssuer, TestKeys, federated::ON_LOOPBACK};
use sqlx::{Executor, query_scalar};
use uuid::Uuid;

use crate::{
    Users,
    trial::{USERS, delete, get, patch, path, set},
};

struct World {
    app: TestApp<Users>,
    ada: Member,
    idp: TestIssuer,
}

impl World {
    async fn start(changes: &Value) -> Self {
        let (database, keys) = (TestDatabase::create().await, Arc::new(TestKeys::generate("test-key")));
        let app = TestApp::start_with(crate::routes(), database, keys, &[ON_LOOPBACK]).await;
        let (ada, idp) = (app.tenant("acme").await, TestIssuer::start("ES256"));
        idp.register(&app.database, ada.tenant, changes).await;
        Self { app, ada, idp }
    }

    fn claims(&self, changes: &Value) -> Value {
        let mut claims = self.idp.claims(&self.app, self.ada.tenant, "bob");
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        claims
    }

    fn token(&self, changes: &Value) -> String {
        self.idp.sign(&self.claims(changes))
    }

    async fn list(&self, token: &str) -> Answer {
        self.app.send(Event::get(USERS).bearer(token)).await
    }

    /// The user that a token has made.
    async fn bob(&self) -> Uuid {
        let query = "SELECT user_id FROM federated_identities WHERE tenant_id = $1";
        query_scalar(query).bind(self.ada.tenant).fetch_one(&mut self.app.superuser().await).await.unwrap()
    }

    async fn count(&self, query: &'static str) -> i64 {
        query_scalar(query).fetch_one(&mut self.app.superuser().await).await.unwrap()
    }
}

#[tokio::test]
async fn r5_a_user_who_was_deactivated_and_then_deleted_does_not_come_back_by_an_old_token() {
    for acts in [&["deactivate"][..], &["demote"], &[]] {
        let world = World::start(&json!({ "default_role": "analyst" })).await;
        let (ada, token) = (&world.ada, world.token(&json!({ "sid": "theirs" })));
        let first = world.list(&token).await.code();
        assert!(first == "none" || first == "PERM_001", "{first}");
        let bob = world.bob().await;
        for act in acts {
            let event = match *act {
                "demote" => patch(&path(bob), ada, "*", &json!({ "role": "viewer" })),
                act => set(act, &path(bob), ada, "*"),
            };
            assert_eq!(world.app.send(event).await.status, 200, "{act}");
        }
        assert_eq!(world.app.send(delete(&path(bob), ada, "*")).await.status, 204);
        for _ in 0..3 {
            get_own(&world, bob, &token).await;
        }
        assert_eq!(world.count("SELECT count(*) FROM users WHERE status = 'active'").await, 1, "{acts:?}");
    }
}

async fn get_own(world: &World, user: Uuid, token: &str) {
    let answer = world.app.send(Event::get(&path(user)).bearer(token)).await;
    assert_eq!(answer.code(), "AUTH_006", "{:?}", answer.log);
}

/// The provider creates accounts, and the token was never seen here.
#[tokio::test]
async fn r5_a_token_that_was_issued_before_its_user_was_deleted_creates_no_account() {
    let world = World::start(&json!({ "default_role": "viewer" })).await;
    world.list(&world.token(&json!({ "jti": "seen" }))).await;
    let (bob, unseen) = (world.bob().await, world.token(&json!({ "jti": "unseen" })));
    assert_eq!(world.app.send(delete(&path(bob), &world.ada, "*")).await.status, 204);
    for _ in 0..2 {
        get_own(&world, bob, &unseen).await;
    }
    assert_eq!(world.count("SELECT count(*) FROM users").await, 2, "Ada, and what is left of Bob");
    let left = "SELECT count(*) FROM app.outdated_tokens o WHERE o::text LIKE '%bob%'";
    assert_eq!(world.count(left).await, 0, "a hash holds nobody's name");
    world.app.clock.advance(time::Duration::minutes(2));
    let later = world.list(&world.token(&json!({ "jti": "later" }))).await.code();
    assert_eq!(later, "PERM_001", "who comes back is somebody new");
    assert_ne!(world.bob().await, bob);
}

/// The deletion is committed after the token was found to be good.
#[tokio::test]
async fn r5_a_token_that_waits_for_its_users_deletion_creates_no_account() {
    let world = World::start(&json!({ "default_role": "viewer" })).await;
    world.list(&world.token(&json!({ "jti": "seen" }))).await;
    let (bob, unseen) = (world.bob().await, world.token(&json!({ "jti": "unseen" })));
    let mut deleting = world.app.superuser().await;
    deleting
        .execute(
            "BEGIN; SELECT set_config('app.tenant_id', tenant_id::text, true),
                           app.delete_user(user_id, now() + interval '1 hour')
               FROM federated_identities",
        )
        .await
        .unwrap();
    let committed = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        deleting.execute("COMMIT").await.unwrap();
    };
    tokio::join!(get_own(&world, bob, &unseen), committed);
    assert_eq!(world.count("SELECT count(*) FROM users").await, 2);
}

/// An admin links the subject while its token is about to create the account.
#[tokio::test]
async fn a_token_whose_subject_is_linked_meanwhile_is_of_the_user_whom_the_admin_made() {
    for email in ["bob@acme.example", "other@acme.example"] {
        let world = World::start(&json!({ "default_role": "viewer" })).await;
        let token = world.token(&json!({ "email": "bob@acme.example", "email_verified": true }));
        let mut linking = world.app.superuser().await;
        // As `POST /users` does it, on its way to the commit.
        let link = "INSERT INTO users (tenant_id, id, email, display_name, role) VALUES ($1, $2, $3, 'Bob', 'viewer')";
        let known = "INSERT INTO federated_identities (tenant_id, issuer, subject, user_id, asserted_at, created_at)
                     SELECT tenant_id, issuer, 'bob', $1, 'epoch', now() FROM identity_providers";
        let bob = Uuid::from_u128(7);
        linking.execute("BEGIN").await.unwrap();
        sqlx::query(link).bind(world.ada.tenant).bind(bob).bind(email).execute(&mut linking).await.unwrap();
        sqlx::query(known).bind(bob).execute(&mut linking).await.unwrap();
        let committed = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            linking.execute("COMMIT").await.unwrap();
        };
        let own = Event::get(&path(bob)).bearer(&token);
        let (answer, ()) = tokio::join!(world.app.send(own), committed);
        assert_eq!((answer.status.as_u16(), world.bob().await), (200, bob), "{email}: {:?}", answer.log);
        assert_eq!(world.count("SELECT count(*) FROM users").await, 2, "{email}");
    }
}

#[tokio::test]
async fn an_admins_change_of_role_is_not_undone_by_a_token_that_was_issued_before() {
    let world = World::start(&json!({ "role_claim": "groups", "role_map": { "leads": "admin" } })).await;
    let claims = world.claims(&json!({ "sid": "theirs", "groups": ["leads"] }));
    let token = world.idp.sign(&claims);
    assert_eq!(world.list(&token).await.code(), "none");
    let bob = world.bob().await;
    world.app.clock.advance(time::Duration::seconds(30));
    let demoted = world.app.send(patch(&path(bob), &world.ada, "*", &json!({ "role": "viewer" }))).await;
    assert_eq!(demoted.status, 200, "{:?}", demoted.log);
    let mut sibling = claims.clone();
    sibling["jti"] = json!("another");
    for token in [&token, &token, &world.idp.sign(&sibling)] {
        assert_eq!(world.list(token).await.code(), "AUTH_006");
    }
    let role = get(&world.app, &world.ada, &path(bob)).await.json()["role"].clone();
    assert_eq!(role, "viewer");
    world.app.clock.advance(time::Duration::seconds(30));
    let next = world.token(&json!({ "sid": "theirs", "groups": ["leads"] }));
    assert_eq!(world.list(&next).await.code(), "none", "the next token counts again");
}

/// A deletion locks the user, then what is known of its tokens.
#[tokio::test]
async fn a_newer_token_waits_for_the_user_before_it_locks_what_is_known_of_its_tokens() {
    let world = World::start(&json!({})).await;
    world.list(&world.token(&json!({}))).await;
    let bob = world.bob().await;
    world.app.clock.advance(time::Duration::seconds(30));
    let newer = world.token(&json!({}));
    let mut deleting = world.app.superuser().await;
    deleting.execute("BEGIN; SELECT * FROM users ORDER BY id FOR NO KEY UPDATE").await.unwrap();
    let identity_is_free = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        deleting.execute("SELECT * FROM federated_identities FOR UPDATE NOWAIT").await.map(drop).unwrap();
        deleting.execute("COMMIT").await.unwrap();
    };
    let own = Event::get(&path(bob)).bearer(&newer);
    let (answer, ()) = tokio::join!(world.app.send(own), identity_is_free);
    assert_eq!(answer.status, 200, "{:?}", answer.log);
}

/// The one is demoted by its provider, and demotes the other one at that moment.
#[tokio::test]
async fn of_two_last_admins_one_of_whom_the_provider_demotes_at_that_moment_one_stays() {
    let world =
        World::start(&json!({ "role_claim": "groups", "role_map": { "leads": "admin" }, "default_role": "viewer" }))
            .await;
    let first = world.token(&json!({ "sid": "first", "groups": ["leads"] }));
    assert_eq!(world.list(&first).await.code(), "none");
    let other = world.app.another(crate::routes()).await;
    let admins = "SELECT count(*) FROM users WHERE role = 'admin' AND status = 'active'";
    for round in 0..6 {
        world.app.clock.advance(time::Duration::seconds(30));
        let leads = world.token(&json!({ "sid": format!("leads-{round}"), "groups": ["leads"] }));
        assert_eq!(world.list(&leads).await.code(), "none");
        world.app.clock.advance(time::Duration::seconds(30));
        let viewer = world.token(&json!({ "sid": format!("viewer-{round}"), "groups": [] }));
        assert_eq!(world.count(admins).await, 2);
        let bob = Member { token: leads, ..world.ada.clone() };
        let mut holding = world.app.superuser().await;
        holding.execute("BEGIN; SELECT * FROM users ORDER BY id FOR NO KEY UPDATE").await.unwrap();
        let pause = |is_first: bool| tokio::time::sleep(Duration::from_millis(if is_first { 0 } else { 150 }));
        let provider = async {
            pause(round % 2 == 0).await;
            world.list(&viewer).await
        };
        let demotion = async {
            pause(round % 2 == 1).await;
            other.send(patch(&path(world.ada.user), &bob, "*", &json!({ "role": "viewer" }))).await
        };
        let release = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            holding.execute("COMMIT").await.unwrap();
        };
        let (by_provider, by_bob, ()) = tokio::join!(provider, demotion, release);
        assert_eq!(world.count(admins).await, 1, "{} {}", by_provider.code(), by_bob.code());
        let again = "UPDATE users SET role = 'admin'";
        world.app.superuser().await.execute(again).await.unwrap();
    }
}
