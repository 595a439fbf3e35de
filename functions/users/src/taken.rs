//! What the tables' constraints mean to a caller.

use shared::{Code, Error, Result, db::OnConstraint};

/// An address is one user's of a tenant, and so is who somebody is at a provider.
pub(crate) fn explained<T>(result: Result<T, sqlx::Error>) -> Result<T> {
    let cause = result.as_ref().err().and_then(sqlx::Error::as_database_error);
    let constraint = cause.and_then(|cause| cause.constraint()).unwrap_or_default().to_owned();
    let field = match &*constraint {
        "users_email_key" => "email",
        "federated_identities_pkey" => "identity",
        _ => return Ok(result?),
    };
    let taken = || Error::new(Code::AlreadyExists).at(field, "is another user's of this tenant");
    result.on_constraint(&constraint, taken)
}
