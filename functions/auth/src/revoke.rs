//! `POST /api/v1/auth/revoke` (RFC 7009)

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use shared::{
    Result,
    audit::Action,
    auth::{Identity, Subject},
    extract::Form,
    origin::Origin,
};

use crate::Auth;

#[derive(Deserialize)]
pub(crate) struct Asked {
    token: String,
    // `token_type_hint` is not needed: the two kinds look different.
}

/// Ends the session that a token belongs to: who holds the token may, as there
/// are no client credentials (RFC 7009, 2.1, a public client). A refresh token
/// that was rotated ends it too: the client whose last answer was lost has no
/// other. Whatever else is sent, nothing happens, and the answer is the same.
pub(crate) async fn revoke(State(auth): State<Auth>, origin: Origin, Form(asked): Form<Asked>) -> Result<StatusCode> {
    let Some(identity) = holder(&auth, &asked.token).await? else { return Ok(StatusCode::OK) };
    let mut transaction = auth.app.db.begin_as(&identity, Action::AuthRevoke, &origin).await?;
    sqlx::query!(
        r#"WITH ended AS (
               UPDATE sessions SET ended_at = now() WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL
               RETURNING id, user_id
           ), named AS (SELECT id, set_config('app.user_id', user_id::text, true) AS user_id FROM ended)
           SELECT app.audit(id) AS seq FROM named"#,
        identity.tenant.as_uuid(),
        identity.session,
    )
    .fetch_optional(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(StatusCode::OK)
}

/// Whose session it is, by a token whose signature, or tag, is good.
async fn holder(auth: &Auth, text: &str) -> Result<Option<Identity>> {
    if let Some(token) = auth.sessions.refresh_tokens.decode(text) {
        return Ok(Some(Identity { tenant: token.tenant, user: None, session: Some(token.session) }));
    }
    let token = auth.app.verifier.introspect(text, auth.app.clock.now()).await?;
    Ok(token.map(|(Subject { tenant, user, session, .. }, _)| Identity {
        tenant,
        user: Some(user),
        session: Some(session),
    }))
}

#[cfg(test)]
mod tests;
