//! `GET /api/v1/users/{id}`

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header::ETAG};
use shared::{
    Caller, Code, Db, Result,
    etag::{IfNoneMatch, etag},
    extract::Path,
    user::User,
};
use uuid::Uuid;

/// One of the tenant's users, or the caller itself. One round trip.
pub(crate) async fn read(
    caller: Caller,
    State(db): State<Db>,
    Path(id): Path<Uuid>,
    known: IfNoneMatch,
) -> Result<Response> {
    let user = db
        .fetch_optional(|| {
            sqlx::query_as!(
                User,
                r#"SELECT u.id, u.email, u.display_name, u.role, u.status, u.version, u.created_at, u.updated_at,
                          u.last_login_at
                     FROM app.enter($1, $2) AS caller,
                  LATERAL (SELECT * FROM users
                            WHERE tenant_id = caller.tenant_id AND id = $3 AND status <> 'deleted'
                            LIMIT 1) AS u"#,
                caller.tenant_id(),
                caller.session_id(),
                id,
            )
        })
        .await?
        .ok_or(Code::NotFound)?;
    if known.holds(user.version) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, etag(user.version))]).into_response());
    }
    Ok(user.into_response())
}
