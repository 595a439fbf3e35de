//! `POST /api/v1/auth/signup`

use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use shared::{
    Code, Error, Result,
    audit::Action,
    auth::{Identity, REFRESH_TOKEN_LIFE, Role, TenantId},
    db::{OnConstraint, Transaction},
    extract::Json,
    origin::Origin,
    password::NewPassword,
    session::{
        Begun, By, Tokens, Verified,
        cookie::{SetCookie, Transport},
    },
    text::{Email, Slug, Text},
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Auth;

type Name = Text<1, 200>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Signup {
    organization: Organization,
    email: Email,
    password: NewPassword,
    display_name: Option<Name>,
    #[serde(default)]
    transport: Transport,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Organization {
    slug: Slug,
    name: Name,
}

#[derive(Debug, Serialize)]
pub(crate) struct SignedUp {
    #[serde(flatten)]
    tokens: Tokens,
    tenant: Tenant,
}

#[derive(Debug, Serialize)]
struct Tenant {
    id: Uuid,
    slug: Slug,
    name: Name,
    status: &'static str,
}

impl Signup {
    /// What the account will be called, which its password may not be made of.
    fn names(&self) -> [&str; 4] {
        let display_name = self.display_name.as_deref().unwrap_or_default();
        [&self.email, display_name, &self.organization.slug, &self.organization.name]
    }
}

/// Creates a tenant and its first admin, and signs them in.
pub(crate) async fn signup(
    State(auth): State<Auth>,
    origin: Origin,
    headers: HeaderMap,
    Json(request): Json<Signup>,
) -> Result<(StatusCode, SetCookie, Json<SignedUp>)> {
    if !auth.signup_is_open {
        return Err(Code::SignupClosed.into());
    }
    if request.transport == Transport::Cookie {
        auth.sessions.allowed_origins.check(&headers)?;
    }
    request.password.check_against("password", &request.names())?;
    let hash = auth.passwords.hash(&request.password).await?;
    let (clock, now) = (&auth.app.clock, auth.app.clock.now());
    let tenant = TenantId::of_new_tenant(clock.as_ref());
    let identity = Identity { tenant, user: Some(clock.new_id()), session: Some(clock.new_id()) };
    let mut transaction = auth.app.db.begin_as(&identity, Action::AuthSignup, &origin).await?;
    create(&mut transaction, &identity, &request, &hash, now).await?;
    let role = Role::Admin.as_str();
    let access = auth.sessions.access_token(&identity, role, now).await?;
    let verified = Verified { role, by: By::Password(&hash) };
    let begun = auth.sessions.begin(&mut transaction, &identity, &origin, verified, now).await?;
    let Begun { token, user } = begun.ok_or(Code::Internal)?;
    let mut tokens = auth.sessions.tokens(access, &token, REFRESH_TOKEN_LIFE, user);
    transaction.commit().await?;
    let cookie = request.transport.carry(&mut tokens);
    let Organization { slug, name } = request.organization;
    let tenant = Tenant { id: tenant.as_uuid(), slug, name, status: "active" };
    Ok((StatusCode::CREATED, cookie, Json(SignedUp { tokens, tenant })))
}

async fn create(
    transaction: &mut Transaction,
    identity: &Identity,
    request: &Signup,
    password_hash: &str,
    now: OffsetDateTime,
) -> Result<()> {
    let display_name: String = match &request.display_name {
        Some(name) => (**name).to_owned(),
        // An address may be longer than a name.
        None => request.email.chars().take(200).collect(),
    };
    let taken = || Error::new(Code::AlreadyExists).at("organization.slug", "is taken");
    sqlx::query!(
        r#"WITH tenant AS (
               INSERT INTO tenants (id, slug, name, created_at, updated_at) VALUES ($1, $2, $3, $9, $9)
           )
           INSERT INTO users (tenant_id, id, email, display_name, role, password_hash, created_at, updated_at, last_login_at)
           VALUES ($1, $4, $5, $6, $7, $8, $9, $9, $9)"#,
        identity.tenant.as_uuid(),
        &*request.organization.slug,
        &*request.organization.name,
        identity.user,
        &*request.email,
        display_name,
        Role::Admin.as_str(),
        password_hash,
        now,
    )
    .execute(&mut *transaction)
    .await
    .on_constraint("tenants_slug_key", taken)
    .map(drop)
}

#[cfg(test)]
mod tests;
