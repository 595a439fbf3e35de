//! A signed-in user of an organization of its own, made by real calls.

use std::cell::{Cell, RefCell};

use serde_json::{Value, json};

use crate::event::{Body, Event};
use crate::function::Function;
use crate::process::unix_ms;
use crate::setting::{Distance, Setting};
use crate::{Result, progress};

/// How many todos the user has.
pub(crate) const ROWS: usize = 20;

/// The password of whoever signs up.
pub(crate) const PASSWORD: &str = "measured vermilion harbour 7";

/// `POST /auth/signup`.
pub(crate) fn signup(slug: &str) -> Vec<u8> {
    let mut event = Event::new("POST", "/api/v1/auth/signup");
    event.body = Some(Body::Json(json!({
        "organization": { "slug": slug, "name": "Bench" },
        "email": "ada@example.com",
        "password": PASSWORD,
        "display_name": "Ada"
    })));
    event.to_bytes()
}

/// The user.
pub(crate) struct Session {
    slug: String,
    token: String,
    refresh_token: RefCell<String>,
    created: Cell<u64>,
}

impl Session {
    /// Signs up and creates [`ROWS`] todos.
    ///
    /// # Errors
    /// `auth` or `todos` fails or refuses.
    pub(crate) fn open(setting: &Setting) -> Result<Self> {
        progress("signing up");
        let slug = format!("bench-{}", unix_ms());
        let mut auth = Function::start(setting, "auth", Distance::Near)?;
        let answer: Value = serde_json::from_str(&auth.expect(201, &signup(&slug))?.body)?;
        let token = answer["access_token"].as_str().ok_or("signup gave no access_token")?.to_owned();
        let session = Self { slug, token, refresh_token: RefCell::default(), created: Cell::new(0) };
        session.answered(&answer);
        let mut todos = Function::start(setting, "todos", Distance::Near)?;
        for _ in 0..ROWS {
            todos.expect(201, &session.create())?;
        }
        let listed: Value = serde_json::from_str(&todos.expect(200, &session.list())?.body)?;
        if listed["items"].as_array().map(Vec::len) != Some(ROWS) {
            return Err(format!("GET /todos did not list the {ROWS} rows that were created").into());
        }
        Ok(session)
    }

    /// The same user with a fresh access token, which lasts 15 minutes.
    ///
    /// # Errors
    /// `auth` fails or refuses.
    pub(crate) fn renew(&mut self, setting: &Setting) -> Result<()> {
        let mut auth = Function::start(setting, "auth", Distance::Near)?;
        let answer: Value = serde_json::from_str(&auth.expect(200, &self.login())?.body)?;
        answer["access_token"].as_str().ok_or("login gave no access_token")?.clone_into(&mut self.token);
        self.answered(&answer);
        Ok(())
    }

    /// Keeps the refresh token of an answer: each is used once.
    pub(crate) fn answered(&self, answer: &Value) {
        answer["refresh_token"].as_str().unwrap_or_default().clone_into(&mut self.refresh_token.borrow_mut());
    }

    /// `POST /auth/refresh`.
    pub(crate) fn refresh(&self) -> Vec<u8> {
        let mut event = Event::new("POST", "/api/v1/auth/refresh");
        event.body = Some(Body::Json(json!({ "refresh_token": *self.refresh_token.borrow() })));
        event.to_bytes()
    }

    /// `GET /auth/me`.
    pub(crate) fn me(&self) -> Vec<u8> {
        Event { token: Some(&self.token), ..Event::new("GET", "/api/v1/auth/me") }.to_bytes()
    }

    /// `POST /auth/introspect` of its own access token.
    pub(crate) fn introspect(&self) -> Vec<u8> {
        let body = Some(Body::Form(format!("token={}", self.token)));
        Event { token: Some(&self.token), body, ..Event::new("POST", "/api/v1/auth/introspect") }.to_bytes()
    }

    /// `POST /auth/login`.
    pub(crate) fn login(&self) -> Vec<u8> {
        let mut event = Event::new("POST", "/api/v1/auth/login");
        let credentials = json!({ "tenant": self.slug, "email": "ada@example.com", "password": PASSWORD });
        event.body = Some(Body::Json(credentials));
        event.to_bytes()
    }

    /// `GET /todos`, one page of [`ROWS`].
    pub(crate) fn list(&self) -> Vec<u8> {
        let query = format!("limit={ROWS}");
        Event { query: &query, token: Some(&self.token), ..Event::new("GET", "/api/v1/todos") }.to_bytes()
    }

    /// `POST /todos`, each with another title.
    pub(crate) fn create(&self) -> Vec<u8> {
        self.create_with(false)
    }

    /// `POST /todos`, each with another title and another idempotency key.
    pub(crate) fn create_keyed(&self) -> Vec<u8> {
        self.create_with(true)
    }

    fn create_with(&self, key_too: bool) -> Vec<u8> {
        let number = self.created.replace(self.created.get() + 1);
        let key = format!("{}-{number}", self.slug);
        let headers = [("idempotency-key", key.as_str())];
        Event {
            token: Some(&self.token),
            headers: if key_too { &headers } else { &[] },
            body: Some(Body::Json(json!({ "title": format!("Check valve {number}") }))),
            ..Event::new("POST", "/api/v1/todos")
        }
        .to_bytes()
    }
}
