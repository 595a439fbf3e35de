//! Tenants: T1, T2 and T7 of THREATS, and each wall alone.

use http::Method;
use serde_json::{Value, json};
use shared::testing::{Event, TestApp};
use sqlx::Executor;
use uuid::Uuid;

const LIST: &str = "/api/v1/todos";

#[tokio::test]
async fn a_token_names_one_tenant_in_one_string_or_is_refused() {
    let app = TestApp::start(todos::routes()).await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    for (tenant_id, organization_id, code) in [
        (None, None, "TEN_001"),
        (Some(json!("")), None, "TEN_001"),
        (Some(json!(null)), None, "TEN_001"),
        (None, Some(json!("")), "TEN_001"),
        (Some(json!([ada.tenant])), None, "TEN_002"),
        (Some(json!({ "id": ada.tenant })), None, "TEN_002"),
        (Some(json!(7)), None, "TEN_002"),
        (Some(json!("acme")), None, "TEN_002"),
        (Some(json!(format!("{}, {}", ada.tenant, eve.tenant))), None, "TEN_002"),
        (Some(json!(ada.tenant)), Some(json!(eve.tenant)), "TEN_002"),
        (Some(json!(ada.tenant)), Some(json!(null)), "TEN_002"),
        (Some(json!("")), Some(json!(ada.tenant)), "TEN_002"),
        (Some(json!(ada.tenant)), Some(json!(ada.tenant)), "none"),
        (None, Some(json!(ada.tenant)), "none"),
    ] {
        let mut claims = app.claims(&ada);
        let names = claims.as_object_mut().unwrap();
        names.remove("tenant_id");
        names.extend(tenant_id.map(|value| ("tenant_id".to_owned(), value)));
        names.extend(organization_id.map(|value| ("organization_id".to_owned(), value)));
        let what = claims.to_string();
        let answer = app.send(Event::get(LIST).bearer(&app.keys.sign(&claims))).await;
        assert_eq!(answer.code(), code, "{what}");
        assert_eq!(answer.status, if code == "none" { 200 } else { 403 }, "{what}");
    }
    assert_eq!(app.trail(ada.tenant).await, []);
}

#[tokio::test]
async fn a_token_for_another_tenant_than_its_sessions_is_refused() {
    let app = TestApp::start(todos::routes()).await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    for (name, value) in [("tenant_id", eve.tenant), ("sid", eve.session)] {
        let mut claims = app.claims(&ada);
        claims[name] = json!(value);
        let answer = app.send(Event::get(LIST).bearer(&app.keys.sign(&claims))).await;
        assert_eq!(answer.code(), "AUTH_006", "{name}");
    }
}

#[tokio::test]
async fn no_header_query_or_host_overrides_the_token() {
    let app = TestApp::start(todos::routes()).await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    app.send(Event::post(LIST, &json!({ "title": "hers" })).bearer(&ada.token)).await;
    let tenant = ada.tenant.to_string();
    for name in ["x-tenant-id", "x-tenant", "tenant-id", "x-organization-id", "x-forwarded-host", "x-original-url"] {
        let answer = app.send(Event::get(LIST).bearer(&eve.token).header(name, &tenant)).await;
        assert_eq!(answer.json()["items"], json!([]), "{name}");
    }
    let host = app.send(Event::get(LIST).bearer(&eve.token).header("host", "acme.example.com")).await;
    assert_eq!(host.json()["items"], json!([]));
    for name in ["tenant_id", "tenant", "organization_id"] {
        let answer = app.send(Event::get(&format!("{LIST}?{name}={tenant}")).bearer(&eve.token)).await;
        assert_eq!(answer.code(), "VAL_001", "{name}");
    }
}

#[tokio::test]
async fn every_route_that_takes_an_id_answers_a_foreign_one_as_an_unknown_one() {
    let app = TestApp::start(todos::routes()).await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    let created = app.send(Event::post(LIST, &json!({ "title": "hers" })).bearer(&ada.token)).await;
    let foreign = created.json()["id"].as_str().unwrap().to_owned();
    let routes = todos::routes();
    let taking: Vec<_> = routes.list().iter().filter(|route| route.path.contains("{id}")).collect();
    assert_eq!(taking.len(), 3);
    for route in taking {
        for accept in ["application/json", "application/problem+json"] {
            let event = |id: &str| {
                let target = route.path.replace("{id}", id);
                let event = Event::new(&route.method, &target).bearer(&eve.token).header("if-match", "\"1\"");
                let event = event.header("x-request-id", "the-same").header("accept", accept);
                if route.method == Method::PATCH { event.json(&json!({ "title": "x" })) } else { event }
            };
            let unknown_id = eve.session.to_string();
            let unknown = app.send(event(&unknown_id)).await;
            let seen = app.send(event(&foreign)).await;
            let name = format!("{} {}", route.method, route.path);
            assert_eq!(seen.status, 404, "{name}");
            assert_eq!(seen.headers, unknown.headers, "{name}");
            let text = String::from_utf8(seen.bytes.to_vec()).unwrap();
            assert_eq!(text.replace(&foreign, &unknown_id).as_bytes(), unknown.bytes, "{name}");
            let record = app.trail(eve.tenant).await.pop().unwrap();
            let object = foreign.parse().ok();
            assert_eq!(
                record,
                (route.action.as_str().into(), "failure".into(), Some("RES_001".into()), object),
                "{name}"
            );
        }
    }
    let now = app.send(Event::get(created.header("location")).bearer(&ada.token)).await;
    assert_eq!((now.json(), app.trail(ada.tenant).await.len()), (created.json(), 1));
}

/// The rows that the handlers' own SQL finds, with `from` replaced by `to`.
fn altered(file: &str, from: &str, to: &str) -> String {
    let source = std::fs::read_to_string(format!("{}/src/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let sql = source.split("r#\"").nth(1).unwrap().split("\"#").next().unwrap();
    assert!(sql.contains(from), "{file} no longer has {from}");
    format!("SELECT coalesce(jsonb_agg(found.*), '[]') FROM ({}) AS found", sql.replace(from, to))
}

#[tokio::test]
async fn row_level_security_holds_without_the_where() {
    let app = TestApp::start(todos::routes()).await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    let hers = app.send(Event::post(LIST, &json!({ "title": "hers" })).bearer(&ada.token)).await.json();
    let mine = app.send(Event::post(LIST, &json!({ "title": "mine" })).bearer(&eve.token)).await.json();
    let mut runtime = app.database.runtime().await;
    let list = altered(
        "list.rs",
        "tenant_id = caller.tenant_id AND owner_id = caller.user_id",
        "caller.tenant_id IS NOT NULL",
    );
    let found: Value = sqlx::query_scalar(sqlx::AssertSqlSafe(list))
        .bind(eve.tenant)
        .bind(eve.session)
        .bind(None::<bool>)
        .bind(None::<time::OffsetDateTime>)
        .bind(None::<Uuid>)
        .bind(100_i64)
        .fetch_one(&mut runtime)
        .await
        .unwrap();
    let ids: Vec<_> = found.as_array().unwrap().iter().map(|row| &row["id"]).collect();
    assert_eq!(ids, [&mine["id"]]);
    let read = altered("read.rs", "tenant_id = caller.tenant_id AND owner_id = caller.user_id AND ", "");
    for (id, count) in [(&hers["id"], 0), (&mine["id"], 1)] {
        let found: Value = sqlx::query_scalar(sqlx::AssertSqlSafe(read.clone()))
            .bind(eve.tenant)
            .bind(eve.session)
            .bind(id.as_str().unwrap().parse::<Uuid>().unwrap())
            .fetch_one(&mut runtime)
            .await
            .unwrap();
        assert_eq!(found.as_array().unwrap().len(), count);
    }
    // Writes, with neither tenant nor owner named.
    runtime
        .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
            "BEGIN; SELECT app.enter('{}', '{}')",
            eve.tenant, eve.session
        ))))
        .await
        .unwrap();
    for sql in ["UPDATE todos SET title = 'taken'", "DELETE FROM todos"] {
        assert_eq!(runtime.execute(sql).await.unwrap().rows_affected(), 1, "{sql}");
    }
    let insert = "INSERT INTO todos SELECT $1, $2, $3, 'planted', false, NULL, 1, now(), now()";
    let planted = sqlx::query(insert).bind(ada.tenant).bind(Uuid::nil()).bind(ada.user).execute(&mut runtime).await;
    assert!(planted.unwrap_err().to_string().contains("row-level security"));
}

#[tokio::test]
async fn the_where_holds_without_row_level_security() {
    let app = TestApp::start(todos::routes()).await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    let created = app.send(Event::post(LIST, &json!({ "title": "hers" })).bearer(&ada.token)).await;
    let target = created.header("location");
    app.superuser()
        .await
        .execute("ALTER TABLE todos NO FORCE ROW LEVEL SECURITY; ALTER TABLE todos DISABLE ROW LEVEL SECURITY")
        .await
        .unwrap();
    assert_eq!(app.send(Event::get(LIST).bearer(&eve.token)).await.json()["items"], json!([]));
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        let event =
            Event::new(&method, target).bearer(&eve.token).header("if-match", "*").json(&json!({ "title": "x" }));
        assert_eq!(app.send(event).await.code(), "RES_001", "{method}");
    }
    assert_eq!(app.send(Event::get(target).bearer(&ada.token)).await.json(), created.json());
}

#[tokio::test]
async fn without_a_tenant_every_table_is_empty_and_nothing_fails() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let event = Event::post(LIST, &json!({ "title": "hers" })).bearer(&ada.token).header("idempotency-key", "k");
    assert_eq!(app.send(event).await.status, 201);
    let mut runtime = app.database.runtime().await;
    let tables = "SELECT c.oid::regclass::text FROM pg_class c WHERE relnamespace = 'public'::regnamespace
                     AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> '_sqlx_migrations'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut app.superuser().await).await.unwrap();
    assert!(tables.len() >= 10, "{tables:?}");
    let unset = "SELECT 1";
    let empty = "SELECT set_config('app.tenant_id', '', false), set_config('app.tenant_slug', '', false)";
    let once = "BEGIN; SELECT set_config('app.tenant_id', gen_random_uuid()::text, true); ROLLBACK";
    for setting in [unset, once, empty] {
        runtime.execute(sqlx::raw_sql(setting)).await.unwrap();
        for table in &tables {
            let sql = format!("SELECT count(*) FROM {table}");
            let rows: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&mut runtime).await.unwrap();
            assert_eq!(rows, 0, "{table} after {setting}");
        }
    }
}

#[tokio::test]
async fn a_read_finds_its_rows_under_every_plan() {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    app.send(Event::post(LIST, &json!({ "title": "hers" })).bearer(&ada.token)).await;
    let mut superuser = app.superuser().await;
    let database = app.database.address().2;
    for setting in [
        "enable_nestloop = off",
        "plan_cache_mode = force_generic_plan",
        "enable_indexscan = off",
        "jit_above_cost = 0",
    ] {
        let sql = format!("ALTER ROLE tenantry_runtime IN DATABASE {database} SET {setting}");
        superuser.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await.unwrap();
        let fresh = app.another(todos::routes()).await;
        let list = fresh.send(Event::get(LIST).bearer(&ada.token)).await.json();
        assert_eq!(list["items"].as_array().unwrap().len(), 1, "{setting}");
    }
}
