//! An operator's way to one tenant: with the owner's login, as
//! `tenantry_operator`, which sees no tenant but the one that it entered. Used
//! by `ops`; docs/adr/0019-tenant-lifecycle.md says why.

use sqlx::{Executor, PgConnection, raw_sql};
use time::OffsetDateTime;
use uuid::Uuid;

use super::failure::{Failure, OnConstraint};
use crate::{
    audit::Action,
    config::DatabaseConfig,
    error::{Code, Error, Result},
    start::Start,
};

/// Begins each transaction; see [`super::maintenance`] for the deadlines.
const BEGIN: &str = "BEGIN; SET LOCAL ROLE tenantry_operator;
    SET LOCAL statement_timeout = '30s'; SET LOCAL lock_timeout = '3s';
    SET LOCAL idle_in_transaction_session_timeout = '10s'; SET LOCAL client_connection_check_interval = '1s'";

/// A connection for an operator. A transaction that was begun and not committed
/// ends with the next one, or with it.
pub struct Operator {
    connection: PgConnection,
    is_open: bool,
}

/// A tenant, as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: Uuid,
    /// Its slug.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// `active`, `suspended` or `deleted`.
    pub status: String,
    /// Since when it is suspended, if it is.
    pub suspended_at: Option<OffsetDateTime>,
    /// Whether all its rows are gone.
    pub is_purged: bool,
    /// What the database's clock says.
    pub now: OffsetDateTime,
}

/// A tenant that is to be, with its first admin.
#[derive(Debug, Clone, Copy)]
pub struct NewTenant<'a> {
    /// The tenant's id.
    pub id: Uuid,
    /// Its slug.
    pub slug: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The first admin's id.
    pub admin: Uuid,
    /// Where the first admin is reached, and signs in with.
    pub email: &'a str,
    /// The first admin's name.
    pub display_name: &'a str,
    /// The hash of the first admin's password.
    pub password_hash: &'a str,
    /// The time.
    pub now: OffsetDateTime,
}

/// What an operator changes about a tenant's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// `active` to `suspended`.
    Suspend,
    /// `suspended` to `active`.
    Resume,
    /// `suspended` to `deleted`, which shreds it: its data keys go first.
    Delete,
}

impl Operator {
    /// Connects; the secret that `config` names is the owner's login.
    ///
    /// # Errors
    /// As [`super::connect_as_owner`].
    pub async fn connect(config: DatabaseConfig, start: &Start) -> Result<Self> {
        let connection = super::connect_as_owner(config, start).await?;
        Ok(Self { connection, is_open: false })
    }

    /// Begins a transaction in the tenant of this slug.
    ///
    /// # Errors
    /// `SYS_001` or `SYS_002`, as all of these.
    pub async fn begin_by_slug(&mut self, slug: &str) -> Result<Option<Tenant>> {
        self.begin().await?;
        let found = sqlx::query_scalar!(r#"SELECT tenant_id AS "id!" FROM app.enter_slug($1)"#, slug);
        match found.fetch_optional(&mut self.connection).await.map_err(|error| Failure::of(&error))? {
            Some(id) => self.entered(id).await,
            None => Ok(None),
        }
    }

    /// Begins a transaction in the tenant of this id; `nobody` is none.
    ///
    /// # Errors
    /// As [`Operator::begin_by_slug`].
    pub async fn begin_by_id(&mut self, id: Uuid) -> Result<Option<Tenant>> {
        self.begin().await?;
        self.enter(id).await?;
        if id.is_nil() { Ok(None) } else { self.entered(id).await }
    }

    /// Begins a transaction in which the tenant and its first admin are created.
    ///
    /// # Errors
    /// `RES_002` where the slug is taken, also by a deleted tenant.
    pub async fn create(&mut self, new: &NewTenant<'_>, request_id: &str) -> Result<()> {
        self.begin().await?;
        self.enter(new.id).await?;
        sqlx::query!(
            "WITH tenant AS (
                 INSERT INTO tenants (id, slug, name, created_at, updated_at) VALUES ($1, $2, $3, $8, $8)
             )
             INSERT INTO users (tenant_id, id, email, display_name, role, password_hash, created_at, updated_at)
             VALUES ($1, $4, $5, $6, 'admin', $7, $8, $8)",
            new.id,
            new.slug,
            new.name,
            new.admin,
            new.email,
            new.display_name,
            new.password_hash,
            new.now,
        )
        .execute(&mut self.connection)
        .await
        .on_constraint("tenants_slug_key", || Error::new(Code::AlreadyExists))?;
        self.record(Action::TenantsCreate, None, request_id).await
    }

    /// Gives the entered tenant's admin of this address and name another
    /// password, unless it has signed in before, and says which of the two it
    /// was; none where there is no such admin.
    ///
    /// # Errors
    /// As [`Operator::begin_by_slug`].
    pub async fn renew_first_password(
        &mut self,
        tenant: Uuid,
        new: &NewTenant<'_>,
        request_id: &str,
    ) -> Result<Option<bool>> {
        let found = sqlx::query_scalar!(
            r#"WITH admin AS (
                   SELECT id, last_login_at IS NULL AS is_new FROM users
                    WHERE tenant_id = $1 AND email = $2 AND display_name = $3 AND role = 'admin' AND status = 'active'
               ), renewed AS (
                   UPDATE users u SET password_hash = $4, version = version + 1, updated_at = $5 FROM admin
                    WHERE u.tenant_id = $1 AND u.id = admin.id AND is_new RETURNING u.id
               )
               SELECT (SELECT count(*) FROM renewed) = 1 AS "is_new!" FROM admin"#,
            tenant,
            new.email,
            new.display_name,
            new.password_hash,
            new.now,
        );
        let renewed = found.fetch_optional(&mut self.connection).await.map_err(|error| Failure::of(&error))?;
        if renewed == Some(true) {
            self.record(Action::TenantsCreate, Some("password_renewed"), request_id).await?;
        }
        Ok(renewed)
    }

    /// Changes the entered tenant's state, and records it with its reason.
    ///
    /// # Errors
    /// `RES_006` where it is in another state than the change is from.
    pub async fn change(&mut self, tenant: Uuid, change: Change, reason: Option<&str>, request_id: &str) -> Result<()> {
        let (from, to, action) = match change {
            Change::Suspend => ("active", "suspended", Action::TenantsSuspend),
            Change::Resume => ("suspended", "active", Action::TenantsResume),
            Change::Delete => ("suspended", "deleted", Action::TenantsDelete),
        };
        let changed = sqlx::query!(
            "UPDATE tenants
                SET status = $3, version = version + 1, updated_at = now(),
                    name = CASE $3 WHEN 'deleted' THEN 'Deleted' ELSE name END,
                    suspended_at = CASE $3 WHEN 'suspended' THEN now() END,
                    deleted_at = CASE $3 WHEN 'deleted' THEN now() END
              WHERE id = $1 AND status = $2",
            tenant,
            from,
            to,
        );
        let changed = changed.execute(&mut self.connection).await.map_err(|error| Failure::of(&error))?;
        if changed.rows_affected() != 1 {
            return Err(Code::NotAllowedInState.into());
        }
        if change == Change::Delete {
            let shredded = sqlx::query!("DELETE FROM tenant_keys WHERE tenant_id = $1", tenant);
            shredded.execute(&mut self.connection).await.map_err(|error| Failure::of(&error))?;
        }
        self.record(action, reason, request_id).await
    }

    /// Deletes up to `batch` rows of one of a deleted tenant's tables, in a
    /// transaction of its own: the table and how many, or none where nothing is left.
    ///
    /// # Errors
    /// Nothing was deleted.
    pub async fn delete_rows(&mut self, tenant: Uuid, batch: i32) -> Result<Option<(String, u64)>> {
        self.begin().await?;
        let deleted = sqlx::query!(
            r#"SELECT deleted_from AS "deleted_from!", deleted AS "deleted!" FROM app.delete_tenant_rows($1, $2)"#,
            tenant,
            batch,
        );
        let deleted = deleted.fetch_optional(&mut self.connection).await.map_err(|error| Failure::of(&error))?;
        self.commit().await?;
        Ok(deleted.map(|row| (row.deleted_from, row.deleted.unsigned_abs())))
    }

    /// Notes, once, that nothing is left of a deleted tenant but its trail.
    ///
    /// # Errors
    /// As [`Operator::begin_by_slug`].
    pub async fn note_purged(&mut self, tenant: Uuid, request_id: &str) -> Result<()> {
        self.begin().await?;
        self.enter(tenant).await?;
        let noted = sqlx::query!("UPDATE tenants SET purged_at = now() WHERE id = $1 AND purged_at IS NULL", tenant);
        let noted = noted.execute(&mut self.connection).await.map_err(|error| Failure::of(&error))?;
        if noted.rows_affected() == 1 {
            self.record(Action::TenantsPurge, None, request_id).await?;
        }
        self.commit().await
    }

    /// Commits what was begun.
    ///
    /// # Errors
    /// As [`Operator::begin_by_slug`].
    pub async fn commit(&mut self) -> Result<()> {
        self.connection.execute("COMMIT").await.map_err(|error| Failure::of(&error))?;
        self.is_open = false;
        Ok(())
    }

    /// Begins anew, whatever was begun before.
    async fn begin(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.is_open, true) {
            self.connection.execute("ROLLBACK").await.map_err(|error| Failure::of(&error))?;
        }
        self.connection.execute(raw_sql(BEGIN)).await.map_err(|error| Failure::of(&error))?;
        Ok(())
    }

    async fn enter(&mut self, id: Uuid) -> Result<()> {
        let entered = sqlx::query!("SELECT tenant_id FROM app.enter_tenant($1)", id);
        entered.fetch_one(&mut self.connection).await.map_err(|error| Failure::of(&error))?;
        Ok(())
    }

    /// The entered tenant, whose row is locked until the transaction ends.
    async fn entered(&mut self, id: Uuid) -> Result<Option<Tenant>> {
        let found = sqlx::query_as!(
            Tenant,
            r#"SELECT id, slug, name, status, suspended_at, purged_at IS NOT NULL AS "is_purged!", now() AS "now!"
                 FROM tenants WHERE id = $1 FOR NO KEY UPDATE"#,
            id,
        );
        Ok(found.fetch_optional(&mut self.connection).await.map_err(|error| Failure::of(&error))?)
    }

    async fn record(&mut self, action: Action, reason: Option<&str>, request_id: &str) -> Result<()> {
        let recorded = sqlx::query_scalar!(
            r#"SELECT app.audit_operator($1, $2, $3) AS "seq!""#,
            action.as_str(),
            reason,
            request_id,
        );
        recorded.fetch_one(&mut self.connection).await.map_err(|error| Failure::of(&error))?;
        Ok(())
    }
}
