//! `POST /api/v1/users`

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header::LOCATION};
use serde::Deserialize;
use shared::{
    Caller, Db, Result,
    auth::{Role, provider::Issuer},
    clock::SharedClock,
    idempotency::{Begun, Idempotent},
    password::{NewPassword, Passwords},
    text::{Email, Text},
    user::User,
};

use crate::taken::explained;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUser {
    email: Email,
    display_name: Text<1, 200>,
    role: Role,
    /// Absent for somebody who signs in with an identity provider alone.
    password: Option<NewPassword>,
    /// Who it is at an identity provider: for one that creates no accounts.
    identity: Option<FederatedIdentity>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FederatedIdentity {
    issuer: Issuer,
    subject: Text<1, 255>,
}

/// Creates a user in the caller's tenant. Three round trips, and one more with
/// a password.
pub(crate) async fn create(
    caller: Caller,
    State(db): State<Db>,
    State(clock): State<SharedClock>,
    State(passwords): State<Passwords>,
    request: Idempotent<NewUser>,
) -> Result<Response> {
    let new = &request.body;
    // Before the transaction, since it takes longer than all of it. A replay
    // needs none of it to succeed.
    let hash = hash(&db, &caller, &passwords, new).await;
    let mut transaction = match request.begin(&db, &caller).await? {
        Begun::New(transaction) => transaction,
        Begun::Replay(answer) => return Ok(answer),
    };
    let created = sqlx::query_as!(
        User,
        r#"WITH created AS (
               INSERT INTO users (tenant_id, id, email, display_name, role, password_hash, created_at, updated_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
               RETURNING *
           ), known AS (
               -- Whatever the provider says of the role from now on is newer.
               INSERT INTO federated_identities (tenant_id, issuer, subject, user_id, asserted_at, created_at)
               SELECT $1, $8, $9, id, 'epoch', $7 FROM created WHERE $8::text IS NOT NULL
               RETURNING user_id
           ), audited AS (SELECT app.audit(id) FROM created, (SELECT count(*) FROM known) AS known)
           SELECT id, email, display_name, role, status, version, created_at, updated_at, last_login_at
             FROM created, audited"#,
        caller.tenant_id(),
        clock.new_id(),
        &*new.email,
        &*new.display_name,
        new.role.as_str(),
        hash?,
        clock.now(),
        new.identity.as_ref().map(|identity| &*identity.issuer),
        new.identity.as_ref().map(|identity| &*identity.subject),
    )
    .fetch_one(&mut transaction)
    .await;
    let user = explained(created)?;
    let location = format!("/api/v1/users/{}", user.id);
    let answer = (StatusCode::CREATED, [(LOCATION, location)], user).into_response();
    request.commit(transaction, &caller, answer).await
}

/// The hash of the new user's password, if it has one that is taken.
async fn hash(db: &Db, caller: &Caller, passwords: &Passwords, new: &NewUser) -> Result<Option<String>> {
    let Some(password) = &new.password else { return Ok(None) };
    let organization = db
        .fetch_one(|| {
            sqlx::query!(
                r#"SELECT t.slug, t.name
                     FROM app.enter($1, $2) AS caller,
                  LATERAL (SELECT slug, name FROM tenants WHERE id = caller.tenant_id LIMIT 1) AS t"#,
                caller.tenant_id(),
                caller.session_id(),
            )
        })
        .await?;
    let names = [&*new.email, &*new.display_name, &*organization.slug, &*organization.name];
    password.check_against("password", &names)?;
    passwords.hash(password).await.map(Some)
}

#[cfg(test)]
mod tests;
