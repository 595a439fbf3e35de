//! What was accepted, as its tenants were told.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

/// What a thing must look like; nothing is known of its version where a change
/// was cut short.
pub(super) struct Entry {
    pub(super) tenant: usize,
    pub(super) version: Option<i64>,
    pub(super) may_be_gone: bool,
}

/// What was accepted.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) entries: HashMap<(&'static str, Uuid), Entry>,
    /// How many things of a path a tenant may have made without being told.
    pub(super) untold: HashMap<(&'static str, usize), usize>,
    /// The names that a tenant's things have, or may have.
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

    /// Whether somebody was told of a thing.
    pub(super) fn knows(&self, path: &'static str, id: Uuid) -> bool {
        self.entries.contains_key(&(path, id))
    }

    /// The version that a thing has, if it is known.
    pub(super) fn version(&self, path: &'static str, id: Uuid) -> Option<i64> {
        self.entries.get(&(path, id))?.version
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

    /// A tenant's thing has this name, or nobody knows which one does.
    pub(super) fn named(&mut self, tenant: usize, name: &str, holder: Option<Uuid>) {
        self.names.insert((tenant, name.to_owned()), holder);
    }

    /// Whether a tenant may be told that it has this name already.
    pub(super) fn has_name(&self, tenant: usize, name: &str) -> bool {
        self.names.contains_key(&(tenant, name.to_owned()))
    }
}
