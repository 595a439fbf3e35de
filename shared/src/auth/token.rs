//! Access tokens of ours: JWTs (RFC 7519) in the profile of RFC 9068, signed
//! with one of [`super::keys`]. [`super::Signer`] issues them,
//! [`super::Verifier`] checks them.

use time::Duration;
use uuid::Uuid;

use super::{Role, TenantId};

/// How long an access token lives.
pub const LIFE: Duration = Duration::minutes(15);
/// The `typ` of an access token (RFC 9068, 2.1).
pub(super) const TYPE: &str = "at+jwt";

/// Whom an access token speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// The tenant.
    pub tenant: TenantId,
    /// The user.
    pub user: Uuid,
    /// The session.
    pub session: Uuid,
    /// The user's role.
    pub role: Role,
}
