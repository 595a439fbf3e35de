//! `POST /api/v1/auth/login`

mod right_password;

use axum::extract::State;
use http::HeaderMap;
use serde::Deserialize;
use shared::{
    Code, Result,
    audit::Action,
    auth::{Identity, REFRESH_TOKEN_LIFE, TenantId},
    extract::Json,
    lockout::{Attempted, Reserved},
    origin::Origin,
    password::TypedPassword,
    session::{
        Begun, Tokens,
        cookie::{SetCookie, Transport},
    },
    text::{Email, Slug},
};
use uuid::Uuid;

use right_password::{RightPassword, Signed, Verified};

use crate::Auth;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    tenant: Slug,
    email: Email,
    password: TypedPassword,
    #[serde(default)]
    transport: Transport,
}

/// Signs a user in with a password. Unknown tenant, unknown user, wrong
/// password and disabled user get one answer, after the same work: the attempt
/// reserved, the hash, a record in a trail (of `nobody`, without a tenant).
pub(crate) async fn login(
    State(auth): State<Auth>,
    origin: Origin,
    headers: HeaderMap,
    Json(request): Json<Login>,
) -> Result<(SetCookie, Json<Tokens>)> {
    let Login { tenant, email, password, transport } = request;
    if transport == Transport::Cookie {
        auth.sessions.allowed_origins.check(&headers)?;
    }
    let attempted = Attempted::account(&tenant, &email);
    let account = account(&auth, &attempted, &tenant, &email).await?;
    let reserved = Reserved::read(account.ordinal, account.locked_seconds)?;
    let stored = account.password_hash;
    let matches = auth.passwords.verify(&password, stored.clone()).await?;
    let identity = Identity { tenant: account.tenant_id, user: account.id, session: Some(auth.app.clock.new_id()) };
    let suspended = account.tenant_status == "suspended";
    let right = matches && account.status.as_deref() == Some("active");
    let code = if right { Code::TenantSuspended } else { Code::InvalidCredentials };
    let refused = Identity { session: None, ..identity };
    let (Some(stored), Some(role), true, false) = (stored, account.role, right, suspended) else {
        return Err(reserved.refuse(&auth.app, Action::AuthLogin, &refused, &origin, code).await);
    };
    let now = auth.app.clock.now();
    let right = RightPassword { auth: &auth, password: &password, identity: &identity, attempted: &attempted };
    let verified = Verified { hash: stored, role };
    let Some(Signed { transaction, access, begun }) = right.begin_session(verified, &origin, now).await? else {
        let code = Code::InvalidCredentials;
        return Err(reserved.refuse(&auth.app, Action::AuthLogin, &refused, &origin, code).await);
    };
    let Begun { token, user } = begun;
    let mut tokens = auth.sessions.tokens(access, &token, REFRESH_TOKEN_LIFE, user);
    transaction.commit().await?;
    Ok((transport.carry(&mut tokens), Json(tokens)))
}

/// What is known of a tenant and an address in it: the tenant's own columns
/// (`nobody`'s where it is unknown), the attempt that was reserved, and the
/// user's columns where there is one and the account is not locked.
struct Account {
    tenant_id: TenantId,
    tenant_status: String,
    ordinal: Option<i32>,
    locked_seconds: Option<i32>,
    id: Option<Uuid>,
    role: Option<String>,
    status: Option<String>,
    password_hash: Option<String>,
}

/// Reserves the attempt and looks the account up, in one round trip. Run twice
/// after a lost connection it may reserve two.
async fn account(auth: &Auth, attempted: &Attempted, slug: &str, email: &str) -> Result<Account> {
    let now = auth.app.clock.now();
    let query = || {
        sqlx::query_as!(
            Account,
            r#"SELECT t.tenant_id AS "tenant_id!: TenantId", t.tenant_status AS "tenant_status!",
                      t.ordinal, t.locked_seconds, u.id AS "id?", u.role AS "role?", u.status AS "status?", u.password_hash
                 FROM app.begin_sign_in($1, $2, $3) AS t
                 LEFT JOIN LATERAL (SELECT * FROM users WHERE tenant_id = t.tenant_id AND email = $4 LIMIT 1) AS u ON true"#,
            attempted.key(),
            slug,
            now,
            email,
        )
    };
    auth.app.db.fetch_one(query).await
}

#[cfg(test)]
mod lockout;
#[cfg(test)]
mod stored_hashes;
#[cfg(test)]
mod tests;
