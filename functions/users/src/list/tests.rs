use serde_json::{Value, json};
use shared::testing::{Member, TestApp};

use crate::{
    Users,
    trial::{USERS, created, delete, get, set},
};

/// Ada's tenant with these e-mails and names, besides her own; newest last.
async fn acme(people: &[(&str, &str)]) -> (TestApp<Users>, Member) {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    for (email, name) in people {
        created(&app, &ada, &json!({ "email": email, "display_name": name, "role": "analyst" })).await;
    }
    (app, ada)
}

fn names(page: &Value) -> Vec<String> {
    page["items"].as_array().unwrap().iter().map(|user| user["display_name"].as_str().unwrap().to_owned()).collect()
}

/// The names that a query finds, newest first.
async fn found(app: &TestApp<Users>, ada: &Member, query: &str) -> Vec<String> {
    let answer = get(app, ada, &format!("{USERS}?{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {:?}", answer.log);
    names(&answer.json())
}

fn encoded(q: &str) -> String {
    q.bytes().fold("q=".to_owned(), |query, byte| format!("{query}%{byte:02X}"))
}

#[tokio::test]
async fn a_list_has_the_tenants_users_newest_first_as_each_is_read() {
    let (app, ada) = acme(&[("b@acme.example", "Bob"), ("c@acme.example", "Cleo")]).await;
    let list = get(&app, &ada, USERS).await.json();
    assert_eq!(
        (names(&list), &list["next_cursor"]),
        (vec!["Cleo".into(), "Bob".into(), "A User".into()], &Value::Null)
    );
    for user in list["items"].as_array().unwrap() {
        let one = get(&app, &ada, &format!("{USERS}/{}", user["id"].as_str().unwrap())).await;
        assert_eq!(one.json(), *user);
    }
}

#[tokio::test]
async fn filters_choose_by_role_and_status_and_a_deleted_user_is_in_no_list() {
    let (app, ada) = acme(&[("b@acme.example", "Bob"), ("c@acme.example", "Cleo")]).await;
    let (_, gone) =
        created(&app, &ada, &json!({ "email": "d@acme.example", "display_name": "Dan", "role": "viewer" })).await;
    let bob = get(&app, &ada, &format!("{USERS}?q=bob")).await.json()["items"][0]["id"].clone();
    let bob = format!("{USERS}/{}", bob.as_str().unwrap());
    assert_eq!(app.send(set("deactivate", &bob, &ada, "*")).await.status, 200);
    assert_eq!(found(&app, &ada, "role=viewer").await, ["Dan"]);
    assert_eq!(app.send(delete(&gone, &ada, "*")).await.status, 204);
    for (query, expected) in [
        ("", &["Cleo", "Bob", "A User"][..]),
        ("role=analyst", &["Cleo", "Bob"]),
        ("role=admin", &["A User"]),
        ("role=viewer", &[]),
        ("status=active", &["Cleo", "A User"]),
        ("status=inactive", &["Bob"]),
        ("status=inactive&role=admin", &[]),
        ("q=b&status=inactive", &["Bob"]),
        ("q=b&status=active", &[]),
        ("q=b&role=admin", &[]),
        ("q=deleted", &[]),
        ("q=d", &[]),
    ] {
        assert_eq!(found(&app, &ada, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn a_search_finds_by_the_beginning_of_name_or_address_in_any_case() {
    let (app, ada) = acme(&[
        ("grace.hopper@acme.example", "Rear Admiral Hopper"),
        ("x1@acme.example", "GRACE Slick"),
        ("x2@acme.example", "Ms Grace"),
        ("x3@acme.example", "Émile Zola"),
        ("x4@acme.example", "ΣΊΣΥΦΟΣ"),
    ])
    .await;
    for (q, expected) in [
        ("grace", &["GRACE Slick", "Rear Admiral Hopper"][..]),
        ("GrAcE", &["GRACE Slick", "Rear Admiral Hopper"]),
        ("GRACE.", &["Rear Admiral Hopper"]),
        ("grace ", &["GRACE Slick"]),
        ("grace.hopper@acme.example", &["Rear Admiral Hopper"]),
        ("grace.hopper@acme.example2", &[]),
        ("hopper", &[]),
        ("ms g", &["Ms Grace"]),
        ("éM", &["Émile Zola"]),
        ("É", &["Émile Zola"]),
        ("e", &[]),
        ("σίσ", &["ΣΊΣΥΦΟΣ"]),
    ] {
        assert_eq!(found(&app, &ada, &encoded(q)).await, expected, "{q}");
    }
}

#[tokio::test]
async fn what_other_searches_take_for_a_wildcard_is_a_letter_like_any_other() {
    let (app, ada) = acme(&[
        ("p@acme.example", "100% Percy"),
        ("u_v@acme.example", "_under"),
        ("b@acme.example", r"\back"),
        ("q@acme.example", "O'Brien; DROP TABLE users"),
        ("s@acme.example", "*star?"),
    ])
    .await;
    for (q, expected) in [
        ("%", &[][..]),
        ("_", &["_under"]),
        ("100%", &["100% Percy"]),
        ("100_", &[]),
        ("u_", &["_under"]),
        ("uxv", &[]),
        (r"\", &[r"\back"]),
        (r"\b", &[r"\back"]),
        ("o'b", &["O'Brien; DROP TABLE users"]),
        ("' OR true --", &[]),
        ("*", &["*star?"]),
        ("%a", &[]),
        ("\u{10ffff}", &[]),
    ] {
        assert_eq!(found(&app, &ada, &encoded(q)).await, expected, "{q}");
    }
}

#[tokio::test]
async fn pages_of_all_and_of_a_search_follow_each_other_without_gap_or_overlap() {
    let people: Vec<_> = (0..7).map(|n| (format!("same-{n}@acme.example"), format!("Same {n}"))).collect();
    let people: Vec<_> = people.iter().map(|(email, name)| (&**email, &**name)).collect();
    let (app, ada) = acme(&people).await;
    for (query, count) in [("limit=2", 8), ("q=same&limit=2", 7), ("q=SAME%20&role=analyst&limit=3", 7)] {
        let (mut seen, mut target) = (Vec::new(), format!("{USERS}?{query}"));
        loop {
            let answer = get(&app, &ada, &target).await;
            assert_eq!(answer.status, 200, "{target}");
            let body = answer.json();
            seen.extend(names(&body));
            let Some(cursor) = body["next_cursor"].as_str() else {
                assert_eq!(answer.header("link"), "");
                break;
            };
            target = answer.header("link").trim_start_matches('<').split('>').next().unwrap().to_owned();
            assert!(target.starts_with(USERS) && target.contains(cursor), "{target}");
        }
        let mut expected: Vec<_> = (0..7).rev().map(|n| format!("Same {n}")).collect();
        if count == 8 {
            expected.push("A User".into());
        }
        assert_eq!(seen, expected, "{query}");
    }
}

#[tokio::test]
async fn a_query_that_does_not_fit_is_422_at_its_parameter() {
    let (app, ada) = acme(&[]).await;
    for (query, field) in [
        ("role=owner".to_owned(), "role"),
        ("role=".to_owned(), "role"),
        ("status=deleted".to_owned(), "status"),
        ("status=Active".to_owned(), "status"),
        ("q=".to_owned(), "q"),
        ("q=%20%20".to_owned(), "q"),
        ("q=a%00b".to_owned(), "q"),
        (format!("q={}", "x".repeat(255)), "q"),
        ("q=a&q=b".to_owned(), "q"),
        ("limit=0".to_owned(), "limit"),
        ("limit=101".to_owned(), "limit"),
        ("cursor=forged".to_owned(), "cursor"),
        ("email=a@b.c".to_owned(), "email"),
        (format!("tenant_id={}", ada.tenant), "tenant_id"),
    ] {
        let answer = get(&app, &ada, &format!("{USERS}?{query}")).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (422, "VAL_001"), "{query}");
        assert_eq!(answer.json()["error"]["fields"][0]["field"], field, "{query}");
    }
    assert_eq!(app.trail(ada.tenant).await, [], "a refused read changes nothing");
}
