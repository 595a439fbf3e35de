//! `PATCH /api/v1/tenants/current`

use axum::extract::State;
use serde::Deserialize;
use shared::{
    Caller, Db, Result,
    clock::SharedClock,
    db::Transaction,
    etag::IfMatch,
    extract::{Json, if_given},
    text::Text,
};

use super::Tenant;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Changes {
    #[serde(default, deserialize_with = "if_given")]
    name: Option<Text<1, 200>>,
}

/// Changes what the caller's tenant is called.
pub(crate) async fn update(
    caller: Caller,
    State(db): State<Db>,
    State(clock): State<SharedClock>,
    expected: IfMatch,
    Json(changes): Json<Changes>,
) -> Result<Tenant> {
    let mut transaction = db.begin(&caller).await?;
    expected.check(version_for_update(&mut transaction, &caller).await?)?;
    let tenant = sqlx::query_as!(
        Tenant,
        r#"WITH tenant AS (
               UPDATE tenants SET name = coalesce($2, name), version = version + 1, updated_at = $3
                WHERE id = $1
               RETURNING *
           ), audited AS (SELECT app.audit(id) FROM tenant)
           SELECT id, slug, name, status, version, created_at, updated_at FROM tenant, audited"#,
        caller.tenant_id(),
        changes.name.as_deref(),
        clock.now(),
    )
    .fetch_one(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(tenant)
}

/// Locks the tenant's row and returns its version. `NO KEY`, since every audit
/// record refers to this row: with the stronger lock two writers could each
/// hold what the other one waits for, the row here and the trail's head there.
async fn version_for_update(transaction: &mut Transaction, caller: &Caller) -> Result<i64> {
    let version =
        sqlx::query_scalar!("SELECT version FROM tenants WHERE id = $1 FOR NO KEY UPDATE", caller.tenant_id())
            .fetch_one(&mut *transaction)
            .await?;
    Ok(version)
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::{Value, json};
    use shared::{
        auth::Role,
        testing::{Event, TestApp},
    };

    fn patch(token: &str, version: &str, changes: &Value) -> Event {
        Event::new(&Method::PATCH, crate::CURRENT).bearer(token).header("if-match", version).json(changes)
    }

    #[tokio::test]
    async fn an_admin_renames_the_tenant_and_it_is_recorded() {
        let app = TestApp::start(crate::routes()).await;
        let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
        let before = app.send(Event::get(crate::CURRENT).bearer(&ada.token)).await.json();
        let answer = app.send(patch(&ada.token, "\"1\"", &json!({ "name": "Acme Health" }))).await;
        assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, "\"2\""), "{:?}", answer.log);
        let changed = answer.json();
        assert_eq!((&changed["name"], &changed["version"]), (&json!("Acme Health"), &json!(2)));
        for same in ["id", "slug", "status", "created_at"] {
            assert_eq!(changed[same], before[same], "{same}");
        }
        assert!(changed["updated_at"].as_str() > before["updated_at"].as_str());
        assert_eq!(app.send(Event::get(crate::CURRENT).bearer(&ada.token)).await.json(), changed);
        let record = ("tenants.update".into(), "success".into(), None, Some(ada.tenant));
        assert_eq!(app.trail(ada.tenant).await, [record]);
        assert_eq!(app.send(Event::get(crate::CURRENT).bearer(&eve.token)).await.json()["name"], "evil");
    }

    #[tokio::test]
    async fn nobody_below_an_admin_renames_it() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        for role in [Role::Viewer, Role::Analyst] {
            let member = app.member(ada.tenant, role).await;
            let answer = app.send(patch(&member.token, "*", &json!({ "name": "Mine" }))).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "PERM_001"), "{role:?}");
        }
        assert_eq!(app.send(Event::get(crate::CURRENT).bearer(&ada.token)).await.json()["name"], "acme");
        let denied = ("tenants.update".into(), "denied".into(), Some("PERM_001".into()), None);
        assert_eq!(app.trail(ada.tenant).await, [denied.clone(), denied]);
    }

    #[tokio::test]
    async fn a_change_needs_the_version_that_stands() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        let none = Event::new(&Method::PATCH, crate::CURRENT).bearer(&ada.token).json(&json!({ "name": "x" }));
        let answer = app.send(none).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (428, "REQ_006"));
        for stale in ["\"0\"", "\"2\"", "W/\"1\"", "1"] {
            let answer = app.send(patch(&ada.token, stale, &json!({ "name": "x" }))).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (412, "REQ_007"), "{stale}");
        }
        assert_eq!(app.send(patch(&ada.token, "*", &json!({}))).await.json()["version"], 2);
    }

    #[tokio::test]
    async fn a_change_that_does_not_fit_is_422_at_its_field() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        for (changes, field) in [
            (json!({ "name": null }), "name"),
            (json!({ "name": "" }), "name"),
            (json!({ "name": " \t" }), "name"),
            (json!({ "name": "a\0b" }), "name"),
            (json!({ "name": "ä".repeat(201) }), "name"),
            (json!({ "slug": "other" }), "slug"),
            (json!({ "status": "active" }), "status"),
        ] {
            let answer = app.send(patch(&ada.token, "\"1\"", &changes)).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (422, "VAL_001"), "{changes}");
            assert_eq!(answer.json()["error"]["fields"][0]["field"], field, "{changes}");
        }
    }

    #[tokio::test]
    async fn changes_and_other_writes_of_one_tenant_do_not_block_each_other_for_good() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        let (one, two) = (app.another(crate::routes()).await, app.another(crate::routes()).await);
        for round in 0..20 {
            let change = patch(&ada.token, "*", &json!({ "name": format!("round {round}") }));
            // A refusal writes to the trail outside of any lock of ours.
            let refused = patch(&ada.token, "\"0\"", &json!({ "name": "never" }));
            let (one, two, three) = tokio::join!(app.send(change.clone()), one.send(change), two.send(refused));
            assert_eq!((one.status.as_u16(), two.status.as_u16(), three.status.as_u16()), (200, 200, 412), "{round}");
        }
        assert_eq!(app.trail(ada.tenant).await.len(), 60);
    }

    #[tokio::test]
    async fn the_database_lets_the_function_change_no_more_than_that() {
        let app = TestApp::start(crate::routes()).await;
        let columns: Vec<String> = sqlx::query_scalar(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = 'tenants'::regclass AND attnum > 0
                AND has_column_privilege('tenantry_runtime', attrelid, attnum, 'UPDATE') ORDER BY attnum",
        )
        .fetch_all(&mut app.superuser().await)
        .await
        .unwrap();
        assert_eq!(columns, ["name", "version", "updated_at"]);
    }
}
