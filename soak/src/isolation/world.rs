//! Tenants, their people, and what is known of their things.

mod beginning;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde_json::json;
use shared::{
    access::Route,
    testing::{Member, TestApp, TestDatabase, TestIssuer, TestKeys},
};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    arguments, coverage::Coverage, functions::Function, ledger::Ledger, markers::Markers, plan::Sent,
    sign_in::Federated,
};
use crate::{Result, chance::Chance};

/// A tenant is caught in this: it read, or changed, or learned of what is another's.
#[derive(Debug)]
pub(super) struct Leak(pub(super) String);

impl std::fmt::Display for Leak {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Leak {}

/// A tenant, and its people.
pub(super) struct Tenant {
    pub(super) id: Uuid,
    pub(super) marker: String,
    /// None in a tenant that signed itself up.
    pub(super) members: Vec<Member>,
    /// Cursors that it was given, with the list that each is of.
    pub(super) cursors: Vec<(&'static str, String)>,
    /// How long its trail is, as far as it was told.
    pub(super) head_seq: i64,
}

impl Tenant {
    pub(super) fn new(id: Uuid, marker: String) -> Self {
        Self { id, marker, members: Vec::new(), cursors: Vec::new(), head_seq: 0 }
    }
}

/// A thing with an id in a path.
#[derive(Clone, Copy)]
pub(super) struct Thing {
    pub(super) id: Uuid,
    pub(super) tenant: usize,
    pub(super) user: Uuid,
}

/// All of it.
pub(super) struct World {
    pub(super) database: Arc<TestDatabase>,
    pub(super) keys: Arc<TestKeys>,
    pub(super) functions: Vec<Box<dyn Function>>,
    pub(super) tenants: Vec<Tenant>,
    pub(super) markers: Markers,
    /// Things by the path before their id.
    pub(super) things: HashMap<&'static str, Vec<Thing>>,
    pub(super) ledger: Ledger,
    pub(super) coverage: Coverage,
    /// The provider that every tenant trusts.
    pub(super) idp: TestIssuer,
    /// Sessions that sign-ins there began.
    pub(super) federated: Vec<Federated>,
    /// Whether a fault was put in.
    pub(super) has_a_fault: bool,
    /// The last tenant that signed itself up.
    pub(super) signed_up: Option<usize>,
    pub(super) superuser: PgConnection,
    /// The functions' login, past the functions.
    pub(super) runtime: PgConnection,
    pub(super) chance: Chance,
    /// The keys that were used to send a request again.
    used_keys: HashSet<(Uuid, &'static str, String)>,
    /// How many tenants have people.
    peopled: usize,
    /// Makes people and signs their tokens.
    app: TestApp<todos::Todos>,
}

impl World {
    /// Drops the database, and lets other work go on meanwhile: a connection that
    /// is just being made would hold the drop up, and it needs this thread.
    pub(super) async fn end(self) {
        let database = self.database.clone();
        drop(self);
        // A database that is left over is the next start's to drop.
        drop(tokio::task::spawn_blocking(move || drop(database)).await);
    }

    /// Signs everybody's tokens anew.
    pub(super) fn renew_tokens(&mut self) {
        for member in self.tenants.iter_mut().flat_map(|tenant| &mut tenant.members) {
            member.token = self.app.keys.sign(&self.app.claims(member));
        }
    }

    /// A token with this member's session and another tenant's name.
    pub(super) fn forged(&self, member: &Member, tenant: Uuid) -> String {
        let mut claims = self.app.claims(member);
        claims["tenant_id"] = json!(tenant);
        self.app.keys.sign(&claims)
    }

    /// Puts somebody new in the place of a member whose session is over.
    ///
    /// # Errors
    /// The database took nobody.
    pub(super) async fn replace(&mut self, tenant: usize, member: usize) -> Result<()> {
        let gone = self.tenants[tenant].members.remove(member);
        self.join(tenant, gone.role).await
    }

    /// A session of a user began.
    pub(super) fn began(&mut self, tenant: usize, user: Uuid, session: Uuid) {
        self.markers.own(session, tenant);
        self.things.entry("/api/v1/auth/sessions").or_default().push(Thing { id: session, tenant, user });
    }

    /// A thing was made, and the maker told so.
    pub(super) fn made(&mut self, path: &'static str, thing: Thing) {
        self.markers.own(thing.id, thing.tenant);
        self.things.entry(path).or_default().push(thing);
        self.ledger.made(path, thing.id, thing.tenant);
    }

    /// A thing is gone, and whoever deleted it was told so.
    pub(super) fn gone(&mut self, path: &'static str, id: Uuid) {
        if let Some(things) = self.things.get_mut(path) {
            things.retain(|thing| thing.id != id);
        }
        self.ledger.gone(path, id);
    }

    /// Whether its sender has used a request's key before; from now on it has.
    pub(super) fn keyed(&mut self, sent: &Sent) -> bool {
        let key = sent.key(self.tenants[sent.caller].members[sent.member].user);
        key.is_some_and(|key| !self.used_keys.insert(key))
    }

    /// How many tenants have people; they come first.
    pub(super) fn peopled(&self) -> usize {
        self.peopled
    }

    /// A tenant with people, other than this one.
    pub(super) fn other_than(&mut self, tenant: usize) -> usize {
        (tenant + 1 + self.chance.below(self.peopled - 1)) % self.peopled
    }

    /// Two different tenants with people, by their numbers.
    pub(super) fn two_tenants(&mut self) -> (usize, usize) {
        let one = self.chance.below(self.peopled);
        (one, self.other_than(one))
    }

    /// Every route of every function.
    pub(super) fn routes(&self) -> impl Iterator<Item = &Route> {
        self.functions.iter().flat_map(|function| function.routes())
    }

    /// What all routes weigh together.
    pub(super) fn weights(&self) -> usize {
        self.routes().map(arguments::weight).sum()
    }
}
