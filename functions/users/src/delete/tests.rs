use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use shared::{
    auth::Role,
    testing::{Event, Member, TestApp},
};
use sqlx::{AssertSqlSafe, Executor, error::DatabaseError, raw_sql};
use uuid::Uuid;

use crate::{
    Users,
    trial::{USERS, created, delete, get, grace, last_record, one, own, patch, path, set},
};

/// A user of whom everything is known, with rows of its own in every table.
async fn whole_person(app: &TestApp<Users>, tenant: Uuid) -> Member {
    let bob = app.member(tenant, Role::Admin).await;
    let sql = format!(
        "UPDATE users SET email = 'bob.secret@acme.example', display_name = 'Bob Secret', last_login_at = now(),
                password_hash = '$argon2id$secret' WHERE id = '{user}';
         UPDATE sessions SET user_agent = 'secret browser', source_address = '198.51.100.77' WHERE user_id = '{user}';
         INSERT INTO todos (tenant_id, id, owner_id, title, created_at, updated_at)
         SELECT '{tenant}', gen_random_uuid(), '{user}', 'secret todo', now(), now() FROM generate_series(1, 3)",
        user = bob.user
    );
    app.superuser().await.execute(raw_sql(AssertSqlSafe(sql))).await.unwrap();
    let event = Event::post(USERS, &json!({ "email": "c@acme.example", "display_name": "Cleo", "role": "viewer" }));
    assert_eq!(app.send(event.bearer(&bob.token).header("idempotency-key", "by-bob")).await.status, 201);
    bob
}

/// Every row of the tables in which a user may be named, as text.
async fn dump(app: &TestApp<Users>) -> String {
    let tables = ["users", "sessions", "refresh_tokens", "idempotency_keys", "todos", "audit_events"];
    let rows = tables.map(|table| format!("SELECT t::text FROM {table} t")).join(" UNION ALL ");
    let rows = sqlx::query_scalar::<_, String>(AssertSqlSafe(rows)).fetch_all(&mut app.superuser().await).await;
    rows.unwrap().join("\n")
}

#[tokio::test]
async fn a_deleted_user_is_gone_for_everybody_and_recorded_once() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let bob = app.member(ada.tenant, Role::Admin).await;
    let target = path(bob.user);
    let answer = app.send(delete(&target, &ada, "\"1\"")).await;
    assert_eq!((answer.status.as_u16(), answer.bytes.len(), answer.header("etag")), (204, 0, ""), "{:?}", answer.log);
    assert_eq!(app.trail(ada.tenant).await, [("users.delete".into(), "success".into(), None, Some(bob.user))]);
    assert_eq!(own(&app, &bob).await, "AUTH_006");
    let unknown = path(Uuid::nil());
    for (name, event) in [
        ("read", &(|target: &str| Event::get(target).bearer(&ada.token)) as &dyn Fn(&str) -> Event),
        ("update", &|target| patch(target, &ada, "*", &json!({ "display_name": "Lazarus" }))),
        ("activate", &|target| set("activate", target, &ada, "*")),
        ("deactivate", &|target| set("deactivate", target, &ada, "*")),
        ("delete", &|target| delete(target, &ada, "*")),
    ] {
        let gone = app.send(event(&target).header("x-request-id", "the-same")).await;
        let never = app.send(event(&unknown).header("x-request-id", "the-same")).await;
        assert_eq!((gone.status.as_u16(), &gone.bytes, &gone.headers), (404, &never.bytes, &never.headers), "{name}");
    }
    assert_eq!(get(&app, &ada, USERS).await.json()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn of_a_deleted_user_the_id_stays_and_of_the_person_nothing() {
    let app = TestApp::start(crate::routes()).await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    let (bob, namesake) = (whole_person(&app, ada.tenant).await, whole_person(&app, eve.tenant).await);
    let before = dump(&app).await;
    let known = ["secret", "Secret", "198.51.100.77", "bob"];
    assert!(known.iter().all(|word| before.contains(word)), "{before}");
    assert_eq!(app.send(delete(&path(bob.user), &ada, "*")).await.status, 204);
    assert_eq!(app.send(delete(&path(namesake.user), &eve, "*")).await.status, 204);
    let after = dump(&app).await;
    for word in known {
        assert!(!after.contains(word), "{word} in {after}");
    }
    let row: Value =
        one(&app, "SELECT to_jsonb(u) - 'created_at' - 'updated_at' FROM users u WHERE id = $1", bob.user).await;
    let expected = json!({
        "tenant_id": ada.tenant, "id": bob.user, "email": bob.user, "display_name": "Deleted user",
        "display_name_searched": "deleted user", "role": "admin", "status": "deleted", "password_hash": null,
        "version": 2, "last_login_at": null,
    });
    assert_eq!(row, expected);
    let acts = "SELECT count(*) FROM audit_events a JOIN users u ON u.tenant_id = a.tenant_id AND u.id = a.actor_id
                 WHERE u.id = $1";
    assert_eq!(one::<i64>(&app, acts, bob.user).await, 1, "what Bob did is still Bob's");
}

/// What providers know users by.
const FEDERATED: &str = "
    INSERT INTO federated_identities (tenant_id, issuer, subject, user_id, asserted_at, created_at)
    SELECT tenant_id, 'https://idp.example.com', 'subject of ' || role, id, now(), now() FROM users;
    UPDATE sessions s SET issuer = 'https://idp.example.com', subject = 'subject of ' || u.role, provider_session = 'sid',
           end_session_url = 'https://idp.example.com/end?hint=' || u.role
      FROM users u WHERE u.id = s.user_id";

#[tokio::test]
async fn a_provider_knows_a_deleted_user_no_more_and_the_others_as_before() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let bob = app.member(ada.tenant, Role::Viewer).await;
    app.superuser().await.execute(raw_sql(FEDERATED)).await.unwrap();
    assert_eq!(app.send(delete(&path(bob.user), &ada, "*")).await.status, 204);
    let query = "SELECT (SELECT jsonb_agg(subject) FROM federated_identities WHERE tenant_id = $1)
                     || (SELECT jsonb_agg(jsonb_build_array(subject, provider_session, end_session_url) ORDER BY ended_at)
                           FROM sessions WHERE tenant_id = $1)";
    let left: Value = one(&app, query, ada.tenant).await;
    let kept = json!(["subject of admin", "sid", "https://idp.example.com/end?hint=admin"]);
    assert_eq!(left, json!(["subject of admin", [null, null, null], kept]));
}

/// A session of a provider's access tokens: superseded, the same tokens may
/// begin another one.
#[tokio::test]
async fn a_providers_token_begins_another_session_after_a_new_role_or_a_deactivation_and_none_after_a_deletion() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    for (superseded, act) in [(true, "demote"), (true, "deactivate"), (false, "delete")] {
        let bob = app.member(ada.tenant, Role::Analyst).await;
        let of_tokens = "UPDATE sessions SET bearer_key = sha256(id::text::bytea) WHERE user_id = $1";
        sqlx::query(of_tokens).bind(bob.user).execute(&mut app.superuser().await).await.unwrap();
        let target = path(bob.user);
        let answer = app.send(match act {
            "demote" => patch(&target, &ada, "*", &json!({ "role": "viewer" })),
            "deactivate" => set(act, &target, &ada, "*"),
            _ => delete(&target, &ada, "*"),
        });
        assert!(answer.await.status.is_success(), "{act}");
        let ended = "SELECT superseded FROM sessions WHERE user_id = $1 AND ended_at IS NOT NULL";
        assert_eq!(one::<bool>(&app, ended, bob.user).await, superseded, "{act}");
    }
    let sign_ins = "SELECT count(*) FROM sessions WHERE tenant_id = $1 AND bearer_key IS NULL AND superseded";
    assert_eq!(one::<i64>(&app, sign_ins, ada.tenant).await, 0);
}

#[tokio::test]
async fn the_address_of_a_deleted_user_may_be_used_anew_by_somebody_else() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let (user, target) = created(&app, &ada, &grace()).await;
        assert!(!ids.contains(&user["id"]));
        ids.push(user["id"].clone());
        assert_eq!(app.send(delete(&target, &ada, "\"1\"")).await.status, 204);
    }
    let (user, _) = created(&app, &ada, &grace()).await;
    assert!(!ids.contains(&user["id"]));
}

#[tokio::test]
async fn a_user_is_deleted_in_the_version_that_the_caller_knows_only() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let bob = app.member(ada.tenant, Role::Viewer).await;
    let none = Event::new(&Method::DELETE, &path(bob.user)).bearer(&ada.token);
    assert_eq!(app.send(none).await.code(), "REQ_006");
    for stale in ["\"2\"", "W/\"1\"", "1"] {
        assert_eq!(app.send(delete(&path(bob.user), &ada, stale)).await.code(), "REQ_007", "{stale}");
    }
    assert_eq!(own(&app, &bob).await, "none");
}

#[tokio::test]
async fn l3_a_deletion_that_cannot_be_recorded_does_not_happen() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let bob = whole_person(&app, ada.tenant).await;
    let before = dump(&app).await;
    let full = "ALTER TABLE audit_events ADD CONSTRAINT full_disk CHECK (false) NOT VALID";
    app.superuser().await.execute(full).await.unwrap();
    for event in [
        delete(&path(bob.user), &ada, "*"),
        set("deactivate", &path(bob.user), &ada, "*"),
        set("activate", &path(bob.user), &ada, "*"),
        patch(&path(bob.user), &ada, "*", &json!({ "role": "viewer" })),
    ] {
        let answer = app.send(event).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (503, "SYS_002"));
    }
    assert_eq!((dump(&app).await, &*own(&app, &bob).await), (before, "none"));
}

/// A request that had entered the tenant before its user was deleted.
#[tokio::test]
async fn what_a_deleted_user_was_just_adding_is_refused_and_what_it_had_added_is_deleted() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let insert = "INSERT INTO todos (tenant_id, id, owner_id, title, created_at, updated_at)
                  VALUES ($1, gen_random_uuid(), $2, 'late', now(), now())";
    for inserts_first in [true, false] {
        let bob = app.member(ada.tenant, Role::Viewer).await;
        let mut adding = app.database.runtime().await;
        let enter = format!("BEGIN; SELECT app.enter('{}', '{}')", bob.tenant, bob.session);
        adding.execute(raw_sql(AssertSqlSafe(enter))).await.unwrap();
        let add = sqlx::query(insert).bind(bob.tenant).bind(bob.user);
        if inserts_first {
            add.execute(&mut adding).await.unwrap();
            let committing = async {
                tokio::time::sleep(Duration::from_millis(300)).await;
                adding.execute("COMMIT").await.unwrap();
            };
            let (deleted, ()) = tokio::join!(app.send(delete(&path(bob.user), &ada, "*")), committing);
            assert_eq!(deleted.status, 204, "{:?}", deleted.log);
        } else {
            assert_eq!(app.send(delete(&path(bob.user), &ada, "*")).await.status, 204);
            let refused = add.execute(&mut adding).await.unwrap_err();
            assert_eq!(refused.as_database_error().and_then(DatabaseError::code).as_deref(), Some("TN001"));
        }
        let left: i64 = one(&app, "SELECT count(*) FROM todos WHERE owner_id = $1", bob.user).await;
        assert_eq!(left, 0, "inserts first: {inserts_first}");
    }
}

#[tokio::test]
async fn an_admin_may_delete_itself_where_another_one_stays() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    assert_eq!(app.send(delete(&path(ada.user), &ada, "*")).await.code(), "RES_006");
    app.member(ada.tenant, Role::Admin).await;
    assert_eq!(app.send(delete(&path(ada.user), &ada, "*")).await.status, 204);
    assert_eq!(own(&app, &ada).await, "AUTH_006");
    assert_eq!(last_record(&app, ada.tenant).await.0, "users.read", "her last attempt");
}
