//! The route table, walked: what changes something, or reads what is protected,
//! leaves exactly one record, done or refused.
//!
//! A new route of that kind fails this test until it has its case below: an
//! event that does what the route is for.

mod cases;
mod refusals;
mod sign_in;

use std::{collections::HashSet, sync::Arc};

use http::Method;
use serde_json::{Value, json};
use shared::{
    App,
    access::{Access, Route},
    audit::Action,
    auth::Role,
    clock::Clock,
    testing::{Answer, ClosedPort, Event, TestApp, TestDatabase, TestIssuer, TestKeys},
};
use uuid::Uuid;

use crate::groups;

/// What asks by POST and changes nothing (RFC 7662): a success is not recorded.
const READS_BY_POST: [Action; 1] = [Action::AuthIntrospect];

const PASSWORD: &str = "nine-quiet-otters-row-north";

/// Every function that has such routes, over one database.
struct Functions {
    audit: TestApp<App>,
    auth: TestApp<auth::Auth>,
    oidc: TestApp<oidc::Oidc>,
    tenants: TestApp<tenants::Tenants>,
    todos: TestApp<todos::Todos>,
    users: TestApp<users::Users>,
    /// A provider that signs people in.
    idp: TestIssuer,
    /// Where nobody answers: an identity provider that is asked to no avail.
    nobody: ClosedPort,
}

/// An admin of an organization of its own, signed in.
struct Admin {
    slug: String,
    tenant: Uuid,
    access: String,
    refresh: String,
}

impl Functions {
    async fn start() -> Self {
        let (database, keys) = (Arc::new(TestDatabase::create().await), Arc::new(TestKeys::generate("test-key")));
        let settings = [("FEDERATION_ALLOW_LOOPBACK", "on")];
        Self {
            audit: TestApp::start_with(audit::routes(), database.clone(), keys.clone(), &settings).await,
            auth: TestApp::start_with(auth::routes(), database.clone(), keys.clone(), &settings).await,
            oidc: TestApp::start_with(oidc::routes(), database.clone(), keys.clone(), &settings).await,
            tenants: TestApp::start_with(tenants::routes(), database.clone(), keys.clone(), &settings).await,
            todos: TestApp::start_with(todos::routes(), database.clone(), keys.clone(), &settings).await,
            users: TestApp::start_with(users::routes(), database, keys, &settings).await,
            idp: TestIssuer::start("ES256"),
            nobody: ClosedPort::take(),
        }
    }

    async fn send(&self, group: &str, event: Event) -> Answer {
        match group {
            "audit" => self.audit.send(event).await,
            "auth" => self.auth.send(event).await,
            "oidc" => self.oidc.send(event).await,
            "tenants" => self.tenants.send(event).await,
            "todos" => self.todos.send(event).await,
            "users" => self.users.send(event).await,
            _ => panic!("{group} has routes to be recorded, and is not started here"),
        }
    }

    /// Sends what must succeed, and returns its answer.
    async fn done(&self, group: &str, event: Event) -> Answer {
        let answer = self.send(group, event).await;
        assert!(answer.status.is_success(), "{} {:?}", answer.status, answer.log);
        answer
    }

    /// A new one. `auth` needs an account; to the others a session is enough.
    async fn admin(&self, group: &str) -> Admin {
        let slug = format!("acme-{}", self.auth.clock.new_id().simple());
        if !["auth", "oidc"].contains(&group) {
            let member = self.auth.tenant(&slug).await;
            return Admin { slug, tenant: member.tenant, access: member.token, refresh: String::new() };
        }
        let answer = self.done("auth", Event::post("/api/v1/auth/signup", &signup(&slug))).await.json();
        let tenant = text(&answer["tenant"], "id").parse().unwrap();
        Admin { slug, tenant, access: text(&answer, "access_token"), refresh: text(&answer, "refresh_token") }
    }

    /// The token of a session that was ended.
    async fn ended(&self, admin: &Admin) -> String {
        let member = self.auth.member(admin.tenant, Role::Admin).await;
        let end = sqlx::query("UPDATE sessions SET ended_at = now() WHERE id = $1").bind(member.session);
        end.execute(&mut self.auth.superuser().await).await.unwrap();
        member.token
    }

    /// What was recorded since `before`, which it adds to.
    async fn recorded(&self, before: &mut HashSet<(Uuid, i64)>) -> Vec<(String, String)> {
        let records: Vec<(Uuid, i64, String, String)> =
            sqlx::query_as("SELECT tenant_id, seq, action, outcome FROM audit_events")
                .fetch_all(&mut self.auth.superuser().await)
                .await
                .unwrap();
        let new = records
            .into_iter()
            .filter_map(|(tenant, seq, action, outcome)| before.insert((tenant, seq)).then_some((action, outcome)));
        new.collect()
    }
}

fn signup(slug: &str) -> Value {
    json!({ "organization": { "slug": slug, "name": "Acme" }, "email": "ada@acme.example", "password": PASSWORD })
}

fn login(slug: &str, password: &str) -> Event {
    let body = json!({ "tenant": slug, "email": "ada@acme.example", "password": password });
    Event::post("/api/v1/auth/login", &body)
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap().to_owned()
}

fn is_to_be_recorded(route: &Route) -> bool {
    route.action.entry().records_success() || !matches!(route.method, Method::GET | Method::HEAD)
}

#[tokio::test]
async fn every_route_that_changes_something_leaves_one_record_done_or_refused() {
    let functions = Box::pin(Functions::start()).await;
    let mut walked = 0;
    for (group, routes) in groups() {
        for route in routes.into_iter().filter(is_to_be_recorded) {
            let name = format!("{} {}", route.method, route.path);
            let admin = functions.admin(group).await;
            let attempt = functions.attempt(&admin, &route).await;
            let (done, refused) = if route.access == Access::Public {
                (attempt.done, attempt.refused.unwrap_or_else(|| panic!("{name}: what does it refuse?")))
            } else {
                let refused = attempt.done.clone().bearer(&functions.ended(&admin).await);
                (attempt.done.bearer(&admin.access), refused)
            };
            let mut before = HashSet::new();
            functions.recorded(&mut before).await;

            let answer = functions.send(group, refused).await;
            assert!(answer.status.is_client_error(), "{name}: {} {:?}", answer.status, answer.log);
            let recorded = functions.recorded(&mut before).await;
            let [(action, outcome)] = &*recorded else { panic!("{name} refused: {recorded:?}") };
            assert_eq!((&**action, outcome != "success"), (route.action.as_str(), true), "{name} refused");

            functions.done(group, done).await;
            let recorded = functions.recorded(&mut before).await;
            if READS_BY_POST.contains(&route.action) {
                assert_eq!(recorded, [], "{name} done");
            } else {
                let success = (route.action.as_str().to_owned(), "success".to_owned());
                assert_eq!(recorded, [success], "{name} done");
            }
            walked += 1;
        }
    }
    assert!(walked >= 18, "{walked}");
}

#[test]
fn what_is_no_get_is_catalogued_as_a_change() {
    for (_, routes) in groups() {
        for Route { method, path, action, .. } in routes {
            let reads = matches!(method, Method::GET | Method::HEAD) || READS_BY_POST.contains(&action);
            assert!(reads || action.entry().records_success(), "{method} {path}: {action:?}");
        }
    }
}
