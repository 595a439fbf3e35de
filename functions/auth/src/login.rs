//! `POST /api/v1/auth/login`

use axum::extract::State;
use http::HeaderMap;
use serde::Deserialize;
use shared::{
    Code, Result,
    audit::Action,
    auth::{Identity, REFRESH_TOKEN_LIFE, TenantId},
    db::Transaction,
    extract::Json,
    lockout::{Attempted, Reserved},
    origin::Origin,
    password::TypedPassword,
    text::{Email, Slug},
};
use time::OffsetDateTime;
use uuid::Uuid;

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
    let hash = Verified::renew(&auth, &password, stored).await?;
    let now = auth.app.clock.now();
    let access = session::access_token(&auth, &identity, &user.role, now).await?;
    let mut transaction = auth.app.db.begin_signed_in(&identity, Action::AuthLogin, &origin, &attempted).await?;
    hash.keep(&mut transaction, &identity).await?;
    let begun = session::begin(&auth, &mut transaction, &identity, &origin, hash.current(), now).await?;
    let Some(token) = begun else {
        drop(transaction);
        let code = Code::InvalidCredentials;
        return Err(reserved.refuse(&auth.app, Action::AuthLogin, &refused, &origin, code).await);
    };
    user.last_login_at = Some(now);
    let mut tokens = session::tokens(&auth, access, &token, REFRESH_TOKEN_LIFE, user);
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

/// The hash that the password was verified by and, where it was made otherwise
/// than we make them now, a new one of the same password.
struct Verified {
    stored: String,
    renewed: Option<String>,
}

impl Verified {
    /// Made before the transaction begins, since a hash takes longer than all
    /// of it.
    async fn renew(auth: &Auth, password: &TypedPassword, stored: String) -> Result<Self> {
        Ok(Self { renewed: auth.passwords.upgrade(password, &stored).await?, stored })
    }

    /// The hash that the account has from now on.
    fn current(&self) -> &str {
        self.renewed.as_deref().unwrap_or(&self.stored)
    }

    /// Puts the new hash in the place of the old one, unless the password has
    /// been changed in the meantime.
    async fn keep(&self, transaction: &mut Transaction, identity: &Identity) -> Result<()> {
        let Some(renewed) = &self.renewed else { return Ok(()) };
        sqlx::query!(
            "UPDATE users SET password_hash = $4 WHERE tenant_id = $1 AND id = $2 AND password_hash = $3",
            identity.tenant.as_uuid(),
            identity.user,
            self.stored,
            renewed,
        )
        .execute(&mut *transaction)
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod lockout;
#[cfg(test)]
mod stored_hashes;
#[cfg(test)]
mod tests;
