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
    text::{Email, Slug},
};
use time::OffsetDateTime;
use uuid::Uuid;

use right_password::RightPassword;

use crate::{
    Auth,
    cookie::{SetCookie, Transport},
    session::{self, Tokens},
    user::User,
};

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
        auth.allowed_origins.check(&headers)?;
    }
    let attempted = Attempted::account(&tenant, &email);
    let account = account(&auth, &attempted, &tenant, &email).await?;
    let reserved = Reserved::read(account.ordinal, account.locked_seconds)?;
    let stored = account.password_hash.clone();
    let matches = auth.passwords.verify(&password, stored.clone()).await?;
    let identity = Identity { tenant: account.tenant_id, user: account.id, session: Some(auth.app.clock.new_id()) };
    let suspended = account.tenant_status == "suspended";
    let user = account.into_user().filter(|user| matches && user.status == "active");
    let code = if user.is_some() { Code::TenantSuspended } else { Code::InvalidCredentials };
    let refused = Identity { session: None, ..identity };
    let (Some(mut user), Some(stored), false) = (user, stored, suspended) else {
        return Err(reserved.refuse(&auth.app, Action::AuthLogin, &refused, &origin, code).await);
    };
    let now = auth.app.clock.now();
    let right = RightPassword { auth: &auth, password: &password, identity: &identity, attempted: &attempted };
    let Some((transaction, token)) = right.begin_session(stored, &origin, now).await? else {
        let code = Code::InvalidCredentials;
        return Err(reserved.refuse(&auth.app, Action::AuthLogin, &refused, &origin, code).await);
    };
    user.last_login_at = Some(now);
    let mut tokens = session::tokens(&auth, &token, REFRESH_TOKEN_LIFE, user, now).await?;
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
    email: Option<String>,
    display_name: Option<String>,
    role: Option<String>,
    status: Option<String>,
    password_hash: Option<String>,
    version: Option<i64>,
    created_at: Option<OffsetDateTime>,
    updated_at: Option<OffsetDateTime>,
    last_login_at: Option<OffsetDateTime>,
}

/// Reserves the attempt and looks the account up, in one round trip. Run twice
/// after a lost connection it may reserve two.
async fn account(auth: &Auth, attempted: &Attempted, slug: &str, email: &str) -> Result<Account> {
    let now = auth.app.clock.now();
    let query = || {
        sqlx::query_as!(
            Account,
            r#"SELECT t.tenant_id AS "tenant_id!: TenantId", t.tenant_status AS "tenant_status!",
                      t.ordinal, t.locked_seconds,
                      u.id AS "id?", u.email AS "email?", u.display_name AS "display_name?", u.role AS "role?",
                      u.status AS "status?", u.password_hash, u.version AS "version?", u.created_at AS "created_at?",
                      u.updated_at AS "updated_at?", u.last_login_at
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

impl Account {
    fn into_user(self) -> Option<User> {
        Some(User {
            id: self.id?,
            email: self.email?,
            display_name: self.display_name?,
            role: self.role?,
            status: self.status?,
            version: self.version?,
            created_at: self.created_at?,
            updated_at: self.updated_at?,
            last_login_at: self.last_login_at,
        })
    }
}

#[cfg(test)]
mod lockout;
#[cfg(test)]
mod stored_hashes;
#[cfg(test)]
mod tests;
