//! `POST /api/v1/auth/password`

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use shared::{
    Caller, Code, Error, Result,
    audit::Details,
    extract::Json,
    lockout::Attempted,
    password::{NewPassword, TypedPassword},
    text::{Email, Slug},
};

use crate::Auth;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    current_password: TypedPassword,
    new_password: NewPassword,
}

/// Changes the caller's password and ends its other sessions. The current one
/// is asked for, and counted like an attempt to sign in: a token that was
/// stolen opens neither.
pub(crate) async fn password(
    caller: Caller,
    State(auth): State<Auth>,
    Json(Change { current_password, new_password }): Json<Change>,
) -> Result<StatusCode> {
    if new_password.is(&current_password) {
        return Err(Error::field("new_password", "must be another one than the current one"));
    }
    let account = account(&auth, &caller).await?;
    new_password.check_against("new_password", &account.names())?;
    let attempted = account.attempted()?;
    let reserved = attempted.reserve(&auth.app).await?;
    if !auth.passwords.verify(&current_password, account.password_hash.clone()).await? {
        let (identity, error) = (caller.identity(), Code::InvalidCredentials.into());
        return Err(reserved.lock(&auth.app, caller.action(), &identity, caller.origin(), error).await);
    }
    let hash = auth.passwords.hash(&new_password).await?;
    let mut transaction = auth.app.db.begin(&caller).await?;
    let ended = sqlx::query_scalar!(
        r#"WITH cleared AS (
               -- First, as a sign-in locks the counter, then the user. Undone where nothing changes.
               SELECT app.clear_attempts($6) AS attempts
           ), changed AS (
               -- Unless it was changed in the meantime: then the current one is another.
               UPDATE users SET password_hash = $3 FROM cleared
                WHERE tenant_id = $1 AND id = $2 AND password_hash = $4
               RETURNING id
           )
           SELECT app.sign_out_others(id, $5)::integer AS "ended!" FROM changed"#,
        caller.tenant_id(),
        caller.user_id(),
        hash,
        account.password_hash,
        caller.session_id(),
        attempted.key(),
    )
    .fetch_optional(&mut transaction)
    .await?
    .ok_or(Code::InvalidCredentials)?;
    let details = Details::SessionsEnded { sessions_ended: ended.unsigned_abs() };
    transaction.commit_recorded(caller.action(), caller.user_id(), &details).await?;
    Ok(StatusCode::NO_CONTENT)
}

struct Account {
    email: String,
    display_name: String,
    password_hash: Option<String>,
    slug: String,
    name: String,
}

async fn account(auth: &Auth, caller: &Caller) -> Result<Account> {
    let query = || {
        sqlx::query_as!(
            Account,
            r#"SELECT a.*
                 FROM app.enter($1, $2) AS caller,
              LATERAL (SELECT u.email, u.display_name, u.password_hash, t.slug, t.name
                         FROM users u JOIN tenants t ON t.id = u.tenant_id
                        WHERE u.tenant_id = caller.tenant_id AND u.id = caller.user_id
                        LIMIT 1) AS a"#,
            caller.tenant_id(),
            caller.session_id(),
        )
    };
    auth.app.db.fetch_one(query).await
}

impl Account {
    /// What the account is called, which its password may not be made of.
    fn names(&self) -> [&str; 4] {
        [&self.email, &self.display_name, &self.slug, &self.name]
    }

    /// Where attempts at it are counted, at sign-in and here alike.
    fn attempted(&self) -> Result<Attempted> {
        let (slug, email) = (Slug::try_from(self.slug.clone()), Email::try_from(self.email.clone()));
        let (Ok(slug), Ok(email)) = (slug, email) else { return Err(Code::Internal.into()) };
        Ok(Attempted::account(&slug, &email))
    }
}

#[cfg(test)]
mod tests;
