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
    #[serde(flatten)]
    access: Option<Access>,
    sub: Uuid,
    iat: i64,
    exp: i64,
    sid: Uuid,
    tenant_id: Uuid,
    role: String,
}

/// What only an access token says.
#[derive(Debug, Serialize)]
struct Access {
    token_type: &'static str,
    /// The role's permissions, separated by blanks.
    scope: String,
    iss: String,
    aud: String,
    jti: Uuid,
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
    kind: Kind,
}

enum Kind {
    Access(RegisteredClaims),
    /// By what is stored of it.
    Refresh([u8; 32]),
}

impl Presented {
    async fn read(auth: &Auth, text: &str) -> Result<Option<Self>> {
        if let Some(token) = auth.sessions.refresh_tokens.decode(text) {
            let kind = Kind::Refresh(auth.sessions.refresh_tokens.hash(&token));
            return Ok(Some(Self { tenant: token.tenant.as_uuid(), session: token.session, kind }));
        }
        let token = auth.app.verifier.introspect(text, auth.app.clock.now()).await?;
        Ok(token.map(|(subject, claims)| Self {
            tenant: subject.tenant.as_uuid(),
            session: subject.session,
            kind: Kind::Access(claims),
        }))
    }

    fn hash(&self) -> Option<Vec<u8>> {
        match &self.kind {
            Kind::Access(_) => None,
            Kind::Refresh(hash) => Some(hash.to_vec()),
        }
    }

    fn answer(self, live: Live) -> Option<Described> {
        let Self { tenant: tenant_id, session: sid, kind } = self;
        let Live { user_id: sub, role, issued_at, expires_at } = live;
        let (token_use, access, iat, exp) = match kind {
            Kind::Access(RegisteredClaims { iss, aud, jti, iat, exp }) => {
                let permissions: Vec<_> = Role::try_from(&*role).ok()?.permissions().map(Permission::as_str).collect();
                let access = Access { token_type: "Bearer", scope: permissions.join(" "), iss, aud, jti };
                (TokenUse::AccessToken, Some(access), iat, exp)
            }
            Kind::Refresh(_) => {
                (TokenUse::RefreshToken, None, issued_at?.unix_timestamp(), expires_at?.unix_timestamp())
            }
        };
        Some(Described { token_use, access, sub, iat, exp, sid, tenant_id, role })
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
            presented.and_then(Presented::hash),
        )
    };
    auth.app.db.fetch_optional(query).await
}

#[cfg(test)]
mod tests;
