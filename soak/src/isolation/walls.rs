//! Statements past the functions, as their login: the wall of row-level
//! security by itself, as a handler would find it that forgot its `WHERE`.

use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor, PgConnection, raw_sql};
use uuid::Uuid;

use super::{
    compare::{self, key},
    markers::Markers,
    world::{Leak, World},
};
use crate::Result;

/// What the login may read, and which of it may be changed and deleted as a whole.
const RELATIONS: &str = "
    SELECT c.oid::regclass::text AS name,
           EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND attname = 'version'
                      AND has_column_privilege(c.oid, a.attnum, 'UPDATE')) AS changes,
           has_table_privilege(c.oid, 'DELETE') AND c.relkind IN ('r', 'p') AS deletes
      FROM pg_class c
     WHERE c.relnamespace IN ('public'::regnamespace, 'app'::regnamespace) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
       AND has_table_privilege(c.oid, 'SELECT')";
/// Every table of tenants' rows, and the months of the trail by their own names.
const TABLES: &str = "
    SELECT c.oid::regclass::text AS name, false, false FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
     WHERE c.relnamespace IN ('public'::regnamespace, 'app'::regnamespace) AND c.relkind IN ('r', 'p')
       AND (attname = 'tenant_id' OR relname = 'tenants' AND attname = 'slug')";
/// Rows of another tenant that nobody may write: `$1` the tenant, `$2` one of its users.
const PLANTS: &[&str] = &[
    "INSERT INTO todos (tenant_id, id, owner_id, title, created_at, updated_at)
     VALUES ($1, gen_random_uuid(), $2, 'planted', now(), now())",
    "INSERT INTO federated_identities (tenant_id, issuer, subject, user_id, asserted_at, created_at)
     VALUES ($1, 'planted', 'planted', $2, now(), now())",
    "INSERT INTO sessions (tenant_id, id, user_id, created_at, last_used_at, expires_at)
     VALUES ($1, gen_random_uuid(), $2, now(), now(), now() + interval '1 day')",
    "INSERT INTO audit_anchors (tenant_id, seq, hash, at) SELECT $1, 1, sha256('a'), now() WHERE $2 IS NOT NULL",
    "INSERT INTO audit_checkpoints (tenant_id, seq, hash, signed_at, kid, signature)
     SELECT $1, 1000000, sha256('a'), now(), 'planted', sha256('a') || sha256('b') WHERE $2 IS NOT NULL",
    "UPDATE audit_heads SET seq = 1 WHERE tenant_id = $1 AND $2 IS NOT NULL",
];
/// Functions that are handed what is another tenant's, and find nothing: `$1`
/// the tenant, `$2` one of its users.
const CALLS: &[&str] = &[
    "SELECT count(*) FROM app.audit_search($1, NULL, NULL, NULL, NULL, NULL, NULL, 1000000, 100) WHERE $2 IS NOT NULL",
    "SELECT count(*) FROM app.user_for_change($2) WHERE $1 IS NOT NULL",
    "SELECT app.end_sessions($2) WHERE $1 IS NOT NULL",
    "SELECT app.end_other_sessions($2, gen_random_uuid()) WHERE $1 IS NOT NULL",
];
/// So many rows are looked at.
const ROWS: &str = "LIMIT 200";

type Relation = (String, bool, bool);

/// Tries each wall, between two tenants, and leaves everything as it was.
///
/// # Errors
/// A [`Leak`], of the wall that did not hold.
pub(super) async fn attempt(world: &mut World) -> Result<()> {
    let (one, other) = world.two_tenants();
    let member = &world.tenants[one].members[0];
    let enter = format!("SELECT FROM app.enter('{}', '{}')", member.tenant, member.session);
    let relations: Vec<Relation> = sqlx::query_as(RELATIONS).fetch_all(&mut world.runtime).await?;
    let World { runtime, superuser, markers, tenants, .. } = world;
    // A statement by itself leaves nothing set behind it.
    runtime.execute(raw_sql(AssertSqlSafe(enter.clone()))).await?;
    for (relation, ..) in &relations {
        if let Some(row) = rows(runtime, relation).await?.first() {
            return Err(Leak(format!("without a tenant, {relation} has {row}")).into());
        }
    }
    runtime.execute(raw_sql(AssertSqlSafe(format!("BEGIN; {enter}")))).await?;
    let found = reads(runtime, &relations, markers, one).await;
    let found = match found {
        Ok(()) => writes(runtime, superuser, &relations, tenants[one].id).await,
        leak => leak,
    };
    let theirs = (tenants[other].id, tenants[other].members[0].user);
    let found = match found {
        Ok(()) => plant(runtime, theirs).await,
        leak => leak,
    };
    let found = match found {
        Ok(()) => call(runtime, theirs).await,
        leak => leak,
    };
    runtime.execute("ROLLBACK").await?;
    found?;
    // FORCE: the owner of the tables is bound too.
    let as_owner = format!(
        "BEGIN; SET LOCAL ROLE tenantry_owner; SELECT set_config('app.tenant_id', '{}', true)",
        tenants[one].id
    );
    superuser.execute(raw_sql(AssertSqlSafe(as_owner))).await?;
    let tables: Vec<Relation> = sqlx::query_as(TABLES).fetch_all(&mut *superuser).await?;
    let found = reads(superuser, &tables, markers, one).await;
    superuser.execute("ROLLBACK").await?;
    found
}

async fn rows(connection: &mut PgConnection, relation: &str) -> Result<Vec<Value>> {
    let row = compare::row(relation);
    let sql = format!("SELECT {row} FROM (SELECT * FROM {relation} {ROWS}) AS t");
    Ok(sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(connection).await?)
}

async fn reads(connection: &mut PgConnection, relations: &[Relation], markers: &Markers, tenant: usize) -> Result<()> {
    for (relation, ..) in relations {
        for row in rows(connection, relation).await? {
            if let Some(foreign) = markers.foreign(&row.to_string(), tenant, "") {
                return Err(Leak(format!("tenant {tenant} reads in {relation} {foreign}: {row}")).into());
            }
        }
    }
    Ok(())
}

/// A change and a deletion of everything reach the tenant's own rows.
async fn writes(
    connection: &mut PgConnection,
    superuser: &mut PgConnection,
    relations: &[Relation],
    tenant: Uuid,
) -> Result<()> {
    for (relation, changes, deletes) in relations {
        let own = format!("SELECT count(*) FROM {relation} WHERE {} = '{tenant}'", key(relation));
        let change = changes.then(|| format!("UPDATE {relation} SET version = 1"));
        let deletion = deletes.then(|| format!("DELETE FROM {relation}"));
        for statement in change.into_iter().chain(deletion) {
            let own: i64 = sqlx::query_scalar(AssertSqlSafe(own.clone())).fetch_one(&mut *superuser).await?;
            let sql = format!("SAVEPOINT before; {statement}");
            let reached = connection.execute(raw_sql(AssertSqlSafe(sql))).await?.rows_affected();
            connection.execute("ROLLBACK TO before").await?;
            if i64::try_from(reached)? > own {
                return Err(Leak(format!("`{statement}` reached {reached} rows, and the tenant has {own}")).into());
            }
        }
    }
    Ok(())
}

/// A row for another tenant is refused, by its policy or for want of a grant.
async fn plant(connection: &mut PgConnection, (tenant, user): (Uuid, Uuid)) -> Result<()> {
    for plant in PLANTS {
        connection.execute("SAVEPOINT before").await?;
        let planted = sqlx::query(*plant).bind(tenant).bind(user).execute(&mut *connection).await;
        connection.execute("ROLLBACK TO before").await?;
        match planted {
            Ok(_) => return Err(Leak(format!("a row was planted in another tenant: {plant}")).into()),
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42501") => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// What is another tenant's is not there, for a function either.
async fn call(connection: &mut PgConnection, (tenant, user): (Uuid, Uuid)) -> Result<()> {
    for call in CALLS {
        connection.execute("SAVEPOINT before").await?;
        let found: i64 = sqlx::query_scalar(*call).bind(tenant).bind(user).fetch_one(&mut *connection).await?;
        connection.execute("ROLLBACK TO before").await?;
        if found > 0 {
            return Err(Leak(format!("`{call}` reached {found} rows of another tenant")).into());
        }
    }
    Ok(())
}
