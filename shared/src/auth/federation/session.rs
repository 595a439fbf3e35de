//! The session that a provider's access tokens share.

use aws_lc_rs::digest::{Context, SHA256};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Request, Trusted, rules::Asserted, token::Presented};
use crate::{
    auth::{Role, Subject, TenantId},
    clock::Clock,
    db::Db,
    error::{Code, Error, Result},
    text::{Email, Text},
};

/// What came of it.
pub(super) enum Begun {
    /// The session lives.
    Lives(Subject),
    /// Provider or user became another meanwhile: the token is to be judged anew.
    Changed,
    /// There is no such tenant.
    NoTenant,
}

/// What `app.begin_bearer_session` answers.
struct Row {
    session_id: Option<Uuid>,
    user_id: Option<Uuid>,
    role: Option<String>,
    refused: Option<String>,
}

/// Begins the session of a token that passed, or finds it. One round trip. To
/// be sent twice, where a connection was lost, does no harm.
///
/// # Errors
/// `AUTH_005`, `AUTH_006`, `PERM_001`, `TEN_004`, `SYS_002`.
pub(super) async fn begin(
    db: &Db,
    clock: &dyn Clock,
    trusted: &Trusted<'_>,
    token: &Presented<'_>,
    said: &Asserted,
    request: &Request<'_>,
) -> Result<Begun> {
    let (provider, now) = (trusted.provider, clock.now());
    let (user, session) = (clock.new_id(), clock.new_id());
    let time = |seconds| OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| Code::InvalidToken);
    let (issued, expires) = (time(said.times.iat)?, time(said.times.exp)?);
    let key = key(&provider.issuer, token, said);
    // An address that the provider has not verified may be anybody's.
    let is_verified = token.claims.get("email_verified").is_some_and(|verified| *verified == true);
    let email = token.claims.text("email", 254).filter(|_| is_verified);
    let email = email.and_then(|text| Email::try_from(text.to_owned()).ok());
    let name = token.claims.text("name", 200).and_then(|text| Text::<1, 200>::try_from(text.to_owned()).ok());
    let row = db
        .fetch_one(|| {
            sqlx::query_as!(
                Row,
                "SELECT session_id, user_id, role, refused
                   FROM app.begin_bearer_session($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
                                                 $16, $17, $18, $19, $20, $21)",
                said.tenant,
                request.action.as_str(),
                request.origin.request_id.as_str(),
                request.origin.source_address_text().unwrap_or_default(),
                request.origin.user_agent.as_deref(),
                trusted.owner.map(|_| provider.id),
                provider.version,
                &*provider.issuer,
                said.subject,
                said.sid.as_deref(),
                key.as_slice(),
                issued,
                expires,
                said.role.map(Role::as_str),
                provider.default_role.as_str(),
                provider.jit_provisioning,
                email.as_deref(),
                name.as_deref(),
                user,
                session,
                now,
            )
        })
        .await?;
    let refused = match row.refused.as_deref() {
        None => return lives(said, &row).map(Begun::Lives),
        Some("changed") => return Ok(Begun::Changed),
        Some("no_tenant") => return Ok(Begun::NoTenant),
        Some("suspended") => Code::TenantSuspended.into(),
        Some("unknown") => Code::InvalidCredentials.into(),
        Some("inactive" | "outdated" | "ended") => Code::SessionEnded.into(),
        Some("last_admin") => Error::new(Code::PermissionDenied)
            .detail("The provider takes the role of admin from the last admin of the organization."),
        Some(_) => Code::Internal.into(),
    };
    Err(refused)
}

fn lives(said: &Asserted, row: &Row) -> Result<Subject> {
    let Row { session_id: Some(session), user_id: Some(user), role: Some(role), .. } = row else {
        return Err(Code::Internal.into());
    };
    let role = Role::try_from(role.as_str()).map_err(|()| Error::new(Code::Internal))?;
    Ok(Subject { tenant: TenantId::verified(said.tenant), user: *user, session: *session, role })
}

/// What the tokens of a session have in common: the provider's own session, or
/// else the one token. Each part has its length before it.
fn key(issuer: &str, token: &Presented<'_>, said: &Asserted) -> [u8; 32] {
    let (kind, text) = match (&said.sid, &said.jti) {
        (Some(session), _) => ("sid", session.as_str()),
        (None, Some(id)) => ("jti", id.as_str()),
        // Not the signature: of one token there can be several good ones.
        (None, None) => ("token", token.message),
    };
    let mut context = Context::new(&SHA256);
    for part in [&said.tenant.to_string(), issuer, &said.subject, kind, text] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut key = [0; 32];
    key.copy_from_slice(context.finish().as_ref());
    key
}
