//! What the table's constraints mean to a caller.

use shared::{Code, Error, Result, db::OnConstraint};

/// An address is one user's of a tenant.
pub(crate) fn explained<T>(result: Result<T, sqlx::Error>) -> Result<T> {
    let taken = || Error::new(Code::AlreadyExists).at("email", "is another user's of this tenant");
    result.on_constraint("users_email_key", taken)
}
