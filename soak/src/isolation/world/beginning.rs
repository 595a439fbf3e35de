//! What there is before the first request.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde_json::json;
use shared::{
    auth::Role,
    clock::{Clock, SystemClock},
    testing::{Event, Member, TestApp, TestDatabase, TestIssuer, TestKeys},
};
use uuid::Uuid;

use super::{Tenant, Thing, World};
use crate::{
    Result,
    chance::Chance,
    isolation::{
        arguments,
        compare::{self, PROVIDERS},
        coverage::Coverage,
        functions,
        ledger::Ledger,
        markers::Markers,
        sign_in,
    },
};

impl World {
    /// So many tenants with an admin and a viewer each, a todo of each, two
    /// providers, and a trail whose beginning was exported.
    ///
    /// # Errors
    /// There is a route or a table that the driver knows nothing of.
    pub(in crate::isolation) async fn create(tenants: usize, seed: u64) -> Result<Self> {
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
            has_a_fault: false,
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

    /// Somebody new, with a session. Over the connection that is there: to make
    /// one takes longer than all the rest.
    pub(super) async fn join(&mut self, tenant: usize, role: Role) -> Result<()> {
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
}
