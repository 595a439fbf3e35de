//! The users of the caller's tenant, as its admins run them.

mod activate;
mod create;
mod deactivate;
mod delete;
#[cfg(test)]
mod federated;
mod list;
mod read;
mod standing;
mod state;
mod taken;
#[cfg(test)]
mod trial;
mod update;

use http::Method;
use shared::{
    Routes,
    access::Access::{Needs, NeedsOrSelf},
    audit::Action,
    auth::Permission,
};

pub use state::{Users, UsersConfig};

/// Every route of the group, its access and its audit action.
#[must_use]
pub fn routes() -> Routes<Users> {
    let (read, write) = (Needs(Permission::UsersRead), Needs(Permission::UsersWrite));
    let read_one = NeedsOrSelf(Permission::UsersRead);
    Routes::new()
        .route(Method::GET, "/api/v1/users", read, Action::UsersList, list::list)
        .route(Method::POST, "/api/v1/users", write, Action::UsersCreate, create::create)
        .route(Method::GET, "/api/v1/users/{id}", read_one, Action::UsersRead, read::read)
        .route(Method::PATCH, "/api/v1/users/{id}", write, Action::UsersUpdate, update::update)
        .route(Method::DELETE, "/api/v1/users/{id}", write, Action::UsersDelete, delete::delete)
        .route(Method::POST, "/api/v1/users/{id}/deactivate", write, Action::UsersDeactivate, deactivate::deactivate)
        .route(Method::POST, "/api/v1/users/{id}/activate", write, Action::UsersActivate, activate::activate)
}
