//! A user, as callers see it.

pub(crate) use shared::user::User;
