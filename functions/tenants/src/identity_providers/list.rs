//! `GET /api/v1/tenants/current/identity-providers`

use axum::extract::{OriginalUri, State};
use shared::{
    Caller, Db, Result,
    extract::Query,
    page::{Cursors, Page, Paging},
};

use super::IdentityProvider;

/// The tenant's providers, newest first. One round trip.
pub(crate) async fn list(
    caller: Caller,
    State(db): State<Db>,
    State(cursors): State<Cursors>,
    OriginalUri(uri): OriginalUri,
    Query(Paging { limit, cursor }): Query<Paging>,
) -> Result<Page<IdentityProvider>> {
    let after = cursors.open(&caller, cursor.as_deref())?;
    let rows = db
        .fetch_all(|| {
            sqlx::query_as!(
                IdentityProvider,
                r#"SELECT p.id, p.name, p.issuer, p.audiences, p.client_id,
                          p.client_secret_ciphertext IS NOT NULL AS "has_client_secret!", p.tenant_claim, p.role_claim,
                          p.role_map, p.default_role, p.jit_provisioning, p.allowed_algorithms, p.status, p.version,
                          p.created_at, p.updated_at
                     FROM app.enter($1, $2) AS caller,
                  LATERAL (SELECT * FROM identity_providers
                            WHERE tenant_id = caller.tenant_id AND ($3::uuid IS NULL OR id < $3)
                            ORDER BY id DESC LIMIT $4) AS p"#,
                caller.tenant_id(),
                caller.session_id(),
                after,
                limit.rows(),
            )
        })
        .await?;
    Ok(cursors.page(&caller, limit, rows, uri, |provider| provider.id))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::testing::TestApp;

    use crate::{
        PROVIDERS,
        identity_providers::trial::{get, least, registered},
    };

    #[tokio::test]
    async fn a_list_has_the_tenants_own_newest_first_page_by_page() {
        let app = TestApp::start(crate::routes()).await;
        let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
        let mut hers = Vec::new();
        for name in ["one", "two", "three"] {
            hers.insert(0, registered(&app, &ada, &least(name)).await.0);
            registered(&app, &eve, &least(name)).await;
        }
        let all = get(&app, &ada, PROVIDERS).await;
        assert_eq!((all.status.as_u16(), all.json()), (200, json!({ "items": hers, "next_cursor": null })));
        let first = get(&app, &ada, &format!("{PROVIDERS}?limit=2")).await;
        assert_eq!(first.json()["items"], json!(hers[..2]));
        let cursor = first.json()["next_cursor"].as_str().unwrap().to_owned();
        let next = format!("{PROVIDERS}?limit=2&cursor={cursor}");
        assert_eq!(first.header("link"), format!("<{next}>; rel=\"next\""));
        let second = get(&app, &ada, &next).await.json();
        assert_eq!((&second["items"], &second["next_cursor"]), (&json!(hers[2..]), &Value::Null));
        assert_eq!(get(&app, &eve, &next).await.code(), "VAL_001", "another's cursor");
    }

    #[tokio::test]
    async fn what_the_list_does_not_know_is_named() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        assert_eq!(get(&app, &ada, PROVIDERS).await.json(), json!({ "items": [], "next_cursor": null }));
        for (query, field) in [("limit=0", "limit"), ("cursor=x", "cursor"), ("status=active", "status")] {
            let answer = get(&app, &ada, &format!("{PROVIDERS}?{query}")).await;
            assert_eq!(
                (answer.code().as_str(), &answer.json()["error"]["fields"][0]["field"]),
                ("VAL_001", &json!(field))
            );
        }
    }
}
