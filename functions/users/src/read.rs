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

#[cfg(test)]
mod tests {
    use shared::{
        auth::Role,
        testing::{Event, TestApp},
    };

    use crate::trial::{get, path};

    #[tokio::test]
    async fn an_admin_reads_every_user_of_the_tenant_and_a_user_itself() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        let viewer = app.member(ada.tenant, Role::Viewer).await;
        let (by_admin, by_itself) =
            (get(&app, &ada, &path(viewer.user)).await, get(&app, &viewer, &path(viewer.user)).await);
        assert_eq!((by_admin.status.as_u16(), by_admin.header("etag")), (200, "\"1\""), "{:?}", by_admin.log);
        assert_eq!(
            (&by_admin.headers.get("etag"), by_admin.json()),
            (&by_itself.headers.get("etag"), by_itself.json())
        );
        insta::assert_json_snapshot!(by_itself.json(), {
            ".id" => "[id]", ".email" => "[email]", ".created_at" => "[time]", ".updated_at" => "[time]",
        }, @r#"
        {
          "created_at": "[time]",
          "display_name": "A User",
          "email": "[email]",
          "id": "[id]",
          "last_login_at": null,
          "role": "viewer",
          "status": "active",
          "updated_at": "[time]",
          "version": 1
        }
        "#);
        assert_eq!(app.trail(ada.tenant).await, []);
    }

    #[tokio::test]
    async fn a_known_version_is_not_sent_again() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        for (known, status) in [("\"1\"", 304), ("W/\"1\"", 304), ("\"7\", \"1\"", 304), ("*", 304), ("\"2\"", 200)] {
            let read = Event::get(&path(ada.user)).bearer(&ada.token).header("if-none-match", known);
            let answer = app.send(read).await;
            assert_eq!((answer.status.as_u16(), answer.header("etag")), (status, "\"1\""), "{known}");
            assert_eq!(answer.bytes.is_empty(), status == 304, "{known}");
        }
    }
}
