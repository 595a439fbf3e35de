//! T2, T6 and T7 of THREATS for identity providers: each wall by itself, and
//! both together.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use http::Method;
use serde_json::{Value, json};
use shared::{
    access::Route,
    testing::{Event, Member, TestApp},
};
use sqlx::{AssertSqlSafe, Executor, raw_sql};
use tenants::Tenants;
use uuid::Uuid;

const LIST: &str = "/api/v1/tenants/current/identity-providers";

async fn start() -> TestApp<Tenants> {
    TestApp::start(tenants::routes()).await
}

/// Registers a provider, the same for every tenant.
async fn register(app: &TestApp<Tenants>, member: &Member) -> Value {
    let body = json!({
        "name": "entra", "issuer": "https://93.184.215.14/common", "audiences": ["api://tenantry"], "client_id": "c",
    });
    let answer = app.send(Event::post(LIST, &body).bearer(&member.token)).await;
    assert_eq!(answer.status, 201, "{:?}", answer.log);
    answer.json()
}

fn path(provider: &Value) -> String {
    format!("{LIST}/{}", provider["id"].as_str().unwrap())
}

async fn items(app: &TestApp<Tenants>, member: &Member) -> Value {
    app.send(Event::get(LIST).bearer(&member.token)).await.json()["items"].clone()
}

#[tokio::test]
async fn t2_another_tenants_provider_is_the_same_404_on_every_route_and_recorded() {
    let app = start().await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    let hers = register(&app, &ada).await;
    register(&app, &eve).await;
    let (foreign, unknown) = (hers["id"].as_str().unwrap(), Uuid::nil().to_string());
    let routes = tenants::routes();
    let naming: Vec<&Route> = routes.list().iter().filter(|route| route.path.contains("{id}")).collect();
    assert!(naming.len() >= 3);
    for route in naming {
        let mut answers = Vec::new();
        for id in [foreign, &unknown] {
            let event = Event::new(&route.method, &route.path.replace("{id}", id)).bearer(&eve.token);
            let event = event.header("x-request-id", "the-same").header("if-match", "*");
            let event =
                if route.method == Method::PATCH { event.json(&json!({ "status": "inactive" })) } else { event };
            answers.push(app.send(event).await);
        }
        let name = format!("{} {}", route.method, route.path);
        assert_eq!((answers[0].status.as_u16(), &*answers[0].code()), (404, "RES_001"), "{name}");
        assert_eq!((&answers[0].headers, &answers[0].bytes), (&answers[1].headers, &answers[1].bytes), "{name}");
        let trail = app.trail(eve.tenant).await;
        let record =
            |id: &str| (route.action.as_str().into(), "failure".into(), Some("RES_001".into()), id.parse().ok());
        assert_eq!(trail[trail.len() - 2..], [record(foreign), record(&unknown)], "{name}");
    }
    assert_eq!(app.trail(ada.tenant).await.len(), 1, "her own registration");
    assert_eq!(app.send(Event::get(&path(&hers)).bearer(&ada.token)).await.json(), hers);
}

/// The rows that a handler's own SQL finds, with `from` replaced by `to`.
fn altered(file: &str, from: &str, to: &str) -> String {
    let file = format!("{}/src/identity_providers/{file}", env!("CARGO_MANIFEST_DIR"));
    let source = std::fs::read_to_string(&file).unwrap();
    let sql = source.split("r#\"").nth(1).unwrap().split("\"#").next().unwrap();
    assert!(sql.contains(from), "{file} no longer has {from}");
    format!("SELECT coalesce(jsonb_agg(found.*), '[]') FROM ({}) AS found", sql.replace(from, to))
}

#[tokio::test]
async fn t2_row_level_security_holds_without_the_where() {
    let app = start().await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    let (hers, mine) = (register(&app, &ada).await, register(&app, &eve).await);
    let mut runtime = app.database.runtime().await;
    let list = altered("list.rs", "tenant_id = caller.tenant_id", "caller.tenant_id IS NOT NULL");
    let query = sqlx::query_scalar::<_, Value>(AssertSqlSafe(list)).bind(eve.tenant).bind(eve.session);
    let found = query.bind(None::<Uuid>).bind(100_i64).fetch_one(&mut runtime).await.unwrap();
    let ids: Vec<_> = found.as_array().unwrap().iter().map(|row| &row["id"]).collect();
    assert_eq!(ids, [&mine["id"]]);
    let read = altered("read.rs", "tenant_id = caller.tenant_id AND ", "");
    for (provider, count) in [(&hers, 0), (&mine, 1)] {
        let id: Uuid = provider["id"].as_str().unwrap().parse().unwrap();
        let query = sqlx::query_scalar::<_, Value>(AssertSqlSafe(read.clone())).bind(eve.tenant).bind(eve.session);
        let query = query.bind(id).bind("identity_providers.read").bind("trace-1").bind(None::<String>);
        let found = query.fetch_one(&mut runtime).await.unwrap();
        assert_eq!(found.as_array().unwrap().len(), count);
    }
    // Writes that name no tenant.
    let enter = format!("BEGIN; SELECT app.enter('{}', '{}')", eve.tenant, eve.session);
    runtime.execute(raw_sql(AssertSqlSafe(enter))).await.unwrap();
    for sql in [
        "UPDATE tenants SET name = 'taken'",
        "UPDATE identity_providers SET name = 'taken'",
        "DELETE FROM identity_providers",
    ] {
        assert_eq!(runtime.execute(sql).await.unwrap().rows_affected(), 1, "{sql}");
    }
    runtime.execute("ROLLBACK").await.unwrap();
    assert_eq!(items(&app, &ada).await, json!([hers]));
}

#[tokio::test]
async fn t2_the_where_holds_without_row_level_security() {
    let app = start().await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    let hers = register(&app, &ada).await;
    let mut superuser = app.superuser().await;
    for table in ["tenants", "identity_providers"] {
        let sql =
            format!("ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY; ALTER TABLE {table} DISABLE ROW LEVEL SECURITY");
        superuser.execute(raw_sql(AssertSqlSafe(sql))).await.unwrap();
    }
    assert_eq!(items(&app, &eve).await, json!([]));
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        let event = Event::new(&method, &path(&hers)).bearer(&eve.token).header("if-match", "*").json(&json!({}));
        assert_eq!(app.send(event).await.code(), "RES_001", "{method}");
    }
    let current = "/api/v1/tenants/current";
    let rename = Event::new(&Method::PATCH, current).bearer(&eve.token).header("if-match", "*");
    assert_eq!(app.send(rename.json(&json!({ "name": "Taken" }))).await.status, 200);
    assert_eq!(app.send(Event::get(current).bearer(&ada.token)).await.json()["name"], "acme");
    assert_eq!(items(&app, &ada).await, json!([hers]));
}

#[tokio::test]
async fn t7_without_a_tenant_the_table_is_empty_and_nothing_fails() {
    let app = start().await;
    let ada = app.tenant("acme").await;
    register(&app, &ada).await;
    let mut runtime = app.database.runtime().await;
    for setting in ["SELECT 1", "SELECT set_config('app.tenant_id', '', false)"] {
        runtime.execute(setting).await.unwrap();
        let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM identity_providers");
        assert_eq!(count.fetch_one(&mut runtime).await.unwrap(), 0, "{setting}");
    }
}

#[tokio::test]
async fn a_read_finds_its_rows_under_every_plan() {
    let app = start().await;
    let ada = app.tenant("acme").await;
    let hers = register(&app, &ada).await;
    let mut superuser = app.superuser().await;
    let database = app.database.address().2;
    for setting in ["enable_nestloop = off", "plan_cache_mode = force_generic_plan", "enable_indexscan = off"] {
        let sql = format!("ALTER ROLE tenantry_runtime IN DATABASE {database} SET {setting}");
        superuser.execute(raw_sql(AssertSqlSafe(sql))).await.unwrap();
        let fresh = app.another(tenants::routes()).await;
        assert_eq!(items(&fresh, &ada).await, json!([hers]), "{setting}");
        for target in [path(&hers), "/api/v1/tenants/current".to_owned()] {
            assert_eq!(fresh.send(Event::get(&target).bearer(&ada.token)).await.status, 200, "{setting}");
        }
        let db = shared::app::Group::db(&fresh.group).unwrap();
        let key = shared::auth::provider::Key::Issuer("https://93.184.215.14/common");
        let found = shared::auth::provider::Provider::find(db, ada.tenant, key).await.unwrap();
        assert_eq!(found.map(|provider| provider.id.to_string()).as_deref(), hers["id"].as_str(), "{setting}");
    }
}
