//! `POST /api/v1/auth/introspect` (RFC 7662)

use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::{
    Caller, Result,
    auth::{Permission, RegisteredClaims, Role},
    extract::{Form, Json},
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Auth;

#[derive(Deserialize)]
pub(crate) struct Asked {
    token: String,
    // `token_type_hint` is not needed: the two kinds look different.
}

/// The answer (RFC 7662, 2.2): of a token that is not good, only that.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Introspection {
    active: bool,
    #[serde(flatten)]
    token: Option<Described>,
}

/// What a good token says.
#[derive(Debug, Serialize)]
struct Described {
    token_use: TokenUse,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// The role's permissions, separated by blanks.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<Uuid>,
    sub: Uuid,
    iat: i64,
    exp: i64,
    sid: Uuid,
    tenant_id: Uuid,
    role: String,
}

/// What a token is for. A resource server must ask for `access_token`: the
/// other one is good at `POST /auth/refresh` and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum TokenUse {
    AccessToken,
    RefreshToken,
}

/// Says whether a token is good at this moment: signed or made by us, not
/// expired, its session, user and tenant alive. Of another tenant's token a
/// caller learns what it learns of no token. One round trip.
pub(crate) async fn introspect(
    caller: Caller,
    State(auth): State<Auth>,
    Form(asked): Form<Asked>,
) -> Result<Json<Introspection>> {
    let presented = Presented::read(&auth, &asked.token).await?.filter(|token| token.tenant == caller.tenant_id());
    let live = live(&auth, &caller, presented.as_ref()).await?;
    let token = presented.zip(live).and_then(|(presented, live)| presented.answer(live));
    Ok(Json(Introspection { active: token.is_some(), token }))
}

/// A token whose signature, or tag, is good.
struct Presented {
    tenant: Uuid,
    session: Uuid,
    /// Those of an access token.
    claims: Option<RegisteredClaims>,
    /// That of a refresh token.
    hash: Option<[u8; 32]>,
}

impl Presented {
    async fn read(auth: &Auth, text: &str) -> Result<Option<Self>> {
        if let Some(token) = auth.refresh_tokens.decode(text) {
            let hash = Some(auth.refresh_tokens.hash(&token));
            return Ok(Some(Self { tenant: token.tenant.as_uuid(), session: token.session, claims: None, hash }));
        }
        let Some(subject) = auth.app.verifier.subject(text, auth.app.clock.now()).await? else { return Ok(None) };
        let claims = RegisteredClaims::of_verified(text);
        Ok(Some(Self { tenant: subject.tenant.as_uuid(), session: subject.session, claims, hash: None }))
    }

    fn answer(self, live: Live) -> Option<Described> {
        let Live { user_id: sub, role, issued_at, expires_at } = live;
        let (sid, tenant_id) = (self.session, self.tenant);
        if let Some(RegisteredClaims { iss, aud, jti, iat, exp }) = self.claims {
            let permissions: Vec<_> = Role::try_from(&*role).ok()?.permissions().map(Permission::as_str).collect();
            let (token_use, token_type, scope) = (TokenUse::AccessToken, Some("Bearer"), Some(permissions.join(" ")));
            let (iss, aud, jti) = (Some(iss), Some(aud), Some(jti));
            return Some(Described {
                token_use,
                token_type,
                scope,
                iss,
                aud,
                jti,
                sub,
                iat,
                exp,
                sid,
                tenant_id,
                role,
            });
        }
        let (iat, exp) = (issued_at?.unix_timestamp(), expires_at?.unix_timestamp());
        let (token_use, token_type, scope) = (TokenUse::RefreshToken, None, None);
        let (iss, aud, jti) = (None, None, None);
        Some(Described { token_use, token_type, scope, iss, aud, jti, sub, iat, exp, sid, tenant_id, role })
    }
}

/// What the database says of a token: its session and user live.
struct Live {
    user_id: Uuid,
    role: String,
    /// The times of a refresh token that may be used.
    issued_at: Option<OffsetDateTime>,
    expires_at: Option<OffsetDateTime>,
}

async fn live(auth: &Auth, caller: &Caller, presented: Option<&Presented>) -> Result<Option<Live>> {
    let query = || {
        sqlx::query_as!(
            Live,
            r#"SELECT s.user_id, s.role, s.issued_at AS "issued_at?", s.expires_at AS "expires_at?"
                 FROM app.enter($1, $2) AS caller,
              LATERAL (SELECT s.user_id, u.role, r.created_at AS issued_at, r.expires_at
                         FROM sessions s
                         JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id AND u.status = 'active'
                         LEFT JOIN refresh_tokens r ON r.tenant_id = s.tenant_id AND r.session_id = s.id
                               AND r.generation = s.generation AND r.token_hash = $4 AND r.expires_at > now()
                        WHERE s.tenant_id = caller.tenant_id AND s.id = $3
                          AND app.session_lives(s.ended_at, s.over_at)
                        LIMIT 1) AS s"#,
            caller.tenant_id(),
            caller.session_id(),
            presented.map(|token| token.session),
            presented.and_then(|token| token.hash).map(|hash| hash.to_vec()),
        )
    };
    auth.app.db.fetch_optional(query).await
}

#[cfg(test)]
mod tests;
