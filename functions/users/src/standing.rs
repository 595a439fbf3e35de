//! A user who is about to change, locked, and the rule of the last admin.

use shared::{Code, Error, Result, auth::Role, db::Transaction, etag::IfMatch};
use uuid::Uuid;

/// How a user stands before a change.
pub(crate) struct Standing {
    pub(crate) role: Role,
    is_last_admin: bool,
}

impl Standing {
    /// Locks the user `id` in the version that the caller knows, and with it
    /// every active admin: `app.user_for_change` says why.
    ///
    /// # Errors
    /// `RES_001` where there is none, `REQ_007` where it has changed, and
    /// `AUTH_006` where the caller's session was ended meanwhile.
    pub(crate) async fn lock(transaction: &mut Transaction, id: Uuid, expected: &IfMatch) -> Result<Self> {
        let found = sqlx::query!(
            r#"SELECT version AS "version!", role AS "role!", is_last_admin AS "is_last_admin!"
                 FROM app.user_for_change($1)"#,
            id,
        )
        .fetch_optional(&mut *transaction)
        .await?
        .ok_or(Code::NotFound)?;
        expected.check(found.version)?;
        let role = Role::try_from(&*found.role).map_err(|()| Error::new(Code::Internal))?;
        Ok(Self { role, is_last_admin: found.is_last_admin })
    }

    /// `role`, where it is another one.
    pub(crate) fn changes_to(&self, role: Option<Role>) -> Option<Role> {
        role.filter(|role| *role != self.role)
    }

    /// Asked before whatever leaves the tenant with one active admin less.
    ///
    /// # Errors
    /// `RES_006` where it is the last one.
    pub(crate) fn may_cease_to_be_admin(&self) -> Result<()> {
        if self.is_last_admin {
            return Err(Error::new(Code::NotAllowedInState)
                .detail("This is the last active admin: make or activate another one first."));
        }
        Ok(())
    }
}
