//! What must be withstood, tried on a whole function: an event in, an answer
//! out, and the database as it is afterwards.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod last_admin;
mod permissions;
mod search_plan;
mod walls;

use http::Method;
use serde_json::{Value, json};
use shared::testing::{Answer, Event, Member, TestApp, TestDatabase, TestKeys};
use users::Users;
use uuid::Uuid;

const LIST: &str = "/api/v1/users";

async fn start() -> TestApp<Users> {
    TestApp::start(users::routes()).await
}

/// The function, as it serves many requests at once, each on its own connection.
async fn concurrent() -> TestApp<Users> {
    let keys = TestKeys::generate("test-key").into();
    let settings = [("AWS_LAMBDA_MAX_CONCURRENCY", "12")];
    TestApp::start_with(users::routes(), TestDatabase::create().await, keys, &settings).await
}

fn path(user: Uuid) -> String {
    format!("{LIST}/{user}")
}

async fn get(app: &TestApp<Users>, member: &Member, target: &str) -> Answer {
    app.send(Event::get(target).bearer(&member.token)).await
}

/// The ways in which an admin may cease to be one.
#[derive(Debug, Clone, Copy)]
enum Ending {
    Demoted,
    Deactivated,
    Deleted,
}

impl Ending {
    const ALL: [Self; 3] = [Self::Demoted, Self::Deactivated, Self::Deleted];

    /// The request of `caller` that does it to `target`.
    fn event(self, caller: &Member, target: Uuid) -> Event {
        let event = match self {
            Self::Demoted => Event::new(&Method::PATCH, &path(target)).json(&json!({ "role": "viewer" })),
            Self::Deactivated => Event::new(&Method::POST, &format!("{}/deactivate", path(target))),
            Self::Deleted => Event::new(&Method::DELETE, &path(target)),
        };
        event.bearer(&caller.token).header("if-match", "*")
    }
}

/// One value, read behind the function's back.
async fn one<T>(app: &TestApp<Users>, query: &'static str, id: Uuid) -> T
where
    T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    sqlx::query_scalar(query).bind(id).fetch_one(&mut app.superuser().await).await.unwrap()
}

fn items(answer: &Answer) -> Vec<Value> {
    answer.json()["items"].as_array().unwrap().clone()
}
