//! `template.yaml` and the local route table serve the same paths by the same
//! functions.

use std::collections::{BTreeMap, BTreeSet};

use saphyr::{LoadableYamlNode, Yaml};

use crate::{file, fits, groups};

/// What every path is routed for: `OPTIONS` is API Gateway's own, so `ANY` and
/// `$default` would take preflights from it.
const METHODS: [&str; 6] = ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"];

/// What starts a function by an event of this kind: its binary, and these two
/// properties of the event.
fn events(kind: &str, properties: [&str; 2]) -> Vec<(String, [String; 2])> {
    let text = file("template.yaml");
    let documents = Yaml::load_from_str(&text).unwrap();
    // What `!Sub` fills in stays as it is written.
    let text = |node: &Yaml<'_>| match node {
        Yaml::Tagged(_, inner) => inner.as_str().unwrap().to_owned(),
        node => node.as_str().unwrap().to_owned(),
    };
    let mut found = Vec::new();
    for resource in documents[0]["Resources"].as_mapping().unwrap().values() {
        if resource["Type"].as_str() != Some("AWS::Serverless::Function") {
            continue;
        }
        let binary = text(&resource["Metadata"]["BuildProperties"]["Binary"]);
        let Some(events) = resource["Properties"].as_mapping_get("Events") else { continue };
        for event in events.as_mapping().unwrap().values() {
            let type_ = text(&event["Type"]);
            assert!(["HttpApi", "Schedule"].contains(&&*type_), "{type_}");
            if type_ == kind {
                found.push((binary.clone(), properties.map(|name| text(&event["Properties"][name]))));
            }
        }
    }
    found
}

/// The template's paths, the binary that serves each, and for which methods.
pub(crate) fn routes() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut routes = BTreeMap::new();
    for (binary, [path, method]) in events("HttpApi", ["Path", "Method"]) {
        let (function, methods) = routes.entry(path.clone()).or_insert((binary.clone(), BTreeSet::new()));
        assert_eq!(*function, binary, "{path} has one function");
        assert!(methods.insert(method.clone()), "{method} {path} stands once");
    }
    routes
}

#[test]
fn schedules_clean_up_keep_the_trail_and_go_on_with_a_rotation() {
    let schedules = events("Schedule", ["Schedule", "Input"]);
    let action = |input: &str| serde_json::from_str::<ops::Action>(input).unwrap();
    let mut started: Vec<_> = schedules
        .iter()
        .map(|(binary, [schedule, input])| (&**binary, &**schedule, format!("{:?}", action(input))))
        .collect();
    started.sort();
    let go_on = ops::Action::RotateKeys { only_continue: true, force: false, next_kms_key_id: None };
    let clean_up = ops::Action::CleanUp {};
    let checkpoint = ops::Action::AuditCheckpoint {};
    let retention = ops::Action::AuditRetention {};
    assert_eq!(
        started,
        [
            ("ops", "rate(${AuditCheckpointMinutes} minutes)", format!("{checkpoint:?}")),
            ("ops", "rate(1 day)", format!("{retention:?}")),
            ("ops", "rate(1 hour)", format!("{clean_up:?}")),
            ("ops", "rate(10 minutes)", format!("{go_on:?}")),
        ]
    );
}

/// The pattern that API Gateway chooses for a path, which is the most specific
/// one, and the function behind it.
pub(crate) fn route_of(routes: &BTreeMap<String, (String, BTreeSet<String>)>, path: &str) -> (String, String) {
    let fitting = routes.iter().filter(|(pattern, _)| fits(path, pattern));
    let (pattern, (function, _)) = fitting.max_by_key(|(pattern, _)| pattern.len()).expect("a route for every path");
    (pattern.clone(), function.clone())
}

#[test]
fn every_path_is_routed_for_every_method_by_name() {
    for (path, (_, methods)) in routes() {
        assert!(methods.iter().eq(METHODS), "{path}: {methods:?}");
    }
}

#[test]
fn the_local_route_table_is_the_templates() {
    let manifest: toml::Table = file("Cargo.toml").parse().unwrap();
    let table = &manifest["workspace"]["metadata"]["lambda"]["watch"]["router"];
    let local: BTreeMap<_, _> = table
        .as_table()
        .unwrap()
        .iter()
        .map(|(path, function)| (path.replace("{*proxy}", "{proxy+}"), function.as_str().unwrap().to_owned()))
        .collect();
    let deployed: BTreeMap<_, _> = routes().into_iter().map(|(path, (function, _))| (path, function)).collect();
    assert_eq!(local, deployed);
}

#[test]
fn every_declared_route_is_reached_and_every_function_has_one() {
    let routes = routes();
    for (group, declared) in groups() {
        for route in declared {
            let path = route.path.replace("{id}", "01a1fd55-7a80-702f-ab96-03d618eafecc");
            assert_eq!(route_of(&routes, &path).1, group, "{} {}", route.method, route.path);
            assert!(METHODS.contains(&route.method.as_str()), "{}", route.method);
        }
    }
    let served: BTreeSet<_> = routes.values().map(|(function, _)| function.as_str()).collect();
    assert_eq!(served, groups().iter().map(|(group, _)| *group).collect());
}

#[test]
fn what_no_group_has_goes_to_health_which_answers_404() {
    let routes = routes();
    for path in ["/", "/x", "/api/v1", "/api/v1/x", "/api/v1/healthy", "/api/v1/todos2/1", "/api/v2/todos"] {
        assert_eq!(route_of(&routes, path).1, "health", "{path}");
    }
}
