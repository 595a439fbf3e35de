//! A tenant is never left without an active admin, whoever does what at the
//! same time.

use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use serde_json::json;
use shared::{
    auth::Role,
    testing::{Answer, Event, Member, TestApp},
};
use sqlx::Executor;
use users::Users;
use uuid::Uuid;

use crate::{Ending, concurrent, one, path, start};

const ADMINS: &str = "SELECT count(*) FROM users WHERE tenant_id = $1 AND role = 'admin' AND status = 'active'";

async fn admins(app: &TestApp<Users>, tenant: Uuid) -> i64 {
    one(app, ADMINS, tenant).await
}

#[tokio::test]
async fn the_last_admin_can_be_neither_demoted_nor_deactivated_nor_deleted() {
    let app = start().await;
    let ada = app.tenant("acme").await;
    // None of these is another active admin of this tenant.
    app.member(ada.tenant, Role::Analyst).await;
    app.tenant("other").await;
    let inactive = app.member(ada.tenant, Role::Admin).await;
    let sql = "UPDATE users SET status = 'inactive' WHERE id = $1";
    sqlx::query(sql).bind(inactive.user).execute(&mut app.superuser().await).await.unwrap();
    let before: serde_json::Value = one(&app, "SELECT to_jsonb(u) FROM users u WHERE id = $1", ada.user).await;
    for ending in Ending::ALL {
        let answer = app.send(ending.event(&ada, ada.user)).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (409, "RES_006"), "{ending:?}");
        let (_, outcome, reason, object) = app.trail(ada.tenant).await.pop().unwrap();
        assert_eq!((&*outcome, reason.as_deref(), object), ("failure", Some("RES_006"), Some(ada.user)), "{ending:?}");
    }
    let after: serde_json::Value = one(&app, "SELECT to_jsonb(u) FROM users u WHERE id = $1", ada.user).await;
    assert_eq!((before, app.trail(ada.tenant).await.len()), (after, 3), "one record each, and nothing else");
    let event = Event::new(&Method::PATCH, &path(ada.user)).bearer(&ada.token).header("if-match", "\"1\"");
    let answer = app.send(event.json(&json!({ "display_name": "Still here", "role": "admin" }))).await;
    assert_eq!(answer.status, 200, "what leaves her an admin is allowed: {:?}", answer.log);
}

#[tokio::test]
async fn with_another_admin_each_of_them_may_go() {
    let app = start().await;
    for (number, ending) in Ending::ALL.into_iter().enumerate() {
        let ada = app.tenant(&format!("acme-{number}")).await;
        let bob = app.member(ada.tenant, Role::Admin).await;
        let answer = app.send(ending.event(&ada, ada.user)).await;
        assert!(answer.status.is_success(), "{ending:?}: {:?}", answer.log);
        assert_eq!(app.send(ending.event(&bob, bob.user)).await.code(), "RES_006", "{ending:?}");
        assert_eq!(admins(&app, ada.tenant).await, 1);
    }
}

/// Both have entered, neither has changed anything, and `first` comes to the
/// locks before `second`.
async fn at_once(app: &TestApp<Users>, tenant: Uuid, first: Event, second: Event) -> [Answer; 2] {
    let mut wall = app.superuser().await;
    wall.execute("BEGIN").await.unwrap();
    let hold = "SELECT id FROM users WHERE tenant_id = $1 FOR UPDATE";
    sqlx::query(hold).bind(tenant).execute(&mut wall).await.unwrap();
    let second = async {
        waiting(app, 1).await;
        let answer = async {
            waiting(app, 2).await;
            wall.execute("COMMIT").await.unwrap();
        };
        tokio::join!(app.send(second), answer).0
    };
    tokio::join!(app.send(first), second).into()
}

/// Waits until so many of the function's connections wait for a lock.
async fn waiting(app: &TestApp<Users>, count: i64) {
    let mut superuser = app.superuser().await;
    let query = "SELECT count(*) FROM pg_stat_activity
                  WHERE datname = current_database() AND usename = 'tenantry_runtime' AND wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(query).fetch_one(&mut superuser).await.unwrap() < count {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn of_two_last_admins_who_end_each_other_or_themselves_at_once_one_succeeds() {
    let app = concurrent().await;
    let mut number = 0;
    for ends_the_other in [true, false] {
        for (one, other) in Ending::ALL.iter().flat_map(|one| Ending::ALL.map(|other| (*one, other))) {
            for ada_is_first in [true, false] {
                number += 1;
                let ada = app.tenant(&format!("acme-{number}")).await;
                let bob = app.member(ada.tenant, Role::Admin).await;
                let (first, second) = if ada_is_first { (&ada, &bob) } else { (&bob, &ada) };
                let target = |of: &Member, by: &Member| if ends_the_other { of.user } else { by.user };
                let events = (one.event(first, target(second, first)), other.event(second, target(first, second)));
                let [won, lost] = at_once(&app, ada.tenant, events.0, events.1).await;
                let case = format!("{one:?} and {other:?}, each other: {ends_the_other}, Ada first: {ada_is_first}");
                assert!(won.status.is_success(), "{case}: {:?}", won.log);
                // Who was ended has no say any more; who ends itself is the last one.
                let expected = if ends_the_other { "AUTH_006" } else { "RES_006" };
                assert_eq!(lost.code(), expected, "{case}");
                assert_eq!(admins(&app, ada.tenant).await, 1, "{case}");
                let outcomes: Vec<_> =
                    app.trail(ada.tenant).await.into_iter().map(|(_, outcome, ..)| outcome).collect();
                let refused = if ends_the_other { "denied" } else { "failure" };
                assert_eq!(outcomes, ["success", refused], "{case}");
            }
        }
    }
}

#[tokio::test]
async fn of_three_admins_two_who_end_each_other_are_not_both_gone() {
    let app = concurrent().await;
    for (number, ending) in Ending::ALL.into_iter().enumerate() {
        let ada = app.tenant(&format!("acme-{number}")).await;
        let (bob, cleo) = (app.member(ada.tenant, Role::Admin).await, app.member(ada.tenant, Role::Admin).await);
        let events = (ending.event(&bob, cleo.user), ending.event(&cleo, bob.user));
        let [won, lost] = at_once(&app, ada.tenant, events.0, events.1).await;
        assert!(won.status.is_success(), "{:?}", won.log);
        assert_eq!((&*lost.code(), admins(&app, ada.tenant).await), ("AUTH_006", 2), "{ending:?}");
    }
}

#[tokio::test]
async fn of_twelve_admins_who_all_leave_at_once_one_stays() {
    let app = concurrent().await;
    for round in 0..3 {
        let mut members = vec![app.tenant(&format!("acme-{round}")).await];
        for _ in 1..12 {
            members.push(app.member(members[0].tenant, Role::Admin).await);
        }
        let leaving = members.iter().enumerate();
        let leaving = leaving.map(|(number, member)| app.send(Ending::ALL[number % 3].event(member, member.user)));
        let answers = join_all(leaving).await;
        let refused: Vec<_> = answers.iter().filter(|answer| !answer.status.is_success()).map(Answer::code).collect();
        assert_eq!((refused, admins(&app, members[0].tenant).await), (vec!["RES_006".to_owned()], 1));
    }
}

#[tokio::test]
async fn of_twelve_admins_who_end_the_next_one_at_once_some_stay_and_none_is_ended_by_who_was_gone() {
    let app = concurrent().await;
    let mut members = vec![app.tenant("acme").await];
    for _ in 1..12 {
        members.push(app.member(members[0].tenant, Role::Admin).await);
    }
    let next = |number: usize| members[(number + 1) % members.len()].user;
    let ending = (0..12).map(|number| app.send(Ending::ALL[number % 3].event(&members[number], next(number))));
    let answers = join_all(ending).await;
    assert!(answers.iter().all(|answer| answer.status.is_success() || answer.code() == "AUTH_006"));
    let succeeded = answers.iter().filter(|answer| answer.status.is_success()).count();
    assert_eq!(admins(&app, members[0].tenant).await, 12 - i64::try_from(succeeded).unwrap());
    // In the trail's order nobody acts after having been ended.
    let query = "SELECT actor_id, object_id FROM audit_events WHERE outcome = 'success' ORDER BY seq";
    let acts: Vec<(Uuid, Uuid)> = sqlx::query_as(query).fetch_all(&mut app.superuser().await).await.unwrap();
    for (position, (actor, _)) in acts.iter().enumerate() {
        assert!(acts[..position].iter().all(|(_, ended)| ended != actor), "{acts:?}");
    }
}

#[tokio::test]
async fn an_admin_who_is_activated_or_made_one_counts_once_it_is_committed() {
    let app = start().await;
    let ada = app.tenant("acme").await;
    let bob = app.member(ada.tenant, Role::Viewer).await;
    let event = Event::new(&Method::PATCH, &path(bob.user)).bearer(&ada.token).header("if-match", "*");
    assert_eq!(app.send(event.json(&json!({ "role": "admin" }))).await.status, 200);
    assert_eq!(app.send(Ending::Deactivated.event(&ada, bob.user)).await.status, 200);
    assert_eq!(app.send(Ending::Deleted.event(&ada, ada.user)).await.code(), "RES_006", "Bob is inactive");
    let event = Event::new(&Method::POST, &format!("{}/activate", path(bob.user)));
    assert_eq!(app.send(event.bearer(&ada.token).header("if-match", "*")).await.status, 200);
    assert_eq!(app.send(Ending::Deleted.event(&ada, ada.user)).await.status, 204);
}
