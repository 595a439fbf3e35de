use serde_json::{Value, json};
use shared::{
    App,
    auth::Role,
    testing::{Member, TestApp},
};
use uuid::Uuid;

use crate::trial::{append, get, seqs};

const OBJECT: Uuid = Uuid::from_u128(7);
const OTHER: Uuid = Uuid::from_u128(8);

/// Two tenants with the same six records.
async fn start() -> (TestApp<App>, Member, Member) {
    let app = TestApp::start(crate::routes()).await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    let mut superuser = app.superuser().await;
    for member in [&ada, &eve] {
        let (actor, stranger) = (Some(member.user), Some(OTHER));
        for told in [
            ("todos.create", "success", actor, Some(OBJECT)),
            ("todos.update", "success", actor, Some(OBJECT)),
            ("todos.update", "denied", stranger, Some(OBJECT)),
            ("todos.update", "failure", actor, Some(OTHER)),
            ("auth.login", "denied", None, None),
            ("auth.login", "success", actor, Some(OTHER)),
        ] {
            append(&mut superuser, member.tenant, told).await;
        }
    }
    (app, ada, eve)
}

#[tokio::test]
async fn a_record_is_shown_whole() {
    let (app, ada, _) = start().await;
    let answer = get(&app, &ada, "events?action=todos.update&outcome=success").await;
    assert_eq!(answer.status, 200, "{:?}", answer.log);
    let record = answer.json()["items"][0].clone();
    for (field, value) in [
        ("version", json!(2)),
        ("tenant_id", json!(ada.tenant)),
        ("seq", json!(2)),
        ("action", json!("todos.update")),
        ("outcome", json!("success")),
        ("reason", Value::Null),
        ("actor_id", json!(ada.user)),
        ("session_id", Value::Null),
        ("object_id", json!(OBJECT)),
        ("source_address", json!("203.0.113.7")),
        ("request_id", json!("trace-1")),
        ("details", json!({ "fields": ["title"] })),
    ] {
        assert_eq!(record[field], value, "{field}");
    }
    assert_eq!(record["hash"].as_str().map(str::len), Some(64));
    assert!(record["at"].as_str().unwrap().ends_with('Z') && record["at"].as_str().unwrap().len() == 27);
}

#[tokio::test]
async fn a_search_finds_the_tenants_own_newest_first_by_all_that_it_names() {
    let (app, ada, _) = start().await;
    for (query, found) in [
        (String::new(), &[6, 5, 4, 3, 2, 1][..]),
        (format!("actor={}", ada.user), &[6, 4, 2, 1]),
        ("action=todos.update".into(), &[4, 3, 2]),
        ("outcome=denied".into(), &[5, 3]),
        ("outcome=failure".into(), &[4]),
        ("outcome=success".into(), &[6, 2, 1]),
        (format!("object={OBJECT}"), &[3, 2, 1]),
        (format!("object={OBJECT}&actor={OTHER}"), &[3]),
        (format!("actor={}&outcome=success&action=todos.create", ada.user), &[1]),
        ("action=auth.login&outcome=denied".into(), &[5]),
        ("action=auth.signup".into(), &[]),
        ("from=2026-01-01T00:00:00Z&to=9999-01-01T00:00:00Z".into(), &[6, 5, 4, 3, 2, 1]),
        ("to=2026-01-01T00:00:00Z".into(), &[]),
        ("from=9998-01-01T00:00:00Z".into(), &[]),
    ] {
        let answer = get(&app, &ada, &format!("events?{query}")).await;
        assert_eq!((answer.status.as_u16(), seqs(&answer.json())), (200, found.to_vec()), "{query} {:?}", answer.log);
    }
}

#[tokio::test]
async fn a_time_is_from_when_on_and_before_when() {
    let (app, ada, _) = start().await;
    let all = get(&app, &ada, "events").await.json();
    let at = |seq: usize| all["items"][6 - seq]["at"].as_str().unwrap().to_owned();
    for (query, found) in [
        (format!("from={}", at(3)), &[6, 5, 4, 3][..]),
        (format!("to={}", at(3)), &[2, 1]),
        (format!("from={}&to={}", at(2), at(5)), &[4, 3, 2]),
        (format!("from={}&to={}&action=todos.update", at(2), at(4)), &[3, 2]),
        (format!("from={}&to={}", at(5), at(2)), &[]),
    ] {
        assert_eq!(seqs(&get(&app, &ada, &format!("events?{query}")).await.json()), found, "{query}");
    }
}

#[tokio::test]
async fn pages_follow_one_another_under_every_search() {
    let (app, ada, eve) = start().await;
    for (query, found) in [
        ("limit=4".to_owned(), &[6, 5, 4, 3, 2, 1][..]),
        (format!("limit=1&object={OBJECT}"), &[3, 2, 1]),
        (format!("limit=3&actor={}", ada.user), &[6, 4, 2, 1]),
        ("limit=2&action=todos.update".into(), &[4, 3, 2]),
        ("limit=1&outcome=denied".into(), &[5, 3]),
        ("limit=5&to=9999-01-01T00:00:00Z".into(), &[6, 5, 4, 3, 2, 1]),
    ] {
        let (mut next, mut seen, mut pages) = (format!("events?{query}"), Vec::new(), 0);
        loop {
            let answer = get(&app, &ada, &next).await;
            seen.extend(seqs(&answer.json()));
            pages += 1;
            let Some(link) = answer.header("link").strip_prefix("</api/v1/audit/") else { break };
            next = link.split('>').next().unwrap().to_owned();
        }
        assert_eq!((seen.as_slice(), pages > 1), (found, true), "{query}");
        if next.contains("cursor=") {
            assert_eq!(get(&app, &eve, &next).await.code(), "VAL_001", "another's cursor");
        }
    }
}

#[tokio::test]
async fn t2_another_tenants_actor_object_and_cursor_find_nothing() {
    let (app, ada, eve) = start().await;
    for query in [format!("actor={}", ada.user), format!("actor={}&object={OBJECT}", ada.user)] {
        assert_eq!(get(&app, &eve, &format!("events?{query}")).await.json()["items"], json!([]), "{query}");
    }
    let hers = get(&app, &ada, "events?limit=100").await.json();
    let mine = get(&app, &eve, "events?limit=100").await.json();
    assert!(mine["items"].as_array().unwrap().iter().all(|record| record["tenant_id"] == json!(eve.tenant)));
    assert_eq!((seqs(&hers).len(), seqs(&mine).len()), (6, 6));
}

#[tokio::test]
async fn only_an_admin_reads_the_trail() {
    let (app, ada, _) = start().await;
    for role in [Role::Viewer, Role::Analyst] {
        let member = app.member(ada.tenant, role).await;
        for target in ["events", "export"] {
            assert_eq!(get(&app, &member, target).await.code(), "PERM_001", "{target}");
        }
    }
    let denied = get(&app, &ada, "events?action=audit.export&outcome=denied").await.json();
    assert_eq!(seqs(&denied).len(), 2);
}

#[tokio::test]
async fn what_does_not_fit_is_422_at_its_parameter() {
    let (app, ada, _) = start().await;
    for (query, field) in [
        ("actor=ada", "actor"),
        ("object=%00", "object"),
        ("action=todos.", "action"),
        ("action=%27%20OR%201=1", "action"),
        ("outcome=ok", "outcome"),
        ("from=yesterday", "from"),
        ("to=2026-13-01T00:00:00Z", "to"),
        ("limit=101", "limit"),
        ("cursor=AAAA", "cursor"),
        ("tenant_id=1", "tenant_id"),
    ] {
        let answer = get(&app, &ada, &format!("events?{query}")).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (422, "VAL_001"), "{query}");
        assert_eq!(answer.json()["error"]["fields"][0]["field"], field, "{query}");
    }
}
