//! `events/`: one real event per operation.

use std::collections::BTreeMap;

use serde_json::Value;
use shared::{
    Routes,
    app::Group,
    testing::{Event, TestApp},
};

use crate::{file, fits, groups, template};

/// The events, by name, but for those that name no route.
fn events() -> BTreeMap<String, Value> {
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../events")).unwrap();
    let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names = names.map(|name| name.strip_suffix(".json").expect("a JSON file").to_owned());
    let routed = names.filter(|name| !name.starts_with("ops-") && name != "unknown-path");
    routed.map(|name| (name.clone(), event(&name))).collect()
}

fn event(name: &str) -> Value {
    serde_json::from_str(&file(&format!("events/{name}.json"))).unwrap()
}

fn method_and_path(event: &Value) -> (String, String) {
    let request = lambda_http::request::from_str(&event.to_string()).unwrap();
    (request.method().to_string(), request.uri().path().to_owned())
}

#[test]
fn every_declared_route_has_one_event_named_after_its_group_and_none_is_left_over() {
    let mut left_over = events();
    for (group, routes) in groups() {
        for route in routes {
            let goes_there = |event: &Value| {
                let (method, path) = method_and_path(event);
                method == route.method.as_str() && fits(&path, route.path)
            };
            let fitting = left_over.iter().filter(|(_, event)| goes_there(event));
            let names: Vec<_> = fitting.map(|(name, _)| name.clone()).collect();
            let [name] = names.as_slice() else { panic!("{} {}: {names:?}", route.method, route.path) };
            assert!(name.starts_with(&format!("{group}-")), "{name} is an event of {group}");
            left_over.remove(name);
        }
    }
    assert!(left_over.is_empty(), "{:?}", left_over.keys());
}

async fn reaches_its_route<G: Group>(group: &str, routes: fn() -> Routes<G>) {
    let (app, declared) = (TestApp::start(routes()).await, routes());
    for (name, event) in events().into_iter().filter(|(name, _)| name.starts_with(&format!("{group}-"))) {
        let (method, path) = method_and_path(&event);
        let answer = app.send(Event::from_file(&name)).await;
        let line = answer.request_line();
        let route = declared.list().iter().find(|route| route.method.as_str() == method && fits(&path, route.path));
        assert_eq!((&line["route"], &line["method"]), (&route.unwrap().path.into(), &method.into()), "{name}");
        // Nobody has begun a sign-in, and no provider is registered: its handler said so.
        let refused = answer.code() == "AUTH_010";
        assert!(
            refused || !matches!(answer.status.as_u16(), 400 | 404 | 405 | 413 | 415 | 422 | 500..),
            "{name}: {}",
            answer.status
        );
    }
}

#[tokio::test]
async fn every_event_reaches_its_own_route() {
    reaches_its_route("audit", audit::routes).await;
    reaches_its_route("auth", auth::routes).await;
    reaches_its_route("health", health::routes).await;
    reaches_its_route("oidc", oidc::routes).await;
    reaches_its_route("tenants", tenants::routes).await;
    reaches_its_route("todos", todos::routes).await;
    reaches_its_route("users", users::routes).await;
}

#[test]
fn every_event_is_one_that_api_gateway_would_send() {
    let template = template::routes();
    for (name, event) in events().into_iter().chain([("unknown-path".to_owned(), event("unknown-path"))]) {
        let context = &event["requestContext"];
        assert_eq!(event["version"], "2.0", "{name}");
        assert_eq!(event["routeKey"], context["routeKey"], "{name}");
        assert_eq!(event["rawPath"], context["http"]["path"], "{name}");
        let (method, path) = method_and_path(&event);
        let (pattern, function) = template::route_of(&template, &path);
        assert_eq!(event["routeKey"], format!("{method} {pattern}"), "{name}");
        assert_eq!(name.split('-').next().unwrap().replace("unknown", "health"), function, "{name}");
        let rest = pattern.strip_suffix("{proxy+}").map(|prefix| path[prefix.len()..].to_owned());
        assert_eq!(event["pathParameters"]["proxy"].as_str().map(ToOwned::to_owned), rest, "{name}");
        let body = event["body"].as_str();
        let expected = match event["headers"]["content-type"].as_str() {
            Some("application/json") => body.is_some_and(|body| serde_json::from_str::<Value>(body).is_ok()),
            // API Gateway encodes whatever is neither JSON, XML nor text.
            Some("application/x-www-form-urlencoded") => body.is_some() && event["isBase64Encoded"] == true,
            _ => body.is_none(),
        };
        assert!(expected, "{name}");
    }
}

#[test]
fn the_events_of_ops_are_actions() {
    let action = |name: &str| serde_json::from_value::<ops::Action>(event(name)).unwrap();
    assert_eq!(action("ops-migrate"), ops::Action::Migrate {});
    assert_eq!(action("ops-clean-up"), ops::Action::CleanUp {});
    for (name, expected) in [
        ("ops-create-tenant", "CreateTenant"),
        ("ops-suspend-tenant", "SuspendTenant"),
        ("ops-resume-tenant", "ResumeTenant"),
        ("ops-delete-tenant", "DeleteTenant"),
    ] {
        assert!(format!("{:?}", action(name)).starts_with(expected), "{name}");
    }
    assert_eq!(action("ops-audit-checkpoint"), ops::Action::AuditCheckpoint {});
    assert_eq!(action("ops-audit-retention"), ops::Action::AuditRetention {});
    let rotate = |only_continue| ops::Action::RotateKeys { only_continue, force: false, next_kms_key_id: None };
    assert_eq!((action("ops-rotate-keys"), action("ops-rotate-keys-continue")), (rotate(false), rotate(true)));
}
