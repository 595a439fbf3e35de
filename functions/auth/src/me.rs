//! `GET /api/v1/auth/me`

use axum::extract::State;
use serde::Serialize;
use shared::{Caller, Db, Result, auth::Permission, extract::Json, user::User};
use uuid::Uuid;

use crate::sessions::{Row, Session};

#[derive(Debug, Serialize)]
pub(crate) struct Me {
    user: User,
    tenant: Tenant,
    session: Session,
    permissions: Vec<Permission>,
}

#[derive(Debug, Serialize)]
struct Tenant {
    id: Uuid,
    slug: String,
    name: String,
    status: String,
}

/// Who the caller is, and what it may do. One round trip.
pub(crate) async fn me(caller: Caller, State(db): State<Db>) -> Result<Json<Me>> {
    let row = db
        .fetch_one(|| {
            sqlx::query!(
                r#"SELECT m.*
                     FROM app.enter($1, $2) AS caller,
                  LATERAL (SELECT u.id, u.email, u.display_name, u.role, u.status, u.version, u.created_at,
                                  u.updated_at, u.last_login_at,
                                  t.id AS tenant_id, t.slug, t.name, t.status AS tenant_status,
                                  s.id AS session_id, s.created_at AS session_created_at, s.last_used_at, s.expires_at,
                                  s.user_agent, s.source_address
                             FROM users u
                             JOIN tenants t ON t.id = u.tenant_id
                             JOIN sessions s ON s.tenant_id = u.tenant_id AND s.id = caller.session_id
                            WHERE u.tenant_id = caller.tenant_id AND u.id = caller.user_id
                            LIMIT 1) AS m"#,
                caller.tenant_id(),
                caller.session_id(),
            )
        })
        .await?;
    Ok(Json(Me {
        user: User {
            id: row.id,
            email: row.email,
            display_name: row.display_name,
            role: row.role,
            status: row.status,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
            last_login_at: row.last_login_at,
        },
        tenant: Tenant { id: row.tenant_id, slug: row.slug, name: row.name, status: row.tenant_status },
        session: Row {
            id: row.session_id,
            user_agent: row.user_agent,
            source_address: row.source_address,
            created_at: row.session_created_at,
            last_used_at: row.last_used_at,
            expires_at: row.expires_at,
        }
        .seen_from(caller.session_id()),
        permissions: caller.role().permissions().collect(),
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::{
        auth::Role,
        testing::{Event, TestApp},
    };

    use crate::trial::{PASSWORD, acme, login, sql};

    const PATH: &str = "/api/v1/auth/me";

    #[tokio::test]
    async fn a_caller_sees_itself_its_tenant_its_session_and_what_it_may_do() {
        let app = TestApp::start(crate::routes()).await;
        let pair = acme(&app).await;
        let answer = app.send(Event::get(PATH).bearer(&pair.access)).await;
        assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (200, "no-store"));
        insta::assert_json_snapshot!(answer.json(), {
            ".**.id" => "[id]", ".**.created_at" => "[time]", ".**.updated_at" => "[time]",
            ".**.last_login_at" => "[time]", ".**.last_used_at" => "[time]", ".**.expires_at" => "[time]",
        }, @r#"
        {
          "permissions": [
            "tenant:write",
            "identity_providers:read",
            "identity_providers:write",
            "users:read",
            "users:write",
            "audit:read",
            "todos:read",
            "todos:write"
          ],
          "session": {
            "created_at": "[time]",
            "current": true,
            "device": "tenantry-test",
            "expires_at": "[time]",
            "id": "[id]",
            "last_used_at": "[time]",
            "source_address": "203.0.113.7"
          },
          "tenant": {
            "id": "[id]",
            "name": "Acme Clinic",
            "slug": "acme",
            "status": "active"
          },
          "user": {
            "created_at": "[time]",
            "display_name": "Ada",
            "email": "ada@acme.example",
            "id": "[id]",
            "last_login_at": "[time]",
            "role": "admin",
            "status": "active",
            "updated_at": "[time]",
            "version": 1
          }
        }
        "#);
        let session = &answer.json()["session"];
        let time = |name: &str| session[name].as_str().unwrap().to_owned();
        assert!(time("created_at").ends_with('Z') && time("expires_at") > time("created_at"));
    }

    #[tokio::test]
    async fn a_read_enters_first_whatever_the_planner_prefers() {
        let app = TestApp::start(crate::routes()).await;
        sql(
            &app,
            "DO $$ DECLARE setting text; BEGIN
               FOREACH setting IN ARRAY ARRAY['enable_nestloop', 'enable_indexscan', 'enable_bitmapscan'] LOOP
                 EXECUTE format('ALTER DATABASE %I SET %s = off', current_database(), setting);
               END LOOP;
             END $$",
        )
        .await;
        let pair = acme(&app).await;
        let answer = app.send(Event::get(PATH).bearer(&pair.access)).await;
        assert_eq!(answer.json()["tenant"]["slug"], "acme", "{:?}", answer.log);
        let sessions = app.send(Event::get("/api/v1/auth/sessions").bearer(&pair.access)).await;
        assert_eq!(sessions.json()["items"][0]["current"], true);
        let form = [("token", &*pair.refresh)];
        let introspected = Event::post("/api/v1/auth/introspect", &json!(null)).form(&form).bearer(&pair.access);
        assert_eq!(app.send(introspected).await.json()["active"], true);
        assert_eq!(app.send(login("acme", "ada@acme.example", PASSWORD)).await.status, 200);
    }

    #[tokio::test]
    async fn the_permissions_are_those_of_the_role() {
        let app = TestApp::start(crate::routes()).await;
        let admin = app.tenant("acme").await;
        for role in [Role::Viewer, Role::Analyst, Role::Admin] {
            let member = app.member(admin.tenant, role).await;
            let body = app.send(Event::get(PATH).bearer(&member.token)).await.json();
            assert_eq!(body["user"]["role"], json!(role));
            assert_eq!(body["permissions"], json!(role.permissions().collect::<Vec<_>>()));
        }
    }

    #[tokio::test]
    async fn a_session_counts_in_its_own_tenant_only() {
        let app = TestApp::start(crate::routes()).await;
        let (ada, bob) = (app.tenant("acme").await, app.tenant("other").await);
        let mut claims = app.claims(&ada);
        claims["tenant_id"] = json!(bob.tenant);
        let answer = app.send(Event::get(PATH).bearer(&app.keys.sign(&claims))).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (401, "AUTH_006"));
        let own = app.send(Event::get(PATH).bearer(&bob.token)).await.json();
        assert_eq!((&own["tenant"]["id"], &own["user"]["id"]), (&json!(bob.tenant), &json!(bob.user)));
    }

    #[tokio::test]
    async fn a_token_is_worth_as_much_as_its_session_user_and_tenant() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        for (statement, undone, code) in [
            ("UPDATE users SET status = 'inactive'", "UPDATE users SET status = 'active'", "AUTH_006"),
            ("UPDATE sessions SET ended_at = now()", "UPDATE sessions SET ended_at = NULL", "AUTH_006"),
            (
                "UPDATE sessions SET expires_at = now()",
                "UPDATE sessions SET expires_at = now() + interval '1 hour'",
                "AUTH_006",
            ),
            ("UPDATE tenants SET status = 'suspended'", "UPDATE tenants SET status = 'active'", "TEN_004"),
        ] {
            sql(&app, statement).await;
            assert_eq!(app.send(Event::get(PATH).bearer(&ada.token)).await.code(), code, "{statement}");
            sql(&app, undone).await;
            assert_eq!(app.send(Event::get(PATH).bearer(&ada.token)).await.code(), "none", "{undone}");
        }
        let reasons: Vec<_> = app.trail(ada.tenant).await.into_iter().map(|record| record.2).collect();
        let expected = ["AUTH_006", "AUTH_006", "AUTH_006", "TEN_004"];
        assert_eq!(reasons, expected.map(|reason| Some(reason.to_owned())));
    }
}
