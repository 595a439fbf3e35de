//! The caller of a request, as its verified token says.

use axum::extract::FromRequestParts;
use http::{HeaderMap, header::AUTHORIZATION, request::Parts};
use uuid::Uuid;

use super::{Permission, Role, Subject};
use crate::{
    audit::Action,
    clock::Clock,
    error::{Code, Error, Result},
    origin::Origin,
};

/// A tenant's id. Only what was verified becomes one: a token's claim after
/// its signature, a refresh token after its tag, a row of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(transparent)]
pub struct TenantId(Uuid);

impl TenantId {
    pub(crate) const fn verified(id: Uuid) -> Self {
        Self(id)
    }

    /// The id of a tenant that is about to be created.
    #[must_use]
    pub fn of_new_tenant(clock: &dyn Clock) -> Self {
        Self(clock.new_id())
    }

    /// The id itself, to bind in SQL or to show.
    #[must_use]
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

/// Who a request, or a record of it, is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The tenant.
    pub tenant: TenantId,
    /// The user, if known.
    pub user: Option<Uuid>,
    /// The session, if known.
    pub session: Option<Uuid>,
}

impl From<Subject> for Identity {
    fn from(Subject { tenant, user, session, .. }: Subject) -> Self {
        Self { tenant, user: Some(user), session: Some(session) }
    }
}

/// The caller of an authenticated route: extract it in the handler. It is put
/// there by the route's access check and by nothing else.
#[derive(Debug, Clone)]
pub struct Caller {
    tenant: TenantId,
    user: Uuid,
    session: Uuid,
    role: Role,
    action: Action,
    origin: Origin,
}

impl Caller {
    pub(crate) fn new(tenant: TenantId, user: Uuid, session: Uuid, role: Role, action: Action, origin: Origin) -> Self {
        Self { tenant, user, session, role, action, origin }
    }

    /// The tenant's id, for `app.enter($1, $2)` and `WHERE tenant_id`.
    #[must_use]
    pub const fn tenant_id(&self) -> Uuid {
        self.tenant.as_uuid()
    }

    /// The user's id.
    #[must_use]
    pub const fn user_id(&self) -> Uuid {
        self.user
    }

    /// The session's id, for `app.enter($1, $2)`.
    #[must_use]
    pub const fn session_id(&self) -> Uuid {
        self.session
    }

    /// The role that the token states. A change of role ends the sessions, so
    /// it is the role of today.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Whether the role has `permission`.
    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        self.role.may(permission)
    }

    /// What the route does, as the audit trail names it.
    #[must_use]
    pub const fn action(&self) -> Action {
        self.action
    }

    /// Where the request came from.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Who it is, for a record.
    #[must_use]
    pub const fn identity(&self) -> Identity {
        Identity { tenant: self.tenant, user: Some(self.user), session: Some(self.session) }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self> {
        // Absent only where a public route asks for a caller: a fault of ours.
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Code::Internal.into())
    }
}

/// The bearer token of a request (RFC 6750, 2.1).
///
/// # Errors
/// `AUTH_003` where none was sent, `REQ_001` where two were: an HTTP API joins
/// two `Authorization` headers with a comma, which no token contains.
pub fn bearer_token(headers: &HeaderMap) -> Result<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Code::MissingCredentials)?;
    let text = value.to_str().map_err(|_| Code::InvalidToken)?;
    if values.next().is_some() || text.contains(',') {
        return Err(Error::new(Code::MalformedRequest).detail("Send one Authorization header."));
    }
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => Ok(token.trim()),
        _ => Err(Code::MissingCredentials.into()),
    }
}
