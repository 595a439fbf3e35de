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

/// One of the tenant's providers. One round trip.
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
                            LIMIT 1) AS p"#,
                caller.tenant_id(),
                caller.session_id(),
                id,
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
