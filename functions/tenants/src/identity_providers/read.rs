//! `GET /api/v1/tenants/current/identity-providers/{id}`

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header::ETAG};
use shared::{
    Caller, Code, Db, Result,
    etag::{IfNoneMatch, etag},
    extract::Path,
};
use uuid::Uuid;

use super::IdentityProvider;

/// One of the tenant's providers. One round trip; the read is recorded in it.
pub(crate) async fn read(
    caller: Caller,
    State(db): State<Db>,
    Path(id): Path<Uuid>,
    known: IfNoneMatch,
) -> Result<Response> {
    let provider = db
        .fetch_optional(|| {
            sqlx::query_as!(
                IdentityProvider,
                r#"SELECT p.id, p.name, p.issuer, p.audiences, p.client_id,
                          p.client_secret_ciphertext IS NOT NULL AS "has_client_secret!", p.tenant_claim, p.role_claim,
                          p.role_map, p.default_role, p.jit_provisioning, p.allowed_algorithms, p.status, p.version,
                          p.created_at, p.updated_at
                     FROM app.enter($1, $2) AS caller,
                  LATERAL (SELECT * FROM identity_providers WHERE tenant_id = caller.tenant_id AND id = $3
                            LIMIT 1) AS p,
                  LATERAL (SELECT app.audit_read(p.id, $4, $5, $6) LIMIT 1) AS audited"#,
                caller.tenant_id(),
                caller.session_id(),
                id,
                caller.action().as_str(),
                caller.origin().request_id.as_str(),
                caller.origin().source_address_text(),
            )
        })
        .await?
        .ok_or(Code::NotFound)?;
    if known.holds(provider.version) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, etag(provider.version))]).into_response());
    }
    Ok(provider.into_response())
}

#[cfg(test)]
mod tests {
    use shared::testing::{Event, TestApp};
    use sqlx::Executor;
    use uuid::Uuid;

    use crate::identity_providers::trial::{entra, get, registered};

    #[tokio::test]
    async fn a_provider_is_read_as_it_was_registered() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        let (created, target) = registered(&app, &ada, &entra()).await;
        let answer = get(&app, &ada, &target).await;
        assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, "\"1\""));
        assert_eq!(answer.json(), created);
        assert!(answer.json().get("tenant_id").is_none());
    }

    #[tokio::test]
    async fn every_read_is_recorded_with_who_what_and_from_where() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        let (created, target) = registered(&app, &ada, &entra()).await;
        let read = Event::get(&target).bearer(&ada.token).header("x-request-id", "trace-1");
        assert_eq!(app.send(read.clone()).await.status, 200);
        assert_eq!(app.send(read.header("if-none-match", "\"1\"")).await.status, 304);
        let records: Vec<(String, String, Uuid, Uuid, Uuid, String, String)> = sqlx::query_as(
            "SELECT action, outcome, object_id, actor_id, session_id, source_address, request_id FROM audit_events
              WHERE tenant_id = $1 AND seq > 1 ORDER BY seq",
        )
        .bind(ada.tenant)
        .fetch_all(&mut app.superuser().await)
        .await
        .unwrap();
        let id: Uuid = created["id"].as_str().unwrap().parse().unwrap();
        let (action, success) = ("identity_providers.read".to_owned(), "success".to_owned());
        let one = (action, success, id, ada.user, ada.session, "203.0.113.7".to_owned(), "trace-1".to_owned());
        assert_eq!(records, [one.clone(), one]);
    }

    #[tokio::test]
    async fn l3_a_read_that_cannot_be_recorded_is_not_answered() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        let (_, target) = registered(&app, &ada, &entra()).await;
        let mut superuser = app.superuser().await;
        superuser.execute("ALTER TABLE audit_events ADD CONSTRAINT full_up CHECK (false) NOT VALID").await.unwrap();
        let answer = get(&app, &ada, &target).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "SYS_002"));
        superuser.execute("ALTER TABLE audit_events DROP CONSTRAINT full_up").await.unwrap();
        assert_eq!(get(&app, &ada, &target).await.status, 200);
    }

    #[tokio::test]
    async fn a_known_version_is_not_sent_again() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        let (_, target) = registered(&app, &ada, &entra()).await;
        for (known, status) in [("\"1\"", 304), ("W/\"1\"", 304), ("*", 304), ("\"2\"", 200)] {
            let read = Event::get(&target).bearer(&ada.token).header("if-none-match", known);
            let answer = app.send(read).await;
            assert_eq!((answer.status.as_u16(), answer.header("etag")), (status, "\"1\""), "{known}");
            assert_eq!(answer.bytes.is_empty(), status == 304, "{known}");
        }
    }

    #[tokio::test]
    async fn what_is_no_id_is_not_found() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        for id in ["no-id", "%00", "..%2Fx", "entra"] {
            assert_eq!(get(&app, &ada, &format!("{}/{id}", crate::PROVIDERS)).await.code(), "RES_001", "{id}");
        }
    }
}
