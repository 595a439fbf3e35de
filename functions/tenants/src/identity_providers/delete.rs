//! `DELETE /api/v1/tenants/current/identity-providers/{id}`

use axum::extract::State;
use http::StatusCode;
use shared::{Caller, Db, Result, etag::IfMatch, extract::Path};
use uuid::Uuid;

use super::lock::provider_for_update;

/// Deletes one of the tenant's providers, and ends its sessions.
pub(crate) async fn delete(
    caller: Caller,
    State(db): State<Db>,
    Path(id): Path<Uuid>,
    expected: IfMatch,
) -> Result<StatusCode> {
    let mut transaction = db.begin(&caller).await?;
    expected.check(provider_for_update(&mut transaction, &caller, id).await?.version)?;
    sqlx::query!(
        r#"WITH provider AS (
               DELETE FROM identity_providers WHERE tenant_id = $1 AND id = $2 RETURNING id
           ), ended AS (SELECT app.end_provider_sessions(id) FROM provider)
           SELECT app.audit(id) AS seq FROM provider, ended"#,
        caller.tenant_id(),
        id,
    )
    .fetch_one(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use http::Method;
    use shared::testing::{Event, TestApp};

    use crate::identity_providers::trial::{entra, get, registered};

    #[tokio::test]
    async fn a_deleted_provider_is_gone_recorded_once_and_its_name_free() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        let (created, target) = registered(&app, &ada, &entra()).await;
        let delete = Event::new(&Method::DELETE, &target).bearer(&ada.token).header("if-match", "\"1\"");
        let answer = app.send(delete.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.bytes.len()), (204, 0), "{:?}", answer.log);
        assert_eq!(get(&app, &ada, &target).await.code(), "RES_001");
        assert_eq!(app.send(delete).await.code(), "RES_001", "a second time");
        let id = created["id"].as_str().and_then(|id| id.parse().ok());
        let record = ("identity_providers.delete".into(), "success".into(), None, id);
        assert_eq!(app.trail(ada.tenant).await[1], record);
        registered(&app, &ada, &entra()).await;
    }

    #[tokio::test]
    async fn a_deletion_needs_the_version_that_stands() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        let (_, target) = registered(&app, &ada, &entra()).await;
        let delete = Event::new(&Method::DELETE, &target).bearer(&ada.token);
        assert_eq!(app.send(delete.clone()).await.code(), "REQ_006");
        assert_eq!(app.send(delete.clone().header("if-match", "\"2\"")).await.code(), "REQ_007");
        assert_eq!(get(&app, &ada, &target).await.status, 200);
    }
}
