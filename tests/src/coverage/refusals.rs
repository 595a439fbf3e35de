//! The routes of signed-in callers, walked once more: in whichever way a change
//! is refused, it leaves exactly one record, which is none of a success.

use super::*;

/// Ways in which a request does not say what the route asks for.
fn spoilt(event: &Event, route: &Route) -> Vec<(&'static str, Event)> {
    let mut ways = vec![
        ("a body that is too large", plain(event, "application/json", &" ".repeat(1_100_000))),
        ("the id of nothing", elsewhere(event, route, "0193f0e0-0000-7000-8000-000000000000")),
        ("an id that is none", elsewhere(event, route, "x")),
    ];
    let has_id = route.path.contains("{id}");
    ways.retain(|(name, _)| has_id || !name.contains("id"));
    let json = Value::Object(serde_json::from_str(event_body(event).as_deref().unwrap_or("null")).unwrap_or_default());
    if json.as_object().is_some_and(|members| !members.is_empty()) {
        ways.extend([
            ("no JSON", plain(event, "application/json", "{")),
            ("another content type", plain(event, "text/plain", "{}")),
            ("an unknown field", event.clone().json(&with(&json, "admin", &json!(true)))),
            ("a key twice", plain(event, "application/json", &twice(&json))),
            ("no body", plain(event, "application/json", "")),
        ]);
    }
    if event.clone().into_json()["headers"].get("if-match").is_some() {
        ways.push(("no version", event.clone().edit(|event| drop(headers(event).remove("if-match")))));
        ways.push(("another version", event.clone().header("if-match", "\"77\"")));
        ways.push(("a version that is none", event.clone().header("if-match", "77")));
    }
    ways
}

/// The same event with another body.
fn plain(event: &Event, content_type: &str, body: &str) -> Event {
    event.clone().body(content_type, body).edit(|event| event["isBase64Encoded"] = false.into())
}

fn headers(event: &mut Value) -> &mut serde_json::Map<String, Value> {
    event["headers"].as_object_mut().unwrap()
}

fn event_body(event: &Event) -> Option<String> {
    Some(event.clone().into_json()["body"].as_str()?.to_owned())
}

fn with(json: &Value, name: &str, value: &Value) -> Value {
    let mut json = json.clone();
    json[name] = value.clone();
    json
}

fn twice(json: &Value) -> String {
    let text = json.to_string();
    let (name, value) = json.as_object().unwrap().iter().next().unwrap();
    text.replacen('{', &format!("{{\"{name}\":{value},"), 1)
}

/// The same event of another thing.
fn elsewhere(event: &Event, route: &Route, id: &str) -> Event {
    event.clone().edit(|event| {
        for place in ["/rawPath", "/requestContext/http/path"] {
            if let Some(path) = event.pointer_mut(place) {
                *path = route.path.replace("{id}", id).into();
            }
        }
    })
}

#[tokio::test]
async fn every_way_in_which_a_change_is_refused_leaves_one_record() {
    let functions = Box::pin(Functions::start()).await;
    let mut wrong = Vec::new();
    for (group, routes) in groups() {
        let signed_in = |route: &Route| is_to_be_recorded(route) && route.access != Access::Public;
        for route in routes.into_iter().filter(signed_in) {
            let admin = functions.admin(group).await;
            let event = functions.attempt(&admin, &route).await.done;
            let viewer = functions.auth.member(admin.tenant, Role::Viewer).await;
            let mut ways: Vec<_> =
                spoilt(&event, &route).into_iter().map(|(way, event)| (way, event.bearer(&admin.access))).collect();
            if matches!(route.access, Access::Needs(_)) {
                ways.push(("a viewer", event.clone().bearer(&viewer.token)));
            }
            ways.push((
                "a query that nobody asked for",
                event.bearer(&admin.access).edit(|event| {
                    event["rawQueryString"] = "tenant_id=x".into();
                }),
            ));
            let mut before = HashSet::new();
            functions.recorded(&mut before).await;
            for (way, event) in ways {
                let answer = functions.send(group, event).await;
                let recorded = functions.recorded(&mut before).await;
                let name = format!("{} {}, {way}: {} {}", route.method, route.path, answer.status, answer.code());
                let refused = [(route.action.as_str().to_owned(), "failure".to_owned())];
                let denied = [(route.action.as_str().to_owned(), "denied".to_owned())];
                if answer.status.is_success() {
                    let done = [(route.action.as_str().to_owned(), "success".to_owned())];
                    if recorded != done && !READS_BY_POST.contains(&route.action) {
                        wrong.push(format!("{name}: {recorded:?}"));
                    }
                } else if recorded != refused && recorded != denied {
                    wrong.push(format!("{name}: {recorded:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
