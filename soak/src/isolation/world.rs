//! Tenants, their people, and what is known of their things.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde_json::json;
use shared::{
    access::Route,
    auth::Role,
    clock::{Clock, SystemClock},
    testing::{Event, Member, TestApp, TestDatabase, TestIssuer, TestKeys},
};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    arguments,
    compare::{self, PROVIDERS},
    coverage::Coverage,
    functions::{self, Function},
    ledger::Ledger,
    markers::Markers,
    requests::Sent,
    sign_in::{self, Federated},
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
    /// So many tenants with an admin and a viewer each, a todo of each, two
    /// providers, and a trail whose beginning was exported.
    ///
    /// # Errors
    /// There is a route or a table that the driver knows nothing of.
    pub(super) async fn create(tenants: usize, seed: u64) -> Result<Self> {
        let database = Arc::new(TestDatabase::create().await.with_own_role().await);
        let keys = Arc::new(TestKeys::generate("soak"));
        let app = TestApp::start_with(todos::routes(), database.clone(), keys.clone(), &[]).await;
        let mut world = Self {
            functions: functions::all(&database, &keys).await,
            tenants: Vec::new(),
            markers: Markers::default(),
            things: HashMap::new(),
            ledger: Ledger::default(),
            coverage: Coverage::default(),
            idp: TestIssuer::start("ES256"),
            federated: Vec::new(),
            signed_up: None,
            superuser: database.superuser().await,
            runtime: database.runtime().await,
            chance: Chance::new(seed),
            used_keys: HashSet::new(),
            peopled: tenants,
            app,
            database,
            keys,
        };
        world.routes().try_for_each(arguments::is_known)?;
        compare::tables(&mut world.superuser).await?;
        // By the names that one tenant alone has: nobody signs in there.
        let other = TestIssuer::start("ES256");
        for number in 0..tenants {
            let marker = world.markers.make(number, &mut world.chance);
            let id = SystemClock.new_id();
            let tenant = sqlx::query("INSERT INTO tenants (id, slug, name) VALUES ($1, $2, $2)").bind(id).bind(&marker);
            tenant.execute(&mut world.superuser).await?;
            world.markers.own(id, number);
            world.tenants.push(Tenant::new(id, marker));
            world.join(number, Role::Admin).await?;
            world.join(number, Role::Viewer).await?;
            world.arrange(number, &other).await?;
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

    /// Drops the database, and lets other work go on meanwhile: a connection that
    /// is just being made would hold the drop up, and it needs this thread.
    pub(super) async fn end(self) {
        let database = self.database.clone();
        drop(self);
        // A database that is left over is the next start's to drop.
        drop(tokio::task::spawn_blocking(move || drop(database)).await);
    }

    /// Two providers, and the beginning of a trail: exported, anchored and gone.
    async fn arrange(&mut self, number: usize, other: &TestIssuer) -> Result<()> {
        let Tenant { id, marker, members, .. } = &self.tenants[number];
        let (id, marker, member) = (*id, marker.clone(), members[0].clone());
        let own = json!({ "client_id": marker, "audiences": [marker], "name": format!("only-{marker}") });
        let mut shared = own.clone();
        shared["name"] = sign_in::SHARED.into();
        for (idp, changes) in [(&self.idp, shared), (other, own)] {
            let provider = SystemClock.new_id();
            let mut settings = idp.settings(&changes);
            settings["tenant_id"] = json!(id);
            settings["id"] = json!(provider);
            let sql = "INSERT INTO identity_providers SELECT * FROM jsonb_populate_record(NULL::identity_providers, $1
                       || jsonb_build_object('version', 1, 'created_at', now(), 'updated_at', now()))";
            sqlx::query(sql).bind(settings).execute(&mut self.superuser).await?;
            // Everybody's to reach for, and nobody's to change.
            let thing = Thing { id: provider, tenant: number, user: Uuid::max() };
            self.markers.own(provider, number);
            self.things.entry(PROVIDERS).or_default().push(thing);
            self.ledger.made(PROVIDERS, provider, number);
        }
        let records = "SELECT app.audit_append('todos.read', 'failure', 'RES_001', $2, $3, NULL, NULL, 'arranged')
                         FROM app.enter_tenant($1), generate_series(1, 4)";
        let records = sqlx::query(records).bind(id).bind(member.user).bind(member.session);
        records.execute(&mut self.superuser).await?;
        for sql in [
            "INSERT INTO audit_checkpoints
             SELECT tenant_id, seq, hash, now(), $2, sha256('a') || sha256('b') FROM audit_events WHERE tenant_id = $1",
            "INSERT INTO audit_anchors
             SELECT tenant_id, seq, hash, at FROM audit_events WHERE tenant_id = $1 AND seq = 2 AND $2 IS NOT NULL",
            "DELETE FROM audit_events WHERE tenant_id = $1 AND seq <= 2 AND $2 IS NOT NULL",
        ] {
            sqlx::query(sql).bind(id).bind(&marker).execute(&mut self.superuser).await?;
        }
        Ok(())
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

    /// Somebody new, with a session. Over the connection that is there: to make
    /// one takes longer than all the rest.
    async fn join(&mut self, tenant: usize, role: Role) -> Result<()> {
        let (user, session) = (SystemClock.new_id(), SystemClock.new_id());
        let Tenant { id, marker, .. } = &self.tenants[tenant];
        let sql = "WITH joined AS (
                       INSERT INTO users (tenant_id, id, email, display_name, role) VALUES ($1, $2, $3, $4, $5)
                       RETURNING tenant_id, id)
                   INSERT INTO sessions (tenant_id, id, user_id, created_at, last_used_at, expires_at)
                   SELECT tenant_id, $6, id, now(), now(), now() + interval '30 days' FROM joined";
        let sql = sqlx::query(sql).bind(id).bind(user).bind(format!("{}@example.com", user.simple()));
        sql.bind(marker).bind(role.as_str()).bind(session).execute(&mut self.superuser).await?;
        let mut member = Member { tenant: *id, user, session, role, token: String::new() };
        member.token = self.app.keys.sign(&self.app.claims(&member));
        self.tenants[tenant].members.push(member);
        self.began(tenant, user, session);
        self.made("/api/v1/users", Thing { id: user, tenant, user });
        Ok(())
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
