//! T2, T6 and T7 of THREATS for users: each wall by itself, and both together.

use http::Method;
use serde_json::{Value, json};
use shared::{
    access::Route,
    auth::Role,
    testing::{Event, Member, TestApp},
};
use sqlx::{AssertSqlSafe, Executor, raw_sql};
use users::Users;
use uuid::Uuid;

use crate::{LIST, get, items, one, path, start};

fn ids(found: &[Value]) -> Vec<Uuid> {
    found.iter().map(|user| user["id"].as_str().unwrap().parse().unwrap()).collect()
}

async fn rows(app: &TestApp<Users>, tenant: Uuid) -> Value {
    one(app, "SELECT jsonb_agg(to_jsonb(u) ORDER BY id) FROM users u WHERE tenant_id = $1", tenant).await
}

#[tokio::test]
async fn t2_another_tenants_user_is_the_same_404_on_every_route_and_recorded() {
    let app = start().await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    let before = rows(&app, ada.tenant).await;
    let routes = users::routes();
    let naming: Vec<&Route> = routes.list().iter().filter(|route| route.path.contains("{id}")).collect();
    assert_eq!(naming.len(), 5);
    for route in naming {
        for accept in ["application/json", "application/problem+json"] {
            let name = format!("{} {}", route.method, route.path);
            let mut answers = Vec::new();
            let (foreign, unknown) = (ada.user, eve.session);
            for id in [foreign, unknown] {
                let event = Event::new(&route.method, &route.path.replace("{id}", &id.to_string())).bearer(&eve.token);
                let event = event.header("x-request-id", "the-same").header("if-match", "*").header("accept", accept);
                let role = json!({ "role": "viewer" });
                let answer = app.send(if route.method == Method::PATCH { event.json(&role) } else { event }).await;
                // Both are as long, and the body of problem+json names the path.
                let text = String::from_utf8(answer.bytes.to_vec()).unwrap().replace(&id.to_string(), "<id>");
                answers.push((answer.status.as_u16(), answer.headers.clone(), text));
                let record = (route.action.as_str().into(), "failure".into(), Some("RES_001".into()), Some(id));
                assert_eq!(app.trail(eve.tenant).await.pop().unwrap(), record, "{name}");
            }
            assert_eq!(answers[0].0, 404, "{name}");
            assert_eq!(answers[0], answers[1], "{name}");
        }
    }
    assert_eq!((rows(&app, ada.tenant).await, app.trail(ada.tenant).await), (before, vec![]));
    assert_eq!(get(&app, &ada, &path(ada.user)).await.status, 200, "her session lives");
}

#[tokio::test]
async fn t2_no_list_filter_search_or_cursor_shows_another_tenants_users() {
    let app = start().await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    let bob = app.member(ada.tenant, Role::Admin).await;
    let cursor = get(&app, &ada, &format!("{LIST}?limit=1")).await.json()["next_cursor"].clone();
    let address: String = one(&app, "SELECT email FROM users WHERE id = $1", bob.user).await;
    for query in ["", "?role=admin", "?status=active", "?q=A%20User", &format!("?q={address}"), "?limit=100"] {
        let found = ids(&items(&get(&app, &eve, &format!("{LIST}{query}")).await));
        assert!(found.iter().all(|id| *id == eve.user), "{query}: {found:?}");
    }
    let foreign = format!("{LIST}?cursor={}", cursor.as_str().unwrap());
    assert_eq!(get(&app, &eve, &foreign).await.code(), "VAL_001");
    assert_eq!(get(&app, &bob, &foreign).await.code(), "VAL_001", "a colleague's");
    assert_eq!(ids(&items(&get(&app, &ada, &foreign).await)), [ada.user]);
}

/// The rows that a handler's own SQL finds, with `from` replaced by `to`.
fn altered(file: &str, statement: usize, from: &str, to: &str) -> String {
    let file = format!("{}/src/{file}", env!("CARGO_MANIFEST_DIR"));
    let source = std::fs::read_to_string(&file).unwrap();
    let sql = source.split("r#\"").nth(statement).unwrap().split("\"#").next().unwrap();
    assert!(sql.contains(from), "{file} no longer has {from}");
    format!("SELECT coalesce(jsonb_agg(found.*), '[]') FROM ({}) AS found", sql.replace(from, to))
}

#[tokio::test]
async fn t2_row_level_security_holds_without_the_where() {
    let app = start().await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    let before = rows(&app, ada.tenant).await;
    let mut runtime = app.database.runtime().await;
    for (statement, prefix) in [(1, None), (2, Some("a user"))] {
        let sql = altered("list.rs", statement, "tenant_id = caller.tenant_id", "caller.tenant_id IS NOT NULL");
        let query = sqlx::query_scalar::<_, Value>(AssertSqlSafe(sql)).bind(eve.tenant).bind(eve.session);
        let query = query.bind(None::<&str>).bind(None::<&str>).bind(None::<Uuid>).bind(100_i64);
        let query = if let Some(prefix) = prefix { query.bind(prefix) } else { query };
        let found = query.fetch_one(&mut runtime).await.unwrap();
        assert_eq!(ids(found.as_array().unwrap()), [eve.user]);
    }
    let sql = altered("read.rs", 1, "tenant_id = caller.tenant_id AND ", "");
    for (user, count) in [(ada.user, 0), (eve.user, 1)] {
        let query = sqlx::query_scalar::<_, Value>(AssertSqlSafe(sql.clone())).bind(eve.tenant).bind(eve.session);
        let found = query.bind(user).fetch_one(&mut runtime).await.unwrap();
        assert_eq!(found.as_array().unwrap().len(), count);
    }
    // Writes that name no tenant, and the functions that take only an id.
    let enter = format!("BEGIN; SELECT app.enter('{}', '{}')", eve.tenant, eve.session);
    runtime.execute(raw_sql(AssertSqlSafe(enter))).await.unwrap();
    let updated = runtime.execute("UPDATE users SET display_name = 'taken'").await.unwrap();
    assert_eq!(updated.rows_affected(), 1);
    let locked = sqlx::query("SELECT * FROM app.user_for_change($1)").bind(ada.user).fetch_all(&mut runtime).await;
    assert_eq!(locked.unwrap().len(), 0);
    sqlx::query("SELECT app.delete_user($1, now())").bind(ada.user).execute(&mut runtime).await.unwrap();
    let sql = "INSERT INTO users (tenant_id, id, email, display_name, role) VALUES ($1, $2, 'x@x', 'planted', 'admin')";
    let planted = sqlx::query(sql).bind(ada.tenant).bind(Uuid::nil()).execute(&mut runtime).await;
    assert!(planted.unwrap_err().to_string().contains("row-level security"));
    runtime.execute("COMMIT").await.unwrap();
    assert_eq!(rows(&app, ada.tenant).await, before);
}

#[tokio::test]
async fn t2_the_where_holds_without_row_level_security() {
    let app = start().await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    let before = rows(&app, ada.tenant).await;
    let open = "ALTER TABLE users NO FORCE ROW LEVEL SECURITY; ALTER TABLE users DISABLE ROW LEVEL SECURITY";
    app.superuser().await.execute(raw_sql(open)).await.unwrap();
    for query in ["", "?q=a"] {
        assert_eq!(ids(&items(&get(&app, &eve, &format!("{LIST}{query}")).await)), [eve.user], "{query}");
    }
    for route in users::routes().list().iter().filter(|route| route.path.contains("{id}")) {
        let event = Event::new(&route.method, &route.path.replace("{id}", &ada.user.to_string()));
        let event = event.bearer(&eve.token).header("if-match", "*").json(&json!({}));
        assert_eq!(app.send(event).await.code(), "RES_001", "{} {}", route.method, route.path);
    }
    assert_eq!(rows(&app, ada.tenant).await, before);
}

#[tokio::test]
async fn t6_an_address_and_a_name_are_unique_in_a_tenant_only() {
    let app = start().await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    let body = json!({ "email": "grace@acme.example", "display_name": "Grace", "role": "admin" });
    for member in [&ada, &eve] {
        let answer = app.send(Event::post(LIST, &body).bearer(&member.token).header("idempotency-key", "same")).await;
        assert_eq!((answer.status.as_u16(), answer.header("idempotency-replayed")), (201, ""));
    }
    // A session, a key and a todo name a user of their own tenant only.
    let mut superuser = app.superuser().await;
    for sql in [
        "INSERT INTO sessions (tenant_id, id, user_id, created_at, last_used_at, expires_at)
         VALUES ($1, gen_random_uuid(), $2, now(), now(), now())",
        "INSERT INTO todos (tenant_id, id, owner_id, title, created_at, updated_at)
         VALUES ($1, gen_random_uuid(), $2, 'x', now(), now())",
    ] {
        assert!(sqlx::query(sql).bind(ada.tenant).bind(eve.user).execute(&mut superuser).await.is_err(), "{sql}");
        sqlx::query(sql).bind(ada.tenant).bind(ada.user).execute(&mut superuser).await.unwrap();
    }
}

#[tokio::test]
async fn t7_without_a_tenant_there_is_no_user_and_nothing_fails() {
    let app = start().await;
    app.tenant("acme").await;
    let mut runtime = app.database.runtime().await;
    for setting in ["SELECT 1", "SELECT set_config('app.tenant_id', '', false)"] {
        runtime.execute(setting).await.unwrap();
        let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM users").fetch_one(&mut runtime).await;
        assert_eq!(count.unwrap(), 0, "{setting}");
    }
}

#[tokio::test]
async fn a_read_finds_its_rows_under_every_plan() {
    let app = start().await;
    let ada = app.tenant("acme").await;
    let mut superuser = app.superuser().await;
    let database = app.database.address().2;
    for setting in ["enable_nestloop = off", "plan_cache_mode = force_generic_plan", "enable_indexscan = off"] {
        let sql = format!("ALTER ROLE tenantry_runtime IN DATABASE {database} SET {setting}");
        superuser.execute(raw_sql(AssertSqlSafe(sql))).await.unwrap();
        let fresh = app.another(users::routes()).await;
        for target in [LIST.to_owned(), format!("{LIST}?q=a%20u&role=admin&status=active")] {
            assert_eq!(ids(&items(&get(&fresh, &ada, &target).await)), [ada.user], "{setting} {target}");
        }
        assert_eq!(get(&fresh, &ada, &path(ada.user)).await.status, 200, "{setting}");
    }
}

/// The password of a member, whose role is of no account here.
#[tokio::test]
async fn no_answer_holds_a_password_or_its_hash() {
    let app = start().await;
    let ada = app.tenant("acme").await;
    let secret = "$argon2id$v=19$m=65536,t=3,p=4,keyid=MQ$c29tZXNhbHRzb21lc2FsdA$aGFzaA";
    let sql = "UPDATE users SET password_hash = $1";
    sqlx::query(sql).bind(secret).execute(&mut app.superuser().await).await.unwrap();
    let bob: Member = app.member(ada.tenant, Role::Viewer).await;
    sqlx::query(sql).bind(secret).execute(&mut app.superuser().await).await.unwrap();
    for route in users::routes().list() {
        let event = Event::new(&route.method, &route.path.replace("{id}", &bob.user.to_string()));
        let body = if route.method == Method::PATCH { json!({ "display_name": "B" }) } else { json!({}) };
        let answer = app.send(event.bearer(&ada.token).header("if-match", "*").json(&body)).await;
        let text = format!("{answer:?}");
        assert!(!text.contains("argon2") && !text.contains("password_hash"), "{} {}", route.method, route.path);
    }
}
