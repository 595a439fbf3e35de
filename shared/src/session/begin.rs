//! How a session begins.

use time::OffsetDateTime;

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
    /// What its password was verified by; none where it was not asked for one.
    pub password_hash: Option<&'a str>,
    /// Its role, as its access token states it.
    pub role: &'a str,
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
                   INSERT INTO sessions (tenant_id, id, user_id, created_at, last_used_at, expires_at, user_agent, source_address)
                   SELECT $1, $2, seen.id, $4, $4, $5, $6, $7 FROM seen
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
            verified.password_hash,
            verified.role,
        )
        .fetch_optional(&mut *transaction)
        .await?;
        Ok(user.map(|user| Begun { token, user }))
    }
}
