//! A session of somebody whom an identity provider vouches for.

use time::OffsetDateTime;
use uuid::Uuid;

use super::{AtProvider, Begun, By, Sessions, Verified};
use crate::{
    App,
    audit::Action,
    auth::{AccessToken, Identity, Role, TenantId},
    db::Transaction,
    error::{Code, Error, Result},
    origin::Origin,
};

/// How often a sign-in looks again because the user was changed meanwhile.
const ATTEMPTS: usize = 3;

/// What a provider says of somebody, in a token that was verified.
#[derive(Debug, Clone)]
pub struct Person {
    /// The tenant that the provider speaks for.
    pub tenant: TenantId,
    /// Who it is there. Never the e-mail: that may be given to somebody else.
    pub at: AtProvider,
    /// The provider's settings that the token was checked by.
    pub provider_version: i64,
    /// When the token was issued.
    pub asserted_at: OffsetDateTime,
    /// The role that the provider's claims give; none where none is read.
    pub stated_role: Option<Role>,
    /// The role of whom no claim gives one, at the first sign-in.
    pub default_role: Role,
    /// Whether an unknown user gets an account.
    pub may_create: bool,
    /// The address to write to, if the provider vouches for it.
    pub email: Option<String>,
    /// What to call the user.
    pub display_name: Option<String>,
}

/// A session that has begun, with its access token, but is not committed.
pub struct Signed {
    /// What is to be committed.
    pub transaction: Transaction,
    /// Its access token.
    pub access: AccessToken,
    /// Its refresh token and its user.
    pub begun: Begun,
    /// Whose it is.
    pub identity: Identity,
}

/// Why no session began.
#[derive(Debug)]
pub struct Refused {
    /// What the caller is told.
    pub error: Error,
    /// Whom it was about, if there is such a user.
    pub user: Option<Uuid>,
}

impl<E: Into<Error>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self { error: error.into(), user: None }
    }
}

/// A reason of `app.admitted_user`.
#[derive(Debug, thiserror::Error)]
#[error("app.admitted_user: {0}")]
struct Reason(String);

/// What `app.admitted_user` says.
struct Found {
    user_id: Option<Uuid>,
    role: Option<String>,
    refused: Option<String>,
}

impl Sessions {
    /// Finds or creates the user and begins a session, in one transaction.
    ///
    /// # Errors
    /// `AUTH_005` where nobody is known or the user is not active, `PERM_001`
    /// where the last admin would lose the role, `AUTH_010` where the token is
    /// older than what was accepted since, or than a logout, `TEN_004`.
    pub async fn begin_federated(
        &self,
        app: &App,
        person: &Person,
        action: Action,
        origin: &Origin,
    ) -> Result<Signed, Refused> {
        let (now, session, new_user) = (app.clock.now(), app.clock.new_id(), app.clock.new_id());
        let known = known(app, person).await?;
        let role = |of_user: Option<String>| match person.stated_role {
            Some(stated) => stated.as_str().to_owned(),
            None => of_user.unwrap_or_else(|| person.default_role.as_str().to_owned()),
        };
        let (user, of_user) = known.unzip();
        let mut expected = (user.unwrap_or(new_user), role(of_user));
        for _ in 0..ATTEMPTS {
            let (user, role) = &expected;
            let identity = Identity { tenant: person.tenant, user: Some(*user), session: Some(session) };
            // Before the transaction begins, since KMS may take longer than all of it.
            let access = self.access_token(&identity, role, now).await?;
            let mut transaction = app.db.begin_as(&identity, action, origin).await?;
            if !is_trusted_still(&mut transaction, person).await? {
                transaction.roll_back().await?;
                return Err(Error::new(Code::SignInRefused)
                    .caused_by(Reason("the provider was changed".to_owned()))
                    .into());
            }
            let found = found(&mut transaction, person, &identity, new_user, now).await?;
            if let Some(reason) = found.refused {
                transaction.roll_back().await?;
                return Err(Refused { error: refusal(reason), user: found.user_id });
            }
            let is = found.user_id.zip(found.role).ok_or(Code::Internal)?;
            if is != expected {
                transaction.roll_back().await?;
                expected = is;
                continue;
            }
            let verified = Verified { role, by: By::Provider(&person.at) };
            if let Some(begun) = self.begin(&mut transaction, &identity, origin, verified, now).await? {
                return Ok(Signed { transaction, access, begun, identity });
            }
            transaction.roll_back().await?;
            return Err(Refused { error: Code::InvalidCredentials.into(), user: Some(*user) });
        }
        Err(Error::new(Code::DatabaseUnavailable).caused_by(Reason("changed again and again".to_owned())).into())
    }
}

fn refusal(reason: String) -> Error {
    let code = match &*reason {
        "suspended" | "no_tenant" => Code::TenantSuspended,
        "unknown" | "inactive" => Code::InvalidCredentials,
        "last_admin" => Code::PermissionDenied,
        "outdated" => Code::SignInRefused,
        _ => Code::Internal,
    };
    Error::new(code).caused_by(Reason(reason))
}

/// The user and its role, as far as there is one already.
async fn known(app: &App, person: &Person) -> Result<Option<(Uuid, String)>> {
    let row = app
        .db
        .fetch_optional(|| {
            sqlx::query!(
                r#"SELECT k.id, k.role
                     FROM app.enter_tenant($1) AS entered,
                  LATERAL (SELECT u.id, u.role
                             FROM federated_identities AS f
                             JOIN users AS u ON u.tenant_id = f.tenant_id AND u.id = f.user_id
                            WHERE f.tenant_id = entered.tenant_id AND f.issuer = $2 AND f.subject = $3
                            LIMIT 1) AS k"#,
                person.tenant.as_uuid(),
                person.at.issuer,
                person.at.subject,
            )
        })
        .await?;
    Ok(row.map(|row| (row.id, row.role)))
}

/// Whether the provider's settings are still those that the token was checked
/// by. Whoever changes them waits until the session stands, and ends it then.
async fn is_trusted_still(transaction: &mut Transaction, person: &Person) -> Result<bool> {
    let Some(provider) = person.at.provider else { return Ok(true) };
    let locked = sqlx::query!(
        r#"SELECT id FROM identity_providers
            WHERE tenant_id = $1 AND id = $2 AND version = $3 AND status = 'active' FOR SHARE"#,
        person.tenant.as_uuid(),
        provider,
        person.provider_version,
    );
    Ok(locked.fetch_optional(&mut *transaction).await?.is_some())
}

async fn found(
    transaction: &mut Transaction,
    person: &Person,
    identity: &Identity,
    new_user: Uuid,
    now: OffsetDateTime,
) -> Result<Found> {
    let found = sqlx::query_as!(
        Found,
        "SELECT user_id, role, refused FROM app.admitted_user($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        person.at.session,
        person.at.issuer,
        person.at.subject,
        person.asserted_at,
        person.stated_role.map(Role::as_str),
        person.default_role.as_str(),
        person.may_create,
        person.email,
        person.display_name,
        new_user,
        identity.session,
        now,
    )
    .fetch_one(&mut *transaction)
    .await?;
    Ok(found)
}
