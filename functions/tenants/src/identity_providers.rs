//! An identity provider of the caller's tenant, as its admins see it.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;
mod lock;
pub(crate) mod read;
pub(crate) mod test;
pub(crate) mod update;

#[cfg(test)]
mod secrets;
#[cfg(test)]
mod trial;
#[cfg(test)]
mod trust;

use axum::response::{IntoResponse, Response};
use http::header::ETAG;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::{Code, Error, Result, db::OnConstraint, etag::etag, extract::Json};
use time::OffsetDateTime;
use uuid::Uuid;

/// An identity provider, without its secret.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct IdentityProvider {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) issuer: String,
    pub(crate) audiences: Vec<String>,
    pub(crate) client_id: String,
    pub(crate) has_client_secret: bool,
    pub(crate) tenant_claim: String,
    pub(crate) role_claim: Option<String>,
    pub(crate) role_map: Option<Value>,
    pub(crate) default_role: String,
    pub(crate) jit_provisioning: bool,
    pub(crate) allowed_algorithms: Vec<String>,
    pub(crate) status: String,
    pub(crate) version: i64,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) updated_at: OffsetDateTime,
}

impl IntoResponse for IdentityProvider {
    fn into_response(self) -> Response {
        ([(ETAG, etag(self.version))], Json(self)).into_response()
    }
}

/// Whether a provider signs anybody in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Status {
    #[default]
    Active,
    Inactive,
}

impl Status {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
        }
    }
}

impl TryFrom<String> for Status {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let found = [Self::Active, Self::Inactive].into_iter().find(|status| status.as_str() == name);
        found.ok_or("must be active or inactive")
    }
}

/// What the table's constraints mean to a caller.
pub(crate) fn explained<T>(result: Result<T, sqlx::Error>) -> Result<T> {
    let cause = result.as_ref().err().and_then(sqlx::Error::as_database_error);
    let constraint = cause.and_then(|cause| cause.constraint()).unwrap_or_default().to_owned();
    let taken = |field, message: &'static str| Error::new(Code::AlreadyExists).at(field, message);
    let error = match &*constraint {
        "identity_providers_name_key" => taken("name", "is another provider's of this tenant"),
        "identity_providers_issuer_key" => taken("issuer", "is another provider's of this tenant"),
        "identity_providers_role_map_is_read" => Error::field("role_map", "must not stand without a role_claim"),
        _ => return Ok(result?),
    };
    result.on_constraint(&constraint, || error)
}
