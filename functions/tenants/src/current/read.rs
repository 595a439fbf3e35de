//! `GET /api/v1/tenants/current`

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header::ETAG};
use shared::{
    Caller, Db, Result,
    etag::{IfNoneMatch, etag},
};

use super::Tenant;

/// The caller's tenant. One round trip.
pub(crate) async fn read(caller: Caller, State(db): State<Db>, known: IfNoneMatch) -> Result<Response> {
    let tenant = db
        .fetch_one(|| {
            sqlx::query_as!(
                Tenant,
                r#"SELECT t.id, t.slug, t.name, t.status, t.version, t.created_at, t.updated_at
                     FROM app.enter($1, $2) AS caller,
                  LATERAL (SELECT * FROM tenants WHERE id = caller.tenant_id LIMIT 1) AS t"#,
                caller.tenant_id(),
                caller.session_id(),
            )
        })
        .await?;
    if known.holds(tenant.version) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, etag(tenant.version))]).into_response());
    }
    Ok(tenant.into_response())
}

#[cfg(test)]
mod tests {
    use shared::{
        auth::Role,
        testing::{Event, TestApp},
    };

    #[tokio::test]
    async fn whoever_belongs_to_a_tenant_reads_it_and_no_other() {
        let app = TestApp::start(crate::routes()).await;
        let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
        for role in [Role::Viewer, Role::Analyst, Role::Admin] {
            let member = app.member(ada.tenant, role).await;
            let answer = app.send(Event::get(crate::CURRENT).bearer(&member.token)).await;
            assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, "\"1\""), "{:?}", answer.log);
            assert_eq!(answer.json()["id"], ada.tenant.to_string());
            insta::allow_duplicates! {
                insta::assert_json_snapshot!(answer.json(), { ".id" => "[id]", ".created_at" => "[time]", ".updated_at" => "[time]" }, @r#"
                {
                  "created_at": "[time]",
                  "id": "[id]",
                  "name": "acme",
                  "slug": "acme",
                  "status": "active",
                  "updated_at": "[time]",
                  "version": 1
                }
                "#);
            }
        }
        let answer = app.send(Event::get(crate::CURRENT).bearer(&eve.token)).await;
        assert_eq!(answer.json()["slug"], "evil");
        assert_eq!(app.send(Event::get(crate::CURRENT)).await.code(), "AUTH_003");
    }

    #[tokio::test]
    async fn a_known_version_is_not_sent_again() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        for (known, status) in [("\"1\"", 304), ("W/\"1\"", 304), ("\"7\", \"1\"", 304), ("*", 304), ("\"2\"", 200)] {
            let read = Event::get(crate::CURRENT).bearer(&ada.token).header("if-none-match", known);
            let answer = app.send(read).await;
            assert_eq!((answer.status.as_u16(), answer.header("etag")), (status, "\"1\""), "{known}");
            assert_eq!(answer.bytes.is_empty(), status == 304, "{known}");
        }
    }
}
