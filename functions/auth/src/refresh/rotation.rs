//! The rotation of a refresh token, under the lock of its session.

use shared::{
    Code, Error, Result,
    audit::Action,
    auth::{Identity, REFRESH_TOKEN_LIFE, RefreshToken},
    db::Transaction,
    origin::Origin,
    refusal::refuse,
    session::Tokens,
    user::User,
};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::Auth;

/// How long a token that was just rotated yields its successor once more: two
/// tabs, or an answer that was lost.
const GRACE: Duration = Duration::seconds(10);

/// Gives the successor of `token`, or ends its session where it was used before.
pub(super) async fn rotate(auth: &Auth, token: &RefreshToken, origin: &Origin) -> Result<Tokens> {
    let identity = super::of(token);
    let now = auth.app.clock.now();
    let mut transaction = auth.app.db.begin_as(&identity, Action::AuthRefresh, origin).await?;
    let Some(session) = session_of(auth, &mut transaction, token).await? else {
        drop(transaction);
        let error = Error::new(Code::InvalidRefreshToken);
        return Err(refuse(&auth.app, Action::AuthRefresh, &identity, origin, error).await);
    };
    let successor = token.successor();
    match session.verdict(token, now) {
        Verdict::Current => issue(auth, &mut transaction, &successor, now).await?,
        Verdict::JustRotated => {}
        Verdict::Reused => {
            end(&mut transaction, token, session.user_id).await?;
            transaction.commit().await?;
            return Err(Error::new(Code::InvalidRefreshToken).counted_as("refresh_token_reused").recorded());
        }
    }
    let identity = Identity { user: Some(session.user_id), ..identity };
    let access = auth.sessions.access_token(&identity, &session.role, now).await?;
    let user = used(&mut transaction, &successor, session.user_id, now).await?;
    transaction.commit().await?;
    Ok(auth.sessions.tokens(access, &successor, session.life_of_successor(now), user))
}

/// What a token of a live session is worth.
enum Verdict {
    /// It is the session's one token.
    Current,
    /// It was a moment ago, and its successor is given once more.
    JustRotated,
    /// It was stolen, or its successor was.
    Reused,
}

struct Session {
    user_id: Uuid,
    role: String,
    generation: i32,
    expires_at: OffsetDateTime,
    rotated_at: Option<OffsetDateTime>,
}

impl Session {
    fn verdict(&self, token: &RefreshToken, now: OffsetDateTime) -> Verdict {
        let in_grace = self.rotated_at.is_some_and(|rotated_at| now - rotated_at <= GRACE);
        match self.generation - token.generation {
            0 => Verdict::Current,
            1 if in_grace => Verdict::JustRotated,
            _ => Verdict::Reused,
        }
    }

    fn life_of_successor(&self, now: OffsetDateTime) -> Duration {
        let issued_at = self.rotated_at.unwrap_or(now);
        self.expires_at.min(issued_at + REFRESH_TOKEN_LIFE) - now
    }
}

/// The session of `token` if both live; of a token that was rotated, also after
/// its own time: it must not come back. Both rows are locked until the
/// transaction ends: who waited here sees what the one before wrote to either.
async fn session_of(auth: &Auth, transaction: &mut Transaction, token: &RefreshToken) -> Result<Option<Session>> {
    let session = sqlx::query_as!(
        Session,
        r#"SELECT s.user_id, u.role, s.generation, s.expires_at, r.rotated_at
             FROM sessions s
             JOIN refresh_tokens r ON r.tenant_id = s.tenant_id AND r.session_id = s.id AND r.generation = $3
             JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id AND u.status = 'active'
             JOIN tenants t ON t.id = s.tenant_id AND t.status = 'active'
            WHERE s.tenant_id = $1 AND s.id = $2 AND app.session_lives(s.ended_at, s.over_at)
              AND r.token_hash = $4 AND (r.expires_at > now() OR r.rotated_at IS NOT NULL)
              FOR UPDATE OF s, r"#,
        token.tenant.as_uuid(),
        token.session,
        token.generation,
        &auth.sessions.refresh_tokens.hash(token),
    )
    .fetch_optional(&mut *transaction)
    .await?;
    Ok(session)
}

/// Stores the successor's hash and makes it the session's current token.
async fn issue(
    auth: &Auth,
    transaction: &mut Transaction,
    successor: &RefreshToken,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query!(
        r#"WITH rotated AS (
               UPDATE refresh_tokens SET rotated_at = $5 WHERE tenant_id = $1 AND session_id = $2 AND generation = $3 - 1
           ), issued AS (
               INSERT INTO refresh_tokens (tenant_id, session_id, generation, token_hash, created_at, expires_at)
               SELECT $1, $2, $3, $4, $5, least($6, s.expires_at) FROM sessions s WHERE s.tenant_id = $1 AND s.id = $2
           )
           UPDATE sessions SET generation = $3 WHERE tenant_id = $1 AND id = $2"#,
        successor.tenant.as_uuid(),
        successor.session,
        successor.generation,
        &auth.sessions.refresh_tokens.hash(successor),
        now,
        now + REFRESH_TOKEN_LIFE,
    )
    .execute(&mut *transaction)
    .await?;
    Ok(())
}

/// Notes that the session was used, with its audit record.
async fn used(transaction: &mut Transaction, token: &RefreshToken, user: Uuid, now: OffsetDateTime) -> Result<User> {
    let user = sqlx::query_as!(
        User,
        r#"WITH named AS (SELECT set_config('app.user_id', ($3::uuid)::text, true) AS user_id
           ), used AS (
               UPDATE sessions SET last_used_at = $4 WHERE tenant_id = $1 AND id = $2 RETURNING id
           ), audited AS (SELECT app.audit(used.id) FROM named, used)
           SELECT u.id, u.email, u.display_name, u.role, u.status, u.version, u.created_at, u.updated_at, u.last_login_at
             FROM users u, audited WHERE u.tenant_id = $1 AND u.id = $3"#,
        token.tenant.as_uuid(),
        token.session,
        user,
        now,
    )
    .fetch_one(&mut *transaction)
    .await?;
    Ok(user)
}

/// Ends the session, because a token of it was used twice, and records it.
async fn end(transaction: &mut Transaction, token: &RefreshToken, user: Uuid) -> Result<()> {
    sqlx::query!(
        r#"WITH ended AS (
               UPDATE sessions SET ended_at = now() WHERE tenant_id = $1 AND id = $2 RETURNING id
           )
           SELECT app.audit_append('auth.refresh', 'denied', $4, $3, id, id,
                                   nullif(current_setting('app.source_address'), ''),
                                   nullif(current_setting('app.request_id'), '')) AS seq
             FROM ended"#,
        token.tenant.as_uuid(),
        token.session,
        user,
        Code::InvalidRefreshToken.as_str(),
    )
    .fetch_one(&mut *transaction)
    .await?;
    Ok(())
}
