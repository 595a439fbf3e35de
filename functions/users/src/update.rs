//! `PATCH /api/v1/users/{id}`

use axum::extract::State;
use serde::Deserialize;
use shared::{
    Caller, Code, Db, Result,
    audit::{Details, UserField, given},
    auth::Role,
    clock::SharedClock,
    db::Transaction,
    etag::IfMatch,
    extract::{Json, Path, if_given},
    text::{Email, Text},
    user::User,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{standing::Standing, taken::explained};

/// What is absent stays.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Changes {
    #[serde(default, deserialize_with = "if_given")]
    email: Option<Email>,
    #[serde(default, deserialize_with = "if_given")]
    display_name: Option<Text<1, 200>>,
    #[serde(default, deserialize_with = "if_given")]
    role: Option<Role>,
}

impl Changes {
    fn fields(&self) -> Vec<UserField> {
        given(&[
            (UserField::Email, self.email.is_some()),
            (UserField::DisplayName, self.display_name.is_some()),
            (UserField::Role, self.role.is_some()),
        ])
    }
}

/// Changes one of the tenant's users. A change of role ends the user's
/// sessions, since the role stands in their tokens.
pub(crate) async fn update(
    caller: Caller,
    State(db): State<Db>,
    State(clock): State<SharedClock>,
    Path(id): Path<Uuid>,
    expected: IfMatch,
    Json(changes): Json<Changes>,
) -> Result<User> {
    let mut transaction = db.begin(&caller).await?;
    let standing = Standing::lock(&mut transaction, id, &expected).await?;
    let new_role = standing.changes_to(changes.role);
    if new_role.is_some() {
        standing.may_cease_to_be_admin()?;
    }
    let updated = sqlx::query_as!(
        User,
        "UPDATE users
            SET email = coalesce($3, email),
                display_name = coalesce($4, display_name),
                role = coalesce($5, role),
                version = version + 1,
                updated_at = $6
          WHERE tenant_id = $1 AND id = $2
      RETURNING id, email, display_name, role, status, version, created_at, updated_at, last_login_at",
        caller.tenant_id(),
        id,
        changes.email.as_deref(),
        changes.display_name.as_deref(),
        changes.role.map(Role::as_str),
        clock.now(),
    )
    .fetch_optional(&mut transaction)
    .await;
    let user = explained(updated)?.ok_or(Code::NotFound)?;
    let sessions_ended = match new_role {
        Some(_) => {
            let ended = end_sessions(&mut transaction, id).await?;
            outdate(&mut transaction, id, clock.now()).await?;
            ended
        }
        None => 0,
    };
    let details = Details::UserChanged {
        fields: changes.fields(),
        role_from: new_role.map(|_| standing.role),
        role_to: new_role,
        sessions_ended,
    };
    transaction.commit_recorded(caller.action(), id, &details).await?;
    Ok(user)
}

async fn end_sessions(transaction: &mut Transaction, user: Uuid) -> Result<u32> {
    let ended = sqlx::query_scalar!(r#"SELECT app.end_sessions($1)::integer AS "ended!""#, user)
        .fetch_one(&mut *transaction)
        .await?;
    Ok(ended.unsigned_abs())
}

/// What a provider's tokens of before say of the role is out of date.
async fn outdate(transaction: &mut Transaction, user: Uuid, now: OffsetDateTime) -> Result<()> {
    sqlx::query!(
        "UPDATE federated_identities SET asserted_at = greatest(asserted_at, $2)
          WHERE tenant_id = current_setting('app.tenant_id')::uuid AND user_id = $1",
        user,
        now,
    )
    .execute(&mut *transaction)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
