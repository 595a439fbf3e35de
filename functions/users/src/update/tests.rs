use http::Method;
use serde_json::json;
use shared::{
    auth::Role,
    testing::{Event, TestApp, TestDatabase, TestKeys},
};

use crate::{
    Users,
    trial::{created, get, grace, last_record, one, own, patch, path, with},
};

#[tokio::test]
async fn a_change_is_answered_whole_in_its_new_version_and_recorded_once() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let (before, target) = created(&app, &ada, &grace()).await;
    for (version, changes) in [
        (2, json!({ "display_name": "Amazing Grace" })),
        (3, json!({ "email": "Hopper@acme.example" })),
        (4, json!({ "role": "admin" })),
        (5, json!({})),
    ] {
        let answer = app.send(patch(&target, &ada, &format!("\"{}\"", version - 1), &changes)).await;
        assert_eq!(answer.status, 200, "{changes}: {:?}", answer.log);
        assert_eq!(answer.header("etag"), format!("\"{version}\""));
        assert_eq!(get(&app, &ada, &target).await.json(), answer.json());
        let id = before["id"].as_str().and_then(|id| id.parse().ok());
        assert_eq!(app.trail(ada.tenant).await.len(), version, "{changes}");
        assert_eq!(last_record(&app, ada.tenant).await, ("users.update".into(), "success".into(), None, id));
    }
    let after = get(&app, &ada, &target).await.json();
    assert!(after["updated_at"].as_str() > before["updated_at"].as_str());
    let changed = json!({ "email": "hopper@acme.example", "display_name": "Amazing Grace", "role": "admin" });
    for field in ["email", "display_name", "role"] {
        assert_eq!(after[field], changed[field]);
    }
    for same in ["id", "status", "created_at", "last_login_at"] {
        assert_eq!(after[same], before[same], "{same}");
    }
}

#[tokio::test]
async fn a_change_of_role_ends_the_users_sessions_and_no_other_change_does() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let (bob, cleo) = (app.member(ada.tenant, Role::Analyst).await, app.member(ada.tenant, Role::Analyst).await);
    for changes in [
        json!({ "display_name": "Robert" }),
        json!({ "email": "robert@acme.example" }),
        json!({ "role": "analyst" }),
        json!({}),
    ] {
        assert_eq!(app.send(patch(&path(bob.user), &ada, "*", &changes)).await.status, 200);
        assert_eq!(own(&app, &bob).await, "none", "{changes}");
    }
    assert_eq!(app.send(patch(&path(bob.user), &ada, "*", &json!({ "role": "viewer" }))).await.status, 200);
    assert_eq!(
        (&*own(&app, &bob).await, &*own(&app, &cleo).await, &*own(&app, &ada).await),
        ("AUTH_006", "none", "none")
    );
    assert_eq!(app.send(patch(&path(cleo.user), &ada, "*", &json!({ "role": "admin" }))).await.status, 200);
    assert_eq!(own(&app, &cleo).await, "AUTH_006", "upwards too");
}

#[tokio::test]
async fn the_record_of_a_change_says_which_fields_which_roles_and_how_many_sessions_but_no_text() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let bob = app.member(ada.tenant, Role::Analyst).await;
    for (changes, details) in [
        (
            json!({ "email": "b@acme.example", "display_name": "Bob" }),
            r#"{"fields":["email","display_name"],"role_from":null,"role_to":null,"sessions_ended":0}"#,
        ),
        (json!({ "role": "analyst" }), r#"{"fields":["role"],"role_from":null,"role_to":null,"sessions_ended":0}"#),
        (
            json!({ "role": "admin", "display_name": "Robert" }),
            r#"{"fields":["display_name","role"],"role_from":"analyst","role_to":"admin","sessions_ended":1}"#,
        ),
    ] {
        assert_eq!(app.send(patch(&path(bob.user), &ada, "*", &changes)).await.status, 200, "{changes}");
        let last = "SELECT details FROM audit_events WHERE tenant_id = $1 ORDER BY seq DESC LIMIT 1";
        assert_eq!(one::<String>(&app, last, ada.tenant).await, details, "{changes}");
    }
}

#[tokio::test]
async fn an_admin_keeps_the_session_by_changing_its_own_name_and_not_its_own_role() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    app.member(ada.tenant, Role::Admin).await;
    let answer = app.send(patch(&path(ada.user), &ada, "\"1\"", &json!({ "display_name": "Ada L." }))).await;
    assert_eq!((answer.status.as_u16(), &*own(&app, &ada).await), (200, "none"));
    let answer = app.send(patch(&path(ada.user), &ada, "\"2\"", &json!({ "role": "viewer" }))).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["role"]), (200, &json!("viewer")), "{:?}", answer.log);
    assert_eq!(own(&app, &ada).await, "AUTH_006");
}

#[tokio::test]
async fn a_change_needs_the_version_that_stands() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let (before, target) = created(&app, &ada, &grace()).await;
    let none = Event::new(&Method::PATCH, &target).bearer(&ada.token).json(&json!({ "role": "admin" }));
    let answer = app.send(none).await;
    assert_eq!((answer.status.as_u16(), &*answer.code()), (428, "REQ_006"));
    for stale in ["\"0\"", "\"2\"", "W/\"1\"", "1", ""] {
        let answer = app.send(patch(&target, &ada, stale, &json!({ "role": "admin" }))).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (412, "REQ_007"), "{stale}");
    }
    assert_eq!(get(&app, &ada, &target).await.json(), before);
}

#[tokio::test]
async fn a_change_that_does_not_fit_is_422_at_its_field() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    for (changes, field) in [
        (json!({ "email": null }), "email"),
        (json!({ "email": "x" }), "email"),
        (json!({ "display_name": null }), "display_name"),
        (json!({ "display_name": " " }), "display_name"),
        (json!({ "role": null }), "role"),
        (json!({ "role": "root" }), "role"),
        (json!({ "status": "inactive" }), "status"),
        (json!({ "password": "nine-quiet-otters-row-north" }), "password"),
        (json!({ "version": 7 }), "version"),
        (json!({ "id": ada.user }), "id"),
    ] {
        let answer = app.send(patch(&path(ada.user), &ada, "*", &changes)).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (422, "VAL_001"), "{changes}");
        assert_eq!(answer.json()["error"]["fields"][0]["field"], field, "{changes}");
    }
}

#[tokio::test]
async fn another_users_address_is_refused_also_where_two_take_it_at_once() {
    let database = TestDatabase::create().await;
    let keys = TestKeys::generate("test-key").into();
    let settings = [("AWS_LAMBDA_MAX_CONCURRENCY", "10")];
    let app: TestApp<Users> = TestApp::start_with(crate::routes(), database, keys, &settings).await;
    let ada = app.tenant("acme").await;
    let (before, target) = created(&app, &ada, &grace()).await;
    let (_, other) = created(&app, &ada, &with(grace(), "email", json!("x@acme.example"))).await;
    let answer = app.send(patch(&other, &ada, "*", &json!({ "email": "GRACE@acme.example" }))).await;
    assert_eq!((answer.status.as_u16(), &*answer.code()), (409, "RES_002"));
    assert_eq!(answer.json()["error"]["fields"][0]["field"], "email");
    let take = |target: &str| app.send(patch(target, &ada, "*", &json!({ "email": "wanted@acme.example" })));
    let (one, two) = tokio::join!(take(&target), take(&other));
    let mut codes = [one.code(), two.code()];
    codes.sort_unstable();
    assert_eq!(codes, ["RES_002", "none"]);
    let own = app.send(patch(&target, &ada, "*", &json!({ "email": before["email"] }))).await;
    assert_eq!(own.status, 200, "one's own is not taken: {:?}", own.log);
}
