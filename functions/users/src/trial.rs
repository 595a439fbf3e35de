//! What the tests of this group share.

use http::Method;
use serde_json::{Value, json};
use shared::testing::{Answer, Event, Member, TestApp};
use uuid::Uuid;

use crate::Users;

pub(crate) const USERS: &str = "/api/v1/users";
pub(crate) const PASSWORD: &str = "nine-quiet-otters-row-north";

pub(crate) fn path(user: Uuid) -> String {
    format!("{USERS}/{user}")
}

/// A new user, as a request states it.
pub(crate) fn grace() -> Value {
    json!({ "email": "grace@acme.example", "display_name": "Grace Hopper", "role": "analyst" })
}

/// `body` with one field set to another value.
pub(crate) fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

pub(crate) async fn post(app: &TestApp<Users>, admin: &Member, body: &Value) -> Answer {
    app.send(Event::post(USERS, body).bearer(&admin.token)).await
}

pub(crate) async fn get(app: &TestApp<Users>, member: &Member, target: &str) -> Answer {
    app.send(Event::get(target).bearer(&member.token)).await
}

/// Creates a user and returns it with its path.
pub(crate) async fn created(app: &TestApp<Users>, admin: &Member, body: &Value) -> (Value, String) {
    let answer = post(app, admin, body).await;
    assert_eq!(answer.status, 201, "{:?}", answer.log);
    (answer.json(), answer.header("location").to_owned())
}

pub(crate) fn patch(target: &str, admin: &Member, version: &str, changes: &Value) -> Event {
    Event::new(&Method::PATCH, target).bearer(&admin.token).header("if-match", version).json(changes)
}

pub(crate) fn delete(target: &str, admin: &Member, version: &str) -> Event {
    Event::new(&Method::DELETE, target).bearer(&admin.token).header("if-match", version)
}

/// `deactivate` or `activate`.
pub(crate) fn set(act: &str, target: &str, admin: &Member, version: &str) -> Event {
    Event::new(&Method::POST, &format!("{target}/{act}")).bearer(&admin.token).header("if-match", version)
}

/// What a member's own token gets: an error's code, or "none".
pub(crate) async fn own(app: &TestApp<Users>, member: &Member) -> String {
    get(app, member, &path(member.user)).await.code()
}

/// One value, read behind the function's back.
pub(crate) async fn one<T>(app: &TestApp<Users>, query: &'static str, id: Uuid) -> T
where
    T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    sqlx::query_scalar(query).bind(id).fetch_one(&mut app.superuser().await).await.unwrap()
}

/// The last record of a tenant: action, outcome, reason and object.
pub(crate) async fn last_record(app: &TestApp<Users>, tenant: Uuid) -> (String, String, Option<String>, Option<Uuid>) {
    app.trail(tenant).await.pop().unwrap()
}
