//! One request after another, each with something that is another tenant's.

use std::time::Duration;

use http::Method;
use serde_json::Value;
use shared::{
    access::{Access, Route},
    audit::Action,
    clock::{Clock, SystemClock},
    testing::{Answer, Event, Member},
};
use uuid::Uuid;

use super::{
    arguments::{self, Body, Given},
    world::{Leak, Tenant, Thing, World},
};
use crate::Result;

/// Of a hundred requests so many are dropped in mid-flight.
const CUT_SHORT: usize = 3;
/// Of a hundred so many have a token with another tenant's name.
const FORGED: usize = 3;
/// A costly route comes once in so many times that it is chosen.
const SELDOM: usize = 200;

/// Who sends what to which route.
struct Sent {
    function: usize,
    route: Route,
    caller: usize,
    member: usize,
    other: usize,
    /// The marker of the caller, or of the tenant that signs up.
    marker: String,
    event: Event,
}

/// Whose thing the path names.
enum Target {
    Own(Thing),
    Foreign(Thing),
    Unknown,
}

/// Sends one request, or two that must be answered alike, and judges it.
///
/// # Errors
/// A [`Leak`], or an answer that none of these requests may get.
pub(super) async fn send(world: &mut World) -> Result<()> {
    let (function, route) = choose(world);
    let (caller, other) = world.two_tenants();
    let member = world.chance.below(world.tenants[caller].members.len());
    let who = world.tenants[caller].members[member].clone();
    let marker = match route.action {
        Action::AuthSignup => world.markers.make(world.tenants.len(), &mut world.chance),
        _ => world.tenants[caller].marker.clone(),
    };
    let event = event(world, &route, &who, other, &marker)?;
    let sent = Sent { function, route, caller, member, other, marker, event };
    let Some((before, after)) = sent.route.path.split_once("{id}") else { return to_a_list(world, sent).await };
    let path = before.trim_end_matches('/');
    match target(world, path, &sent, who.user) {
        Target::Own(thing) => to_ones_own(world, sent, (path, after), thing).await,
        Target::Foreign(thing) => to_anothers(world, &sent, (path, after), thing.id).await,
        Target::Unknown => to_anothers(world, &sent, (path, after), SystemClock.new_id()).await,
    }
}

fn choose(world: &mut World) -> (usize, Route) {
    loop {
        let function = world.chance.below(world.functions.len());
        let routes = world.functions[function].routes();
        let route = routes[world.chance.below(routes.len())].clone();
        if !arguments::is_costly(route.action) || world.chance.below(SELDOM) == 0 {
            return (function, route);
        }
    }
}

fn target(world: &mut World, path: &'static str, sent: &Sent, user: Uuid) -> Target {
    let things = world.things.get(path).map(Vec::as_slice).unwrap_or_default();
    let wish = world.chance.below(10);
    let fits = |thing: &&Thing| match wish {
        0..4 => thing.tenant == sent.caller && thing.user == user,
        4..8 => thing.tenant == sent.other,
        _ => false,
    };
    let fitting: Vec<Thing> = things.iter().filter(fits).copied().collect();
    if fitting.is_empty() || (wish < 4 && arguments::goes_out(sent.route.action)) {
        return Target::Unknown;
    }
    let thing = fitting[world.chance.below(fitting.len())];
    if wish < 4 { Target::Own(thing) } else { Target::Foreign(thing) }
}

/// The event, but for the id in its path.
fn event(world: &mut World, route: &Route, who: &Member, other: usize, marker: &str) -> Result<Event> {
    let Tenant { id, marker: foreign, members, cursors } = &world.tenants[other];
    let (token, email) = (&members[0].token, format!("{}@example.com", members[0].user.simple()));
    let foreign_id = id.to_string();
    let given =
        Given { marker, foreign_slug: foreign, foreign_email: &email, foreign_token: token, foreign_id: &foreign_id };
    let body = arguments::body(route, &given, &mut world.chance)?;
    let mut target = route.path.to_owned();
    if route.method == Method::GET && !route.path.contains("{id}") {
        let of_other = cursors.iter().find(|(path, _)| *path == route.path).map(|(_, cursor)| cursor);
        match (world.chance.below(8), of_other) {
            (0, Some(cursor)) => target = format!("{target}?cursor={cursor}"),
            (1, _) => target = format!("{target}?tenant_id={foreign_id}"),
            (2..6, _) => target += "?limit=2",
            _ => {}
        }
    }
    if route.action == Action::AuthLogout && world.chance.below(5) > 0 {
        target += "?scope=others";
    }
    let is_forged = world.chance.below(100) < FORGED;
    let bearer = if is_forged { world.forged(who, *id) } else { who.token.clone() };
    let request_id = if is_forged { "forged" } else { "the-same" };
    let mut event = Event::new(&route.method, &target).bearer(&bearer).header("x-request-id", request_id);
    event = match body {
        Body::None => event,
        Body::Json(json) => event.json(&json),
        Body::Token(token) => event.form(&[("token", &token)]),
    };
    if world.chance.below(10) == 0 {
        event = event.header("x-tenant-id", &foreign_id);
    }
    if route.method == Method::POST && world.chance.below(4) == 0 {
        // The same keys in every tenant.
        event = event.header("idempotency-key", &format!("key-{}", world.chance.below(50)));
    }
    Ok(event.header("if-match", if world.chance.below(4) == 0 { "\"1\"" } else { "*" }))
}

async fn to_a_list(world: &mut World, sent: Sent) -> Result<()> {
    let Some(answer) = answer(world, &sent, sent.event.clone()).await else {
        if sent.route.method == Method::POST {
            world.ledger.perhaps_made(sent.route.path, sent.caller);
            if let Some(name) = name(&sent.event) {
                world.ledger.named(sent.caller, &name, None);
            }
        }
        return interrupted(world, &sent).await;
    };
    let own = if sent.route.action == Action::AuthSignup { world.tenants.len() } else { sent.caller };
    if sent.route.action == Action::AuthSignup && answer.status == 201 {
        let id =
            answer.json()["tenant"]["id"].as_str().and_then(|id| id.parse().ok()).ok_or("a tenant without an id")?;
        world.markers.own(id, own);
        let marker = sent.marker.clone();
        world.tenants.push(Tenant { id, marker, members: Vec::new(), cursors: Vec::new() });
    }
    judge(world, &sent, &answer, own)?;
    let json = if answer.header("content-type").starts_with("application/json") { answer.json() } else { Value::Null };
    if let Some(cursor) = json["next_cursor"].as_str() {
        let cursors = &mut world.tenants[sent.caller].cursors;
        cursors.retain(|(path, _)| *path != sent.route.path);
        cursors.push((sent.route.path, cursor.to_owned()));
    }
    let asked = sent.event.clone().into_json()["rawQueryString"].as_str().unwrap_or_default().to_owned();
    if (asked.starts_with("cursor=") || asked.starts_with("tenant_id="))
        && answer.status.is_success()
        && json.get("items").is_some()
    {
        return Err(Leak(format!("{} {}?{asked} was accepted", sent.route.method, sent.route.path)).into());
    }
    let name = name(&sent.event);
    if answer.code() == "RES_002"
        && let Some(name) = name.as_deref().filter(|name| !world.ledger.has_name(sent.caller, name))
    {
        return Err(Leak(format!("tenant {} was told that {name} exists, which is another's", sent.caller)).into());
    }
    if answer.status == 201
        && answer.header("idempotency-replayed").is_empty()
        && let Some(id) = id(&json)
    {
        let user = world.tenants[sent.caller].members[sent.member].user;
        world.made(sent.route.path, Thing { id, tenant: sent.caller, user });
        if let Some(name) = name {
            world.ledger.named(sent.caller, &name, Some(id));
        }
    }
    if sent.route.action == Action::AuthLogout && answer.status == 204 && asked.is_empty() {
        world.replace(sent.caller, sent.member).await;
    }
    Ok(())
}

async fn to_ones_own(world: &mut World, sent: Sent, (path, after): (&'static str, &str), thing: Thing) -> Result<()> {
    let event = aimed(&sent.event, path, after, thing.id);
    let deletes = sent.route.method == Method::DELETE;
    let Some(answer) = answer(world, &sent, event).await else {
        if sent.route.method != Method::GET {
            world.ledger.perhaps(path, thing.id, deletes);
        }
        return interrupted(world, &sent).await;
    };
    judge(world, &sent, &answer, sent.caller)?;
    if !answer.status.is_success() {
        return Ok(());
    }
    if deletes {
        world.gone(path, thing.id);
        let members = &world.tenants[sent.caller].members;
        if let Some(member) = members.iter().position(|member| member.session == thing.id) {
            world.replace(sent.caller, member).await;
        }
    } else if sent.route.method != Method::GET {
        world.ledger.changed(path, thing.id, answer.header("etag").trim_matches('"').parse().ok());
    }
    Ok(())
}

/// Another's thing and one that nobody has are answered alike.
async fn to_anothers(world: &mut World, sent: &Sent, (path, after): (&'static str, &str), id: Uuid) -> Result<()> {
    let unknown = SystemClock.new_id();
    let mut answers = Vec::new();
    for id in [id, unknown] {
        let Some(answer) = answer(world, sent, aimed(&sent.event, path, after, id)).await else {
            return interrupted(world, sent).await;
        };
        judge(world, sent, &answer, sent.caller)?;
        if answer.status == 429 {
            // A quota counts requests, and knows of no id.
            return Ok(());
        }
        if !answer.status.is_client_error() {
            return Err(Leak(format!(
                "{} {path}/{id}{after} of another tenant got {}",
                sent.route.method, answer.status
            ))
            .into());
        }
        let body = String::from_utf8_lossy(&answer.bytes).replace(&id.to_string(), "the-id");
        answers.push((answer.status, answer.headers, body));
    }
    if answers[0] != answers[1] {
        return Err(Leak(format!(
            "{} {path}/{id}{after}: {:?}, and an unknown id: {:?}",
            sent.route.method, answers[0], answers[1]
        ))
        .into());
    }
    Ok(())
}

fn aimed(event: &Event, path: &str, after: &str, id: Uuid) -> Event {
    event.clone().edit(|event| {
        event["rawPath"] = format!("{path}/{id}{after}").into();
        event["requestContext"]["http"]["path"] = event["rawPath"].clone();
    })
}

/// The answer, or none where the request was dropped in mid-flight.
async fn answer(world: &mut World, sent: &Sent, event: Event) -> Option<Answer> {
    let function = &world.functions[sent.function];
    if world.chance.below(100) >= CUT_SHORT {
        return Some(function.send(event).await);
    }
    let patience = Duration::from_micros(world.chance.below(6000) as u64);
    tokio::time::timeout(patience, function.send(event)).await.ok()
}

/// Nobody knows whether a session that was being ended did end.
async fn interrupted(world: &mut World, sent: &Sent) -> Result<()> {
    if matches!(sent.route.action, Action::AuthLogout | Action::AuthSessionsDelete) {
        world.replace(sent.caller, sent.member).await;
    }
    Ok(())
}

fn judge(world: &World, sent: &Sent, answer: &Answer, own: usize) -> Result<()> {
    let Sent { route, event, caller, .. } = sent;
    let text = format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.bytes));
    let request = event.clone().into_json();
    if let Some(foreign) = world.markers.foreign(&text, own, &request.to_string()) {
        return Err(
            Leak(format!("tenant {caller} was told {foreign} by {} {}: {text}", route.method, route.path)).into()
        );
    }
    if answer.status.is_server_error() {
        return Err(format!("{} {}: {text} {:?}", route.method, route.path, answer.log).into());
    }
    let entered = answer.status.is_success() || answer.status == 404;
    match (route.access == Access::Public, request["headers"]["x-request-id"] == "forged") {
        (false, true) if entered => Err(Leak(format!(
            "a session of tenant {caller} entered another by {} {}: {text}",
            route.method, route.path
        ))
        .into()),
        (false, false) if answer.code() == "AUTH_006" => {
            Err(Leak(format!("a session of tenant {caller} was ended by nobody of it")).into())
        }
        _ => Ok(()),
    }
}

/// The `id` of a thing that was made.
fn id(json: &Value) -> Option<Uuid> {
    json["id"].as_str()?.parse().ok()
}

/// The `name` that a request gives to a thing that must be the only one of it.
fn name(event: &Event) -> Option<String> {
    let event = event.clone().into_json();
    let body: Value = serde_json::from_str(event["body"].as_str()?).ok()?;
    body["issuer"].as_str()?;
    Some(body["name"].as_str()?.to_owned())
}
