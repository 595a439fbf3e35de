//! `POST /api/v1/users/{id}/deactivate`

use axum::extract::State;
use shared::{Caller, Db, Result, clock::SharedClock, etag::IfMatch, extract::Path, user::User};
use uuid::Uuid;

use crate::standing::Standing;

/// Shuts a user out: its sessions end, and it begins none. It needs no
/// `Idempotency-Key`: sent twice, the second is told by `If-Match`.
pub(crate) async fn deactivate(
    caller: Caller,
    State(db): State<Db>,
    State(clock): State<SharedClock>,
    Path(id): Path<Uuid>,
    expected: IfMatch,
) -> Result<User> {
    let mut transaction = db.begin(&caller).await?;
    Standing::lock(&mut transaction, id, &expected).await?.may_cease_to_be_admin()?;
    let user = sqlx::query_as!(
        User,
        r#"WITH changed AS (
               UPDATE users SET status = 'inactive', version = version + 1, updated_at = $3
                WHERE tenant_id = $1 AND id = $2
               RETURNING *
           ), ended AS (SELECT app.end_sessions(id) AS sessions FROM changed
           ), audited AS (SELECT app.audit(id) FROM changed, ended)
           SELECT id, email, display_name, role, status, version, created_at, updated_at, last_login_at
             FROM changed, audited"#,
        caller.tenant_id(),
        id,
        clock.now(),
    )
    .fetch_one(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(user)
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::json;
    use shared::{
        auth::Role,
        testing::{Event, TestApp},
    };

    use crate::trial::{get, last_record, own, patch, path, set};

    #[tokio::test]
    async fn a_deactivated_user_is_out_at_once_and_no_other_is() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        let (bob, cleo) = (app.member(ada.tenant, Role::Analyst).await, app.member(ada.tenant, Role::Viewer).await);
        let answer = app.send(set("deactivate", &path(bob.user), &ada, "\"1\"")).await;
        assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, "\"2\""), "{:?}", answer.log);
        assert_eq!((&answer.json()["status"], &answer.json()["version"]), (&json!("inactive"), &json!(2)));
        assert_eq!(get(&app, &ada, &path(bob.user)).await.json(), answer.json());
        let record = ("users.deactivate".into(), "success".into(), None, Some(bob.user));
        assert_eq!(last_record(&app, ada.tenant).await, record);
        assert_eq!((&*own(&app, &bob).await, &*own(&app, &cleo).await), ("AUTH_006", "none"));
    }

    #[tokio::test]
    async fn the_sessions_of_before_do_not_come_back_with_the_activation() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        let bob = app.member(ada.tenant, Role::Analyst).await;
        assert_eq!(app.send(set("deactivate", &path(bob.user), &ada, "*")).await.status, 200);
        let answer = app.send(set("activate", &path(bob.user), &ada, "\"2\"")).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (200, &json!("active")), "{:?}", answer.log);
        assert_eq!(own(&app, &bob).await, "AUTH_006");
        let record = ("users.activate".into(), "success".into(), None, Some(bob.user));
        assert!(app.trail(ada.tenant).await.contains(&record));
    }

    #[tokio::test]
    async fn what_is_so_already_may_be_asked_for_again_and_is_recorded_again() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        let bob = app.member(ada.tenant, Role::Analyst).await;
        for (act, status) in [("activate", "active"), ("deactivate", "inactive"), ("deactivate", "inactive")] {
            let before = app.trail(ada.tenant).await.len();
            let answer = app.send(set(act, &path(bob.user), &ada, "*")).await;
            assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (200, &json!(status)), "{act}");
            assert_eq!(app.trail(ada.tenant).await.len(), before + 1, "{act}");
        }
        let renamed = app.send(patch(&path(bob.user), &ada, "*", &json!({ "display_name": "Bob", "role": "admin" })));
        assert_eq!(renamed.await.json()["status"], "inactive", "a change lets nobody in");
    }

    #[tokio::test]
    async fn both_need_the_version_that_stands() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        let bob = app.member(ada.tenant, Role::Analyst).await;
        for act in ["deactivate", "activate"] {
            let none = Event::new(&Method::POST, &format!("{}/{act}", path(bob.user))).bearer(&ada.token);
            assert_eq!(app.send(none).await.code(), "REQ_006", "{act}");
            assert_eq!(app.send(set(act, &path(bob.user), &ada, "\"2\"")).await.code(), "REQ_007", "{act}");
        }
        assert_eq!(own(&app, &bob).await, "none");
        let answer = app.send(set("deactivate", &path(ada.user), &ada, "\"1\"")).await;
        assert_eq!(answer.code(), "RES_006", "the last admin");
    }
}
