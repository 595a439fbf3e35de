//! How a session begins.

use time::OffsetDateTime;
use uuid::Uuid;

use super::{LIFE, Sessions, User};
use crate::{
    auth::{Identity, REFRESH_TOKEN_LIFE, RefreshToken},
    db::Transaction,
    error::{Code, Result},
    origin::Origin,
};

/// A session that has begun, and its user as it is in that moment.
pub struct Begun {
    /// Its first refresh token.
    pub token: RefreshToken,
    /// Its user.
    pub user: User,
}

/// What a user was found to be a moment ago.
#[derive(Debug, Clone, Copy)]
pub struct Verified<'a> {
    /// Its role, as its access token states it.
    pub role: &'a str,
    /// Who vouched for it.
    pub by: By<'a>,
}

/// Who vouches for a user.
#[derive(Debug, Clone, Copy)]
pub enum By<'a> {
    /// The password, which this hash verified.
    Password(&'a str),
    /// An identity provider.
    Provider(&'a AtProvider),
}

/// What a session is at the provider that it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtProvider {
    /// The tenant's provider; none where it is one of the whole deployment.
    pub provider: Option<Uuid>,
    /// Its issuer.
    pub issuer: String,
    /// Who the user is there (`sub`).
    pub subject: String,
    /// What it calls the session (`sid`).
    pub session: Option<String>,
    /// Where a browser is sent to end it there too.
    pub end_session_url: Option<String>,
}

impl Sessions {
    /// Begins a session of `identity`'s user, with its audit record, and ends
    /// those that are one too many. None where the user is not active any more,
    /// or not what was `verified`.
    ///
    /// # Errors
    /// As of any statement.
    pub async fn begin(
        &self,
        transaction: &mut Transaction,
        identity: &Identity,
        origin: &Origin,
        verified: Verified<'_>,
        now: OffsetDateTime,
    ) -> Result<Option<Begun>> {
        let session = identity.session.ok_or(Code::Internal)?;
        let token = RefreshToken { tenant: identity.tenant, session, generation: 0 };
        let (password_hash, at) = match verified.by {
            By::Password(hash) => (Some(hash), None),
            By::Provider(at) => (None, Some(at)),
        };
        let user = sqlx::query_as!(
            User,
            r#"WITH room AS (
                   -- Locks the user's row, before anything else is.
                   SELECT app.end_surplus_sessions($3, $2, $10) AS ended
               ), seen AS (
                   UPDATE users SET last_login_at = $4 FROM room
                    WHERE tenant_id = $1 AND id = $3 AND status = 'active' AND role = $12
                      AND ($11::text IS NULL OR password_hash = $11)
                   RETURNING id, email, display_name, role, status, version, created_at, updated_at, last_login_at
               ), began AS (
                   INSERT INTO sessions (tenant_id, id, user_id, created_at, last_used_at, expires_at, user_agent, source_address,
                                         provider_id, issuer, subject, provider_session, end_session_url)
                   SELECT $1, $2, seen.id, $4, $4, $5, $6, $7, $13, $14, $15, $16, $17 FROM seen
                   RETURNING id
               ), issued AS (
                   INSERT INTO refresh_tokens (tenant_id, session_id, generation, token_hash, created_at, expires_at)
                   SELECT $1, began.id, 0, $8, $4, $9 FROM began
                   RETURNING session_id
               ), audited AS (
                   -- From both: the head of the trail is locked last.
                   SELECT app.audit(began.id) FROM began, issued
               )
               SELECT id AS "id!", email AS "email!", display_name AS "display_name!", role AS "role!", status AS "status!",
                      version AS "version!", created_at AS "created_at!", updated_at AS "updated_at!", last_login_at
                 FROM seen, audited"#,
            identity.tenant.as_uuid(),
            session,
            identity.user,
            now,
            now + LIFE,
            origin.user_agent,
            origin.source_address_text(),
            &self.refresh_tokens.hash(&token),
            now + REFRESH_TOKEN_LIFE,
            self.most,
            password_hash,
            verified.role,
            at.and_then(|at| at.provider),
            at.map(|at| &*at.issuer),
            at.map(|at| &*at.subject),
            at.and_then(|at| at.session.as_deref()),
            at.and_then(|at| at.end_session_url.as_deref()),
        )
        .fetch_optional(&mut *transaction)
        .await?;
        Ok(user.map(|user| Begun { token, user }))
    }
}
