//! Tenants, their people, and what is known of their things.

use std::{collections::HashMap, sync::Arc};

use serde_json::json;
use shared::{
    auth::Role,
    testing::{Event, Member, TestApp, TestDatabase, TestKeys},
};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    functions::{self, Function},
    ledger::Ledger,
    markers::Markers,
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
    pub(super) superuser: PgConnection,
    /// The functions' login, past the functions.
    pub(super) runtime: PgConnection,
    pub(super) chance: Chance,
    /// Makes people and signs their tokens.
    app: TestApp<todos::Todos>,
}

impl World {
    /// So many tenants with an admin and a viewer each, and a todo of each.
    pub(super) async fn create(tenants: usize, seed: u64) -> Result<Self> {
        let database = Arc::new(TestDatabase::create().await.with_own_role().await);
        let keys = Arc::new(TestKeys::generate("soak"));
        let app = TestApp::start_with(todos::routes(), database.clone(), keys.clone(), &[]).await;
        let mut world = Self {
            functions: functions::all(&database, &keys).await?,
            tenants: Vec::new(),
            markers: Markers::default(),
            things: HashMap::new(),
            ledger: Ledger::default(),
            superuser: database.superuser().await,
            runtime: database.runtime().await,
            chance: Chance::new(seed),
            app,
            database,
            keys,
        };
        for number in 0..tenants {
            let marker = world.markers.make(number, &mut world.chance);
            let admin = world.app.tenant(&marker).await;
            world.markers.own(admin.tenant, number);
            world.tenants.push(Tenant { id: admin.tenant, marker, members: Vec::new(), cursors: Vec::new() });
            world.joined(number, admin);
            world.join(number, Role::Viewer).await;
            for member in 0..2 {
                let Tenant { marker, members, .. } = &world.tenants[number];
                let (token, user) = (members[member].token.clone(), members[member].user);
                let event = Event::post("/api/v1/todos", &json!({ "title": marker })).bearer(&token);
                let answer = world.app.send(event).await;
                let id = answer.json()["id"].as_str().and_then(|id| id.parse().ok()).ok_or("no todo was made")?;
                world.made("/api/v1/todos", Thing { id, tenant: number, user });
            }
        }
        Ok(world)
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
    pub(super) async fn replace(&mut self, tenant: usize, member: usize) {
        let gone = self.tenants[tenant].members.remove(member);
        self.join(tenant, gone.role).await;
    }

    async fn join(&mut self, tenant: usize, role: Role) {
        let member = self.app.member(self.tenants[tenant].id, role).await;
        self.joined(tenant, member);
    }

    fn joined(&mut self, tenant: usize, member: Member) {
        self.markers.own(member.user, tenant);
        let Member { user, session, .. } = member;
        self.tenants[tenant].members.push(member);
        self.markers.own(session, tenant);
        self.things.entry("/api/v1/auth/sessions").or_default().push(Thing { id: session, tenant, user });
        self.things.entry("/api/v1/users").or_default().push(Thing { id: user, tenant, user });
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

    /// Two different tenants with people, by their numbers.
    pub(super) fn two_tenants(&mut self) -> (usize, usize) {
        let peopled = self.tenants.iter().filter(|tenant| !tenant.members.is_empty()).count();
        let one = self.chance.below(peopled);
        (one, (one + 1 + self.chance.below(peopled - 1)) % peopled)
    }
}
