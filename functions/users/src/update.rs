//! `PATCH /api/v1/users/{id}`

use axum::extract::State;
use serde::Deserialize;
use shared::{
    Caller, Code, Db, Result,
    audit::{Details, UserField, given},
    auth::Role,
    clock::SharedClock,
    etag::IfMatch,
    extract::{Json, Path, if_given},
    text::{Email, Text},
    user::User,
};
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
    fn details(&self, role_change: Option<(Role, Role)>, sessions_ended: u32) -> Details {
        let fields = given(&[
            (UserField::Email, self.email.is_some()),
            (UserField::DisplayName, self.display_name.is_some()),
            (UserField::Role, self.role.is_some()),
        ]);
        let (role_from, role_to) = role_change.unzip();
        Details::UserChanged { fields, role_from, role_to, sessions_ended }
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
    let role_change = standing.changes_to(changes.role);
    let mut sessions_ended = 0;
    if role_change.is_some() {
        standing.may_cease_to_be_admin()?;
        sessions_ended = standing.end_sessions(&mut transaction).await?;
    }
    let details = changes.details(role_change, sessions_ended);
    let updated = sqlx::query_as!(
        User,
        r#"WITH changed AS (
               UPDATE users
                  SET email = coalesce($3, email),
                      display_name = coalesce($4, display_name),
                      role = coalesce($5, role),
                      version = version + 1,
                      updated_at = $6
                WHERE tenant_id = $1 AND id = $2
               RETURNING *
           ), audited AS (SELECT app.audit(id, $7) FROM changed)
           SELECT id, email, display_name, role, status, version, created_at, updated_at, last_login_at
             FROM changed, audited"#,
        caller.tenant_id(),
        id,
        changes.email.as_deref(),
        changes.display_name.as_deref(),
        changes.role.map(Role::as_str),
        clock.now(),
        details.text_for(caller.action()),
    )
    .fetch_optional(&mut transaction)
    .await;
    let user = explained(updated)?.ok_or(Code::NotFound)?;
    transaction.commit().await?;
    Ok(user)
}

#[cfg(test)]
mod tests;
