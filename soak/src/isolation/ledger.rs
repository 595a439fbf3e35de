//! What was accepted, and whether the database holds that and no more.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::world::{Leak, World};
use crate::Result;

/// Where things of a path stand. A new group with things of its own is one line.
const TABLES: &[(&str, &str)] =
    &[("/api/v1/todos", "todos"), ("/api/v1/tenants/current/identity-providers", "identity_providers")];

/// A record without what was reached for, which may be another's, and without
/// the caller of a forged token, who is of another tenant than it says.
pub(super) const RECORD: &str = "to_jsonb(t) - 'object_id' - 'details'
    - CASE request_id WHEN 'forged' THEN '{actor_id,session_id}' ELSE '{}' END::text[]";

/// What a thing must look like; nothing is known of its version where a change
/// was cut short.
struct Entry {
    tenant: usize,
    version: Option<i64>,
    may_be_gone: bool,
}

/// What was accepted.
#[derive(Default)]
pub(super) struct Ledger {
    entries: HashMap<(&'static str, Uuid), Entry>,
    /// How many things of a path a tenant may have made without being told.
    untold: HashMap<(&'static str, usize), usize>,
    /// The names that a tenant's providers have, or may have.
    names: BTreeMap<(usize, String), Option<Uuid>>,
}

impl Ledger {
    pub(super) fn made(&mut self, path: &'static str, id: Uuid, tenant: usize) {
        self.entries.insert((path, id), Entry { tenant, version: Some(1), may_be_gone: false });
    }

    pub(super) fn gone(&mut self, path: &'static str, id: Uuid) {
        self.entries.remove(&(path, id));
        self.names.retain(|_, holder| *holder != Some(id));
    }

    /// A change was answered with this version.
    pub(super) fn changed(&mut self, path: &'static str, id: Uuid, version: Option<i64>) {
        if let Some(entry) = self.entries.get_mut(&(path, id))
            && entry.version.is_some()
        {
            entry.version = version;
        }
    }

    /// A request was cut short, which may have changed or deleted this thing.
    pub(super) fn perhaps(&mut self, path: &'static str, id: Uuid, deleted: bool) {
        if let Some(entry) = self.entries.get_mut(&(path, id)) {
            entry.version = None;
            entry.may_be_gone |= deleted;
        }
    }

    /// A request was cut short, which may have made a thing.
    pub(super) fn perhaps_made(&mut self, path: &'static str, tenant: usize) {
        *self.untold.entry((path, tenant)).or_default() += 1;
    }

    /// A tenant's provider has this name, or nobody knows which one does.
    pub(super) fn named(&mut self, tenant: usize, name: &str, holder: Option<Uuid>) {
        self.names.insert((tenant, name.to_owned()), holder);
    }

    /// Whether a tenant may be told that it has this name already.
    pub(super) fn has_name(&self, tenant: usize, name: &str) -> bool {
        self.names.contains_key(&(tenant, name.to_owned()))
    }
}

/// Looks at every row behind the functions' backs.
///
/// # Errors
/// A [`Leak`]: a row holds what is another tenant's, is one too many, was
/// changed or deleted by nobody who may, or a session ended by itself.
pub(super) async fn compare(world: &mut World) -> Result<()> {
    let number: HashMap<Uuid, usize> = world.tenants.iter().enumerate().map(|(at, tenant)| (tenant.id, at)).collect();
    for table in tables(&mut world.superuser).await? {
        let key = if table == "tenants" { "id" } else { "tenant_id" };
        let row = if table == "audit_events" { RECORD } else { "to_jsonb(t)" };
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

async fn tables(superuser: &mut PgConnection) -> Result<Vec<String>> {
    let sql = "SELECT c.oid::regclass::text FROM pg_class c WHERE relnamespace = 'public'::regnamespace
                  AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> '_sqlx_migrations'";
    Ok(sqlx::query_scalar(sql).fetch_all(superuser).await?)
}

async fn things(world: &mut World, number: &HashMap<Uuid, usize>) -> Result<()> {
    for &(path, table) in TABLES {
        let sql = format!("SELECT tenant_id, id, version FROM {table}");
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
    let live: Vec<Uuid> =
        world.tenants.iter().flat_map(|tenant| &tenant.members).map(|member| member.session).collect();
    let ended = "SELECT id FROM sessions WHERE id = ANY ($1) AND ended_at IS NOT NULL LIMIT 1";
    let ended: Option<Uuid> = sqlx::query_scalar(ended).bind(live).fetch_optional(&mut world.superuser).await?;
    ended.map_or(Ok(()), |id| leak("sessions", id, "was ended by nobody of its tenant"))
}
