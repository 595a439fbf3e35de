use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use shared::{
    clock::{Clock, SystemClock},
    config::from_lookup,
    testing::{RUNTIME_PASSWORD, TestDatabase, TestSecrets, take_log},
};
use sqlx::{AssertSqlSafe, PgConnection, raw_sql};

use super::*;

/// The function over a database with `tenants` tenants, in each of which as
/// many sessions, refresh tokens and keys are over as the tenant's number.
struct Ops {
    database: TestDatabase,
}

/// The machine's clock, but a second later each time that it is asked.
#[derive(Default)]
struct Hurrying(AtomicI64);

impl Clock for Hurrying {
    fn now(&self) -> OffsetDateTime {
        SystemClock.now() + Duration::seconds(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

impl Ops {
    async fn start(tenants: u8) -> Self {
        take_log();
        let ops = Self { database: TestDatabase::create().await.with_maintainer().await };
        let fill = format!(
            "INSERT INTO tenants (id, slug, name)
             SELECT lpad(to_hex(n), 32, '0')::uuid, 't-' || n, 'A tenant' FROM generate_series(1, {tenants}) AS n;
             INSERT INTO users (tenant_id, id, email, display_name, role)
             SELECT id, id, slug || '@example.com', 'A User', 'admin' FROM tenants WHERE slug LIKE 't-%';
             INSERT INTO sessions (tenant_id, id, user_id, created_at, last_used_at, expires_at)
             SELECT id, md5(n::text)::uuid, id, '2020-01-01', '2020-01-01', '2020-01-31'
               FROM tenants, generate_series(1, substr(slug, 3)::int) AS n WHERE slug LIKE 't-%';
             INSERT INTO refresh_tokens (tenant_id, session_id, generation, token_hash, created_at, expires_at)
             SELECT tenant_id, id, 0, sha256(id::text::bytea), created_at, expires_at FROM sessions;
             INSERT INTO idempotency_keys (tenant_id, user_id, action, key_hash, request_hash, status, headers, body_ciphertext, created_at)
             SELECT tenant_id, user_id, 'todos.create', sha256(id::text::bytea), '', 201, '{{}}', '', created_at FROM sessions;
             INSERT INTO app.request_counts SELECT sha256(n::text::bytea), 1, '2020-01-01' FROM generate_series(1, 7) AS n"
        );
        ops.sql(&fill).await;
        ops
    }

    async fn superuser(&self) -> PgConnection {
        self.database.superuser().await
    }

    async fn sql(&self, sql: &str) {
        raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.superuser().await).await.unwrap();
    }

    async fn clean_up(&self, limits: Limits) -> Result<Value, String> {
        self.clean_up_by(Arc::new(SystemClock), limits).await
    }

    async fn clean_up_by(&self, clock: Arc<dyn Clock>, limits: Limits) -> Result<Value, String> {
        let (host, port, name) = self.database.address();
        let secrets = TestSecrets::default();
        secrets
            .set("owner", json!({ "username": self.database.maintainer(), "password": RUNTIME_PASSWORD }).to_string());
        let settings = [
            ("DATABASE_HOST", host),
            ("DATABASE_PORT", port.to_string()),
            ("DATABASE_NAME", name),
            ("DATABASE_TLS", "disable".to_owned()),
            ("DATABASE_SECRET_ID", "runtime".to_owned()),
            ("DATABASE_OWNER_SECRET_ID", "owner".to_owned()),
        ];
        let lookup = |name: &str| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        let start = Start::on_lambda(from_lookup(&lookup).unwrap()).with(clock, Arc::new(secrets));
        clean_up(&start, from_lookup(&lookup).unwrap(), limits).await
    }

    /// How many sessions, refresh tokens, idempotency keys and counters are left.
    async fn left(&self) -> [i64; 4] {
        let mut left = [0; 4];
        for (count, table) in
            left.iter_mut().zip(["sessions", "refresh_tokens", "idempotency_keys", "app.request_counts"])
        {
            let query = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
            *count = sqlx::query_scalar(query).fetch_one(&mut self.superuser().await).await.unwrap();
        }
        left
    }
}

/// A batch that makes several of what the tests fill in.
const SMALL: Limits = Limits { batch: 2, time: Duration::minutes(1) };

#[tokio::test]
async fn everything_that_is_over_goes_in_every_tenant_and_the_second_run_finds_nothing() {
    let ops = Ops::start(5).await;
    assert_eq!(ops.left().await, [15, 15, 15, 7]);
    let first = ops.clean_up(SMALL).await.unwrap();
    let expected = json!({
        "tenants": 5, "sessions": 15, "refresh_tokens": 15, "idempotency_keys": 15, "counters": 7,
        "failed": 0, "complete": true,
    });
    assert_eq!(first, expected);
    assert_eq!(ops.left().await, [0; 4]);
    let log = take_log();
    let [line] = log.as_slice() else { panic!("{log:?}") };
    assert_eq!((&line["message"], &line["clean_up_sessions"]), (&json!("cleaned up"), &json!(15)));
    let metrics = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap();
    assert!(metrics.len() == 7 && metrics.iter().all(|metric| line[metric["Name"].as_str().unwrap()].is_u64()));
    let second = ops.clean_up(Limits::USUAL).await.unwrap();
    let expected = json!({
        "tenants": 5, "sessions": 0, "refresh_tokens": 0, "idempotency_keys": 0, "counters": 0,
        "failed": 0, "complete": true,
    });
    assert_eq!(second, expected);
}

#[tokio::test]
async fn two_at_once_delete_each_row_once() {
    let ops = Ops::start(12).await;
    let (one, other) = tokio::join!(ops.clean_up(SMALL), ops.clean_up(SMALL));
    let (one, other) = (one.unwrap(), other.unwrap());
    let last = ops.clean_up(SMALL).await.unwrap();
    for (kind, total) in [("sessions", 78), ("refresh_tokens", 78), ("idempotency_keys", 78), ("counters", 7)] {
        let counts = [&one, &other, &last].map(|done| done[kind].as_u64().unwrap());
        assert_eq!(counts.iter().sum::<u64>(), total, "{kind}: {counts:?}");
    }
    assert_eq!((&one["failed"], &other["failed"]), (&json!(0), &json!(0)));
    assert_eq!(ops.left().await, [0; 4]);
}

#[tokio::test]
async fn what_is_not_done_when_the_time_is_over_is_done_by_the_next_runs() {
    let ops = Ops::start(4).await;
    let none = ops.clean_up(Limits { time: Duration::ZERO, ..SMALL }).await.unwrap();
    assert_eq!((&none["tenants"], &none["complete"]), (&json!(0), &json!(false)));
    assert_eq!(ops.left().await, [10, 10, 10, 7]);
    // Ten seconds by a clock that takes one for each batch.
    let limits = Limits { time: Duration::seconds(10), ..SMALL };
    let mut runs = Vec::new();
    while runs.last().is_none_or(|done: &Value| done["complete"] == false) {
        runs.push(ops.clean_up_by(Arc::new(Hurrying::default()), limits).await.unwrap());
        assert!(runs.len() < 5, "each run goes on where the one before ended: {runs:?}");
    }
    assert!(runs.len() > 1, "{runs:?}");
    assert_eq!(ops.left().await, [0; 4]);
    assert_eq!(runs.iter().map(|done| done["sessions"].as_u64().unwrap()).sum::<u64>(), 10);
}

#[tokio::test]
async fn one_tenant_that_fails_stops_no_other() {
    let ops = Ops::start(4).await;
    ops.sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
         CREATE TRIGGER refuse BEFORE DELETE ON sessions FOR EACH ROW
                   WHEN (OLD.tenant_id = '00000000-0000-0000-0000-000000000002') EXECUTE FUNCTION refuse()",
    )
    .await;
    let done = ops.clean_up(SMALL).await.unwrap();
    assert_eq!((&done["tenants"], &done["failed"], &done["complete"]), (&json!(3), &json!(1), &json!(false)));
    assert_eq!(ops.left().await, [2, 2, 2, 0], "nothing of the batch that failed was done");
    ops.sql("DROP TRIGGER refuse ON sessions").await;
    assert_eq!(ops.clean_up(SMALL).await.unwrap()["complete"], true);
    assert_eq!(ops.left().await, [0; 4]);
}

#[tokio::test]
async fn a_connection_that_ends_costs_one_tenant_its_turn_and_the_run_goes_on() {
    let ops = Ops::start(3).await;
    ops.sql(
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(5); RETURN OLD; END $$;
         ALTER FUNCTION die() SECURITY DEFINER;
         CREATE TRIGGER die BEFORE DELETE ON idempotency_keys FOR EACH ROW
                   WHEN (OLD.tenant_id = '00000000-0000-0000-0000-000000000001') EXECUTE FUNCTION die()",
    )
    .await;
    let done = ops.clean_up(SMALL).await.unwrap();
    assert_eq!((&done["tenants"], &done["failed"], &done["complete"]), (&json!(2), &json!(1), &json!(false)));
    assert_eq!(ops.left().await, [1, 1, 1, 0]);
}

#[tokio::test]
async fn a_login_that_may_not_take_the_role_on_is_told_so() {
    let ops = Ops::start(1).await;
    let maintainer = ops.database.maintainer().to_owned();
    ops.sql(&format!("REVOKE tenantry_maintenance FROM {maintainer}")).await;
    let refused = ops.clean_up(SMALL).await.unwrap_err();
    assert!(refused.contains("permission denied to set role"), "{refused}");
    assert_eq!(ops.left().await, [1, 1, 1, 7]);
}

#[test]
fn a_run_may_begin_with_any_tenant_and_forgets_none() {
    let tenants: Vec<_> = (0..5).map(Uuid::from_u128).collect();
    for random in 0..5 {
        let turns = by_turns(tenants.clone(), Uuid::from_u128(random + 10));
        assert_eq!(turns[0], Uuid::from_u128(random));
        let mut all: Vec<_> = turns.into();
        all.sort_unstable();
        assert_eq!(all, tenants);
    }
    assert!(by_turns(Vec::new(), Uuid::max()).is_empty());
}

#[tokio::test]
async fn what_is_said_of_tokens_goes_when_the_last_of_them_has_expired() {
    let ops = Ops::start(0).await;
    ops.sql(
        "INSERT INTO app.outdated_tokens
         SELECT sha256(n::text::bytea), now(), now() + n * interval '1 minute' FROM generate_series(-7, 3) AS n",
    )
    .await;
    let done = ops.clean_up(SMALL).await.unwrap();
    assert_eq!((&done["counters"], &done["complete"]), (&json!(14), &json!(true)), "the counters too");
    let left = "SELECT count(*) FROM app.outdated_tokens WHERE ends_at >= now() - interval '1 minute'";
    let left: i64 = sqlx::query_scalar(left).fetch_one(&mut ops.superuser().await).await.unwrap();
    assert_eq!(left, 4, "0 to 3: a minute late, for clocks that are behind");
}
