//! Whether the database holds what was accepted, and no more. It finds the tables
//! itself: one that it would not look at fails the start.

use std::collections::{BTreeSet, HashMap};

use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::{
    ledger::Entry,
    world::{Leak, World},
};
use crate::Result;

/// Where a tenant's providers stand.
pub(super) const PROVIDERS: &str = "/api/v1/tenants/current/identity-providers";
/// Where things of a path stand, but for those that are only remembered. A new
/// table of things that are changed is one line.
const THINGS: &[(&str, &str, &str)] = &[
    ("/api/v1/todos", "todos", "true"),
    ("/api/v1/users", "users", "status <> 'deleted'"),
    (PROVIDERS, "identity_providers", "true"),
];
/// What keeps no tenant's rows, as in the catalogue of `functions/todos`.
const NO_TENANT: &[&str] = &[
    "_sqlx_migrations",
    "app.sign_in_attempts",
    "app.request_counts",
    "app.provider_keys",
    "app.registered_issuers",
    "app.used_once",
    "app.outdated_tokens",
];

/// A record without what was reached for, which may be another's, and without
/// the caller of a forged token, who is of another tenant than it says.
const RECORD: &str = "to_jsonb(t) - 'object_id' - 'details'
    - CASE request_id WHEN 'forged' THEN '{actor_id,session_id}' ELSE '{}' END::text[]";

/// How a row of a table or a view is read: `t` is the row.
pub(super) fn row(relation: &str) -> &'static str {
    if relation.starts_with("audit_events") { RECORD } else { "to_jsonb(t)" }
}

/// The column that names the tenant of a row.
pub(super) fn key(relation: &str) -> &'static str {
    if relation == "tenants" { "id" } else { "tenant_id" }
}

/// Looks at every row behind the functions' backs.
///
/// # Errors
/// A [`Leak`]: a row holds what is another tenant's, is one too many, was
/// changed or deleted by nobody who may, or a session ended by itself.
pub(super) async fn compare(world: &mut World) -> Result<()> {
    let number: HashMap<Uuid, usize> = world.tenants.iter().enumerate().map(|(at, tenant)| (tenant.id, at)).collect();
    for table in tables(&mut world.superuser).await? {
        let (key, row) = (key(&table), row(&table));
        let sql = format!("SELECT {key}, ({row})::text FROM {table} t");
        let rows: Vec<(Uuid, String)> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut world.superuser).await?;
        for (tenant, text) in rows {
            let Some(&tenant) = number.get(&tenant) else { continue };
            if let Some(foreign) = world.markers.foreign(&text, tenant, "") {
                return Err(Leak(format!("a row of tenant {tenant} in {table} has {foreign}: {text}")).into());
            }
        }
    }
    things(world, &number).await?;
    sessions(world).await
}

/// Every table of tenants' rows, wherever it is.
///
/// # Errors
/// One names no tenant and is not known to have none, or has things that change
/// and are not counted.
pub(super) async fn tables(superuser: &mut PgConnection) -> Result<Vec<String>> {
    let sql = "SELECT c.oid::regclass::text,
                      EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = 'tenant_id'),
                      EXISTS (SELECT FROM pg_attribute
                               WHERE attrelid = c.oid AND attname = 'version' AND atttypid = 'bigint'::regtype)
                 FROM pg_class c
                WHERE relkind IN ('r', 'p') AND NOT relispartition AND NOT starts_with(relnamespace::regnamespace::text, 'pg_')
                  AND relnamespace <> 'information_schema'::regnamespace";
    let found: Vec<(String, bool, bool)> = sqlx::query_as(sql).fetch_all(superuser).await?;
    let here = "say in soak/src/isolation/compare.rs";
    let mut tables = Vec::new();
    for (table, names_a_tenant, changes) in found {
        if NO_TENANT.contains(&&*table) {
            continue;
        }
        if !names_a_tenant && table != "tenants" {
            return Err(format!("{table} names no tenant: {here} that it has none").into());
        }
        if changes && table != "tenants" && !THINGS.iter().any(|(_, counted, _)| *counted == table) {
            return Err(format!("nobody counts the things in {table}: {here} which path they are of").into());
        }
        tables.push(table);
    }
    Ok(tables)
}

async fn things(world: &mut World, number: &HashMap<Uuid, usize>) -> Result<()> {
    for &(path, table, counts) in THINGS {
        let sql = format!("SELECT tenant_id, id, version FROM {table} WHERE {counts}");
        let rows: Vec<(Uuid, Uuid, i64)> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut world.superuser).await?;
        let (mut seen, mut untold) = (BTreeSet::new(), HashMap::<usize, usize>::new());
        for (tenant, id, version) in rows {
            seen.insert(id);
            let Some(&tenant) = number.get(&tenant) else { continue };
            match world.ledger.entries.get(&(path, id)) {
                Some(entry) if entry.tenant != tenant => return leak(table, id, "changed its tenant"),
                Some(Entry { version: Some(expected), .. }) if *expected != version => {
                    return leak(table, id, &format!("has version {version}, and its tenant was told {expected}"));
                }
                Some(_) => {}
                None => *untold.entry(tenant).or_default() += 1,
            }
        }
        for (tenant, count) in untold {
            if count > world.ledger.untold.get(&(path, tenant)).copied().unwrap_or_default() {
                return Err(Leak(format!("tenant {tenant} has {count} rows in {table} that it never made")).into());
            }
        }
        for ((of, id), entry) in &world.ledger.entries {
            if *of == path && !entry.may_be_gone && !seen.contains(id) {
                return leak(table, *id, "was deleted by nobody of its tenant");
            }
        }
    }
    Ok(())
}

fn leak(table: &str, id: Uuid, what: &str) -> Result<()> {
    Err(Leak(format!("{id} in {table} {what}")).into())
}

async fn sessions(world: &mut World) -> Result<()> {
    let members = world.tenants.iter().flat_map(|tenant| &tenant.members).map(|member| member.session);
    let live: Vec<Uuid> = members.chain(world.federated.iter().map(|session| session.session)).collect();
    let ended = "SELECT id FROM sessions WHERE id = ANY ($1) AND ended_at IS NOT NULL LIMIT 1";
    let ended: Option<Uuid> = sqlx::query_scalar(ended).bind(live).fetch_optional(&mut world.superuser).await?;
    ended.map_or(Ok(()), |id| leak("sessions", id, "was ended by nobody of its tenant"))
}

#[cfg(test)]
mod tests {
    use shared::testing::TestDatabase;
    use sqlx::Executor;

    use super::*;

    #[tokio::test]
    async fn a_table_that_would_not_be_looked_at_is_told() {
        let database = TestDatabase::create().await;
        let mut superuser = database.superuser().await;
        for (table, told) in [
            ("CREATE TABLE app.new (id uuid)", "app.new names no tenant"),
            ("CREATE TABLE new (tenant_id uuid, id uuid, version bigint)", "nobody counts the things in new"),
        ] {
            superuser.execute("BEGIN").await.unwrap();
            superuser.execute(table).await.unwrap();
            assert!(tables(&mut superuser).await.unwrap_err().to_string().starts_with(told), "{table}");
            superuser.execute("ROLLBACK").await.unwrap();
        }
        superuser.execute("CREATE SCHEMA new; CREATE TABLE new.notes (tenant_id uuid)").await.unwrap();
        assert!(tables(&mut superuser).await.unwrap().contains(&"new.notes".to_owned()), "in whatever schema");
    }
}
