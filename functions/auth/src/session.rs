//! A session's tokens, and how a session begins.

use serde::Serialize;
use shared::{
    Code, Error, Result,
    auth::{ACCESS_TOKEN_LIFE, Identity, REFRESH_TOKEN_LIFE, RefreshToken, Role, Subject},
    db::Transaction,
    layers::Origin,
};
use time::{Duration, OffsetDateTime};

use crate::{Auth, user::User};

/// How long a session lasts, however often it is refreshed.
const LIFE: Duration = Duration::days(30);

/// The answer to sign-up, sign-in and refresh (RFC 6749, 5.1).
#[derive(Debug, Serialize)]
pub(crate) struct Tokens {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
    refresh_token: String,
    refresh_expires_in: i64,
    user: User,
}

/// Begins a session of `identity`'s user, with its audit record.
pub(crate) async fn begin(
    auth: &Auth,
    transaction: &mut Transaction,
    identity: &Identity,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<RefreshToken> {
    let session = identity.session.ok_or(Code::Internal)?;
    let token = RefreshToken { tenant: identity.tenant, session, generation: 0 };
    sqlx::query!(
        r#"WITH began AS (
               INSERT INTO sessions (tenant_id, id, user_id, created_at, last_used_at, expires_at, user_agent, source_address)
               VALUES ($1, $2, $3, $4, $4, $5, $6, $7)
               RETURNING id
           ), issued AS (
               INSERT INTO refresh_tokens (tenant_id, session_id, generation, token_hash, created_at, expires_at)
               VALUES ($1, $2, 0, $8, $4, $9)
           ), seen AS (
               UPDATE users SET last_login_at = $4 WHERE tenant_id = $1 AND id = $3
           )
           SELECT app.audit(id) AS seq FROM began"#,
        identity.tenant.as_uuid(),
        session,
        identity.user,
        now,
        now + LIFE,
        origin.user_agent,
        origin.source_address_text(),
        &auth.refresh_tokens.hash(&token),
        now + REFRESH_TOKEN_LIFE,
    )
    .fetch_one(&mut **transaction)
    .await?;
    Ok(token)
}

/// Makes the pair of tokens that a client gets.
pub(crate) fn tokens(auth: &Auth, token: &RefreshToken, user: User, now: OffsetDateTime) -> Result<Tokens> {
    let role = Role::try_from(user.role.as_str()).map_err(|()| Error::new(Code::Internal))?;
    let subject = Subject { tenant: token.tenant, user: user.id, session: token.session, role };
    Ok(Tokens {
        access_token: auth.signer.sign(&subject, now, auth.app.clock.new_id())?.0,
        token_type: "Bearer",
        expires_in: ACCESS_TOKEN_LIFE.whole_seconds(),
        refresh_token: auth.refresh_tokens.encode(token),
        refresh_expires_in: REFRESH_TOKEN_LIFE.whole_seconds(),
        user,
    })
}
