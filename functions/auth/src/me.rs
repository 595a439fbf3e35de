//! `GET /api/v1/auth/me`

use axum::extract::State;
use serde::Serialize;
use shared::{Caller, Db, Result, auth::Permission, extract::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::user::User;

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

#[derive(Debug, Serialize)]
struct Session {
    id: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    last_used_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
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
                                  s.id AS session_id, s.created_at AS session_created_at, s.last_used_at, s.expires_at
                             FROM users u
                             JOIN tenants t ON t.id = u.tenant_id
                             JOIN sessions s ON s.tenant_id = u.tenant_id AND s.id = caller.session_id
                            WHERE u.tenant_id = caller.tenant_id AND u.id = caller.user_id) AS m"#,
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
        session: Session {
            id: row.session_id,
            created_at: row.session_created_at,
            last_used_at: row.last_used_at,
            expires_at: row.expires_at,
        },
        permissions: caller.role().permissions().collect(),
    }))
}
