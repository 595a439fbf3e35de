//! Todos: owner-scoped records, the archetype of everything that is one user's own.

mod create;
mod delete;
mod list;
mod lock;
mod read;
mod state;
mod todo;
mod update;

use http::Method;
use shared::{Routes, access::Access::Needs, audit::Action, auth::Permission};

pub use state::Todos;

/// Every route of the group, its access and its audit action.
#[must_use]
pub fn routes() -> Routes<Todos> {
    let (read, write) = (Needs(Permission::TodosRead), Needs(Permission::TodosWrite));
    Routes::new()
        .route(Method::GET, "/api/v1/todos", read, Action::TodosList, list::list)
        .route(Method::POST, "/api/v1/todos", write, Action::TodosCreate, create::create)
        .route(Method::GET, "/api/v1/todos/{id}", read, Action::TodosRead, read::read)
        .route(Method::PATCH, "/api/v1/todos/{id}", write, Action::TodosUpdate, update::update)
        .route(Method::DELETE, "/api/v1/todos/{id}", write, Action::TodosDelete, delete::delete)
}
