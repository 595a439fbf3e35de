//! For each route that is to be recorded, an event that does what it is for.

use http::Method;
use serde_json::{Value, json};
use shared::{access::Route, testing::Event};

use super::{Admin, Functions, PASSWORD, login, signup, text};

const TODOS: &str = "/api/v1/todos";
const USERS: &str = "/api/v1/users";
const PROVIDERS: &str = "/api/v1/tenants/current/identity-providers";

/// The event, without its bearer; and for a public route one that it refuses.
pub(super) struct Attempt {
    pub(super) done: Event,
    pub(super) refused: Option<Event>,
}

impl From<Event> for Attempt {
    fn from(done: Event) -> Self {
        Self { done, refused: None }
    }
}

impl Attempt {
    pub(super) fn public(done: Event, refused: Event) -> Self {
        Self { done, refused: Some(refused) }
    }
}

impl Functions {
    pub(super) async fn attempt(&self, admin: &Admin, route: &Route) -> Attempt {
        let Route { method, path, .. } = route;
        let plain = Event::new(method, path);
        match (method.as_str(), *path) {
            ("POST", "/api/v1/auth/signup") => {
                let other = format!("{}x", admin.slug);
                Attempt::public(Event::post(path, &signup(&other)), Event::post(path, &signup(&admin.slug)))
            }
            ("POST", "/api/v1/auth/login") => {
                Attempt::public(login(&admin.slug, PASSWORD), login("nobody-here", PASSWORD))
            }
            ("POST", "/api/v1/auth/refresh") => {
                let event = |token: &str| Event::post(path, &json!({ "refresh_token": token }));
                Attempt::public(event(&admin.refresh), event("not-a-token"))
            }
            ("POST", "/api/v1/auth/revoke") => {
                Attempt::public(plain.clone().form(&[("token", &admin.refresh)]), plain.form(&[("tok", "x")]))
            }
            ("POST", "/api/v1/auth/logout") => plain.into(),
            ("POST", "/api/v1/auth/password") => {
                let new = "four ducks paint the harbour";
                plain.json(&json!({ "current_password": PASSWORD, "new_password": new })).into()
            }
            ("POST", "/api/v1/auth/introspect") => plain.form(&[("token", &admin.access)]).into(),
            ("DELETE", "/api/v1/auth/sessions/{id}") => {
                self.done("auth", login(&admin.slug, PASSWORD)).await;
                let list = Event::get("/api/v1/auth/sessions").bearer(&admin.access);
                let session = self.done("auth", list).await.json()["items"][0].clone();
                named(route, &session).into()
            }

            ("GET", "/api/v1/auth/oidc/{provider}/callback") => self.callback(admin).await,
            ("POST", "/api/v1/auth/oidc/{provider}/backchannel-logout") => self.backchannel_logout(admin).await,

            ("PATCH", "/api/v1/tenants/current") => {
                plain.header("if-match", "*").json(&json!({ "name": "New" })).into()
            }
            ("POST", PROVIDERS) => plain.json(&self.provider()).into(),
            (_, path) if path.starts_with(PROVIDERS) => {
                let create = Event::post(PROVIDERS, &self.provider()).bearer(&admin.access);
                let event = named(route, &self.done("tenants", create).await.json());
                if *method == Method::PATCH { event.json(&json!({ "name": "other" })).into() } else { event.into() }
            }

            ("POST", TODOS) => plain.json(&json!({ "title": "Call" })).into(),
            ("PATCH" | "DELETE", "/api/v1/todos/{id}") => {
                let create = Event::post(TODOS, &json!({ "title": "Call" })).bearer(&admin.access);
                let event = named(route, &self.done("todos", create).await.json());
                if *method == Method::PATCH { event.json(&json!({ "completed": true })).into() } else { event.into() }
            }

            ("POST", USERS) => plain.json(&user()).into(),
            (_, path) if path.starts_with(USERS) => {
                let create = Event::post(USERS, &user()).bearer(&admin.access);
                let event = named(route, &self.done("users", create).await.json());
                if *method == Method::PATCH { event.json(&json!({ "role": "viewer" })).into() } else { event.into() }
            }

            ("GET", "/api/v1/audit/export") => plain.into(),
            _ => panic!("{method} {path} is to be recorded and has no case"),
        }
    }

    fn provider(&self) -> Value {
        let issuer = format!("http://{}", self.nobody.address());
        json!({ "name": "entra", "issuer": issuer, "audiences": ["a"], "client_id": "c" })
    }
}

fn user() -> Value {
    json!({ "email": "grace@acme.example", "display_name": "Grace", "role": "analyst" })
}

/// The route of one thing, in whatever version it is.
fn named(route: &Route, thing: &Value) -> Event {
    Event::new(&route.method, &route.path.replace("{id}", &text(thing, "id"))).header("if-match", "*")
}
