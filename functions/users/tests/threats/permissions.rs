//! Who may do what, route by route, and what of it is recorded.

use http::Method;
use serde_json::json;
use shared::{
    access::{Access, Route},
    auth::{Permission, Role},
    testing::{Event, Member, TestApp},
};
use users::Users;
use uuid::Uuid;

use crate::{LIST, get, items, path, start};

/// A request that fits `route` in every way.
fn event(route: &Route, target: Uuid, number: usize) -> Event {
    let event = Event::new(&route.method, &route.path.replace("{id}", &target.to_string())).header("if-match", "*");
    let email = format!("new-{number}@acme.example");
    match (&route.method, route.path) {
        (&Method::POST, LIST) => event.json(&json!({ "email": email, "display_name": "New", "role": "viewer" })),
        (&Method::PATCH, _) => event.json(&json!({ "display_name": "Changed" })),
        _ => event,
    }
}

fn changes(route: &Route) -> bool {
    route.method != Method::GET
}

#[tokio::test]
async fn an_admin_may_do_all_of_it_and_others_may_read_themselves() {
    let app = start().await;
    let ada = app.tenant("acme").await;
    let routes = users::routes();
    assert_eq!(routes.list().len(), 7);
    for (number, route) in routes.list().iter().enumerate() {
        let name = format!("{} {}", route.method, route.path);
        let named = route.path.contains("{id}");
        for role in [Role::Viewer, Role::Analyst, Role::Admin] {
            let (caller, other) = (app.member(ada.tenant, role).await, app.member(ada.tenant, Role::Viewer).await);
            for target in if named { vec![other.user, Uuid::nil(), caller.user] } else { vec![other.user] } {
                let before = app.trail(ada.tenant).await.len();
                let event = event(route, target, number).bearer(&caller.token);
                let answer = app.send(event).await;
                let reads_itself = route.method == Method::GET && named && target == caller.user;
                let expected = match (role == Role::Admin || reads_itself, target == Uuid::nil()) {
                    (true, false) => "none",
                    (true, true) => "RES_001",
                    (false, _) => "PERM_001",
                };
                assert_eq!(answer.code(), expected, "{name} by {role:?}: {:?}", answer.log);
                let trail = app.trail(ada.tenant).await.split_off(before);
                let object = named.then_some(target);
                let action = route.action.as_str().to_owned();
                let records = match expected {
                    "none" if changes(route) => {
                        let object = object.or(trail[0].3);
                        vec![(action, "success".to_owned(), None, object)]
                    }
                    "none" => vec![],
                    code => {
                        let outcome = if code == "PERM_001" { "denied" } else { "failure" };
                        vec![(action, outcome.to_owned(), Some(code.to_owned()), object)]
                    }
                };
                assert_eq!(trail, records, "{name} by {role:?}");
            }
        }
    }
}

#[tokio::test]
async fn without_a_token_no_route_does_anything() {
    let app = start().await;
    let ada = app.tenant("acme").await;
    for (number, route) in users::routes().list().iter().enumerate() {
        let answer = app.send(event(route, ada.user, number)).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (401, "AUTH_003"), "{} {}", route.method, route.path);
    }
    assert_eq!(items(&get(&app, &ada, LIST).await).len(), 1);
}

#[tokio::test]
async fn what_is_refused_to_a_role_does_not_tell_whether_it_is_there() {
    let app = start().await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    let viewer = app.member(ada.tenant, Role::Viewer).await;
    let mut answers = Vec::new();
    for id in [ada.user, eve.user, Uuid::nil()] {
        let event = Event::get(&path(id)).bearer(&viewer.token).header("x-request-id", "the-same");
        answers.push(app.send(event).await);
    }
    assert_eq!(answers[0].code(), "PERM_001");
    for answer in &answers {
        assert_eq!((&answer.headers, &answer.bytes), (&answers[0].headers, &answers[0].bytes));
    }
}

#[tokio::test]
async fn a_user_reads_itself_by_its_own_id_only_however_it_is_spelled() {
    let app = start().await;
    let ada = app.tenant("acme").await;
    let viewer = app.member(ada.tenant, Role::Viewer).await;
    for spelled in [viewer.user.to_string(), viewer.user.to_string().to_uppercase(), viewer.user.simple().to_string()] {
        let answer = get(&app, &viewer, &format!("{LIST}/{spelled}")).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["id"]), (200, &json!(viewer.user)), "{spelled}");
    }
    for other in ["me", "x", "", &ada.user.to_string()] {
        let answer = get(&app, &viewer, &format!("{LIST}/{other}")).await;
        assert_ne!(answer.status, 200, "{other}");
    }
}

/// An access token states the role of the time it was issued at.
#[tokio::test]
async fn a_token_with_a_role_that_its_user_no_longer_has_is_of_an_ended_session() {
    let app = start().await;
    let ada = app.tenant("acme").await;
    let bob = app.member(ada.tenant, Role::Admin).await;
    let demote = Event::new(&Method::PATCH, &path(bob.user)).bearer(&ada.token).header("if-match", "*");
    assert_eq!(app.send(demote.json(&json!({ "role": "viewer" }))).await.status, 200);
    assert_eq!(write(&app, &bob).await, "AUTH_006");
    assert_eq!(get(&app, &bob, &path(bob.user)).await.code(), "AUTH_006");
}

async fn write(app: &TestApp<Users>, member: &Member) -> String {
    let body = json!({ "email": "x@acme.example", "display_name": "X", "role": "admin" });
    app.send(Event::post(LIST, &body).bearer(&member.token)).await.code()
}

#[test]
fn every_route_asks_for_a_permission_that_admins_alone_have() {
    for route in users::routes().list() {
        let (Access::Needs(permission) | Access::NeedsOrSelf(permission)) = route.access else {
            panic!("{} {} asks for none", route.method, route.path)
        };
        let expected = if changes(route) { Permission::UsersWrite } else { Permission::UsersRead };
        assert_eq!((permission, permission.lowest_role()), (expected, Role::Admin));
    }
}
