//! A request that is about to be sent, with something that is another tenant's.

use std::time::Duration;

use http::Method;
use shared::{
    access::Route,
    audit::Action,
    auth::Role,
    clock::{Clock, SystemClock},
    testing::{Event, Member},
};
use uuid::Uuid;

use super::{
    arguments::{self, Body, Given, PASSWORD},
    queries::{self, Asked},
    sign_in,
    world::{Thing, World},
};
use crate::{Result, chance::Chance};

/// Of a hundred requests so many are dropped in mid-flight.
const CUT_SHORT: usize = 3;
/// Of a hundred so many have a token with another tenant's name.
const FORGED: usize = 3;
/// Whose session belongs to nobody's members: of the tenant as a whole.
pub(super) const OF_THE_TENANT: Uuid = Uuid::nil();

/// What a request is to reach for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// What is the caller's own, and nothing that is refused.
    Own,
    /// What is another's.
    Foreign,
    /// Either, or what nobody has.
    Any,
}

/// Who sends what to which route.
pub(super) struct Sent {
    pub(super) function: usize,
    pub(super) route: Route,
    pub(super) caller: usize,
    pub(super) member: usize,
    pub(super) other: usize,
    /// Whose answer it may be: the caller's tenant, or the one that is signed in to.
    pub(super) own: usize,
    /// The marker of the caller, or of the tenant that signs up.
    pub(super) marker: String,
    pub(super) event: Event,
}

/// What its events are, and so how they must be answered.
pub(super) enum Kind {
    /// One request without an id.
    Plain,
    /// One to a thing of the caller's.
    Own { path: &'static str, thing: Thing },
    /// Two that differ in what they name, of which the second is nobody's: they
    /// must be refused, and alike.
    Alike([String; 2]),
    /// A sign-in at an identity provider, or its end.
    SignIn(sign_in::Way),
}

/// A request that is about to be sent, or two that must be answered alike.
pub(super) struct Planned {
    pub(super) sent: Sent,
    pub(super) kind: Kind,
    /// With each, after how long it is dropped, if it is.
    pub(super) events: Vec<(Event, Option<Duration>)>,
}

/// Plans a request of this tenant to this route.
///
/// # Errors
/// Nobody has said what the route takes, or a sign-in could not be begun.
pub(super) async fn plan(
    world: &mut World,
    (function, route): (usize, Route),
    caller: usize,
    wish: Wish,
) -> Result<Planned> {
    let other = world.other_than(caller);
    let members = &world.tenants[caller].members;
    let member = match wish {
        Wish::Any => world.chance.below(members.len()),
        _ => members.iter().position(|member| member.role == Role::Admin).unwrap_or_default(),
    };
    let who = world.tenants[caller].members[member].clone();
    let marker = match route.action {
        Action::AuthSignup => world.markers.make(world.tenants.len(), &mut world.chance),
        _ => world.tenants[caller].marker.clone(),
    };
    let mut sent = Sent { function, route, caller, member, other, own: caller, marker, event: Event::get("/") };
    if sent.route.path.contains("{provider}") {
        return sign_in::plan(world, sent, wish).await;
    }
    event(world, &mut sent, &who, wish)?;
    let (kind, events) = match sent.route.path.split_once("{id}") {
        None => (Kind::Plain, vec![sent.event.clone()]),
        Some((before, after)) => {
            let path = before.trim_end_matches('/');
            match target(world, path, &sent, who.user, wish) {
                Some(thing) if thing.tenant == sent.caller => {
                    (Kind::Own { path, thing }, vec![aimed(&sent.event, path, after, thing.id)])
                }
                foreign => {
                    let ids = [foreign.map_or_else(|| SystemClock.new_id(), |thing| thing.id), SystemClock.new_id()];
                    // Where it is another's, its version is known too.
                    let version = world.ledger.version(path, ids[0]).filter(|_| world.chance.below(3) == 0);
                    let event = match version {
                        Some(version) => sent.event.clone().header("if-match", &format!("\"{version}\"")),
                        None => sent.event.clone(),
                    };
                    let events = ids.iter().map(|id| aimed(&event, path, after, *id)).collect();
                    (Kind::Alike(ids.map(|id| id.to_string())), events)
                }
            }
        }
    };
    let events = events.into_iter().map(|event| (event, patience(&mut world.chance))).collect();
    Ok(Planned { sent, kind, events })
}

/// After how long a request is dropped, if it is.
pub(super) fn patience(chance: &mut Chance) -> Option<Duration> {
    let is_cut_short = chance.below(100) < CUT_SHORT;
    let patience = Duration::from_micros(chance.below(6000) as u64);
    is_cut_short.then_some(patience)
}

/// Whose thing the path names; none where it is nobody's.
fn target(world: &mut World, path: &'static str, sent: &Sent, user: Uuid, wish: Wish) -> Option<Thing> {
    let wish = match wish {
        Wish::Own => 0,
        Wish::Foreign => 4,
        Wish::Any => world.chance.below(10),
    };
    let changes_users = path == "/api/v1/users" && sent.route.method != Method::GET;
    let fits = |thing: &&Thing| match wish {
        // A member stays as it is.
        0..4 => thing.tenant == sent.caller && (thing.user == user && !changes_users || thing.user == OF_THE_TENANT),
        4..8 => thing.tenant == sent.other,
        _ => false,
    };
    if wish < 4 && arguments::goes_out(sent.route.action) {
        return None;
    }
    let things = world.things.get(path).map(Vec::as_slice).unwrap_or_default();
    let many = things.iter().filter(fits).count();
    let number = world.chance.below(many);
    things.iter().filter(fits).nth(number).copied()
}

/// The event, but for the id in its path.
fn event(world: &mut World, sent: &mut Sent, who: &Member, wish: Wish) -> Result<()> {
    let (action, method) = (sent.route.action, sent.route.method.clone());
    let stranger = world.tenants[sent.other].members[0].clone();
    let foreign_id = stranger.tenant.to_string();
    let refresh = sign_in::refresh_token(world, sent, wish);
    let email = format!("{}@example.com", stranger.user.simple());
    let login = match (world.signed_up, action) {
        (Some(number), Action::AuthLogin) if wish == Wish::Own || world.chance.below(2) == 0 => {
            sent.own = number;
            let marker = &world.tenants[number].marker;
            [marker.clone(), format!("{marker}@example.com"), PASSWORD.to_owned()]
        }
        _ => [world.tenants[sent.other].marker.clone(), email, PASSWORD.to_owned()],
    };
    let given = Given {
        marker: &sent.marker,
        issuer: &world.idp.provider.issuer(),
        login: login.each_ref().map(String::as_str),
        refresh_token: &refresh,
        foreign_token: &stranger.token,
        foreign_id: &foreign_id,
    };
    let body = arguments::body(&sent.route, &given, &mut world.chance)?;
    let mut target = sent.route.path.to_owned();
    if method == Method::GET && !sent.route.path.contains("{id}") && wish != Wish::Own {
        let asked = Asked { action, path: sent.route.path, caller: sent.caller, other: sent.other };
        if let Some(query) = queries::query(world, &asked) {
            target = format!("{target}?{query}");
        }
    }
    if action == Action::AuthLogout && world.chance.below(5) > 0 {
        target += "?scope=others";
    }
    let is_forged = wish != Wish::Own && world.chance.below(100) < FORGED;
    let bearer = match (is_forged, world.chance.below(3)) {
        (false, _) => who.token.clone(),
        (true, 0) => sign_in::forged_bearer(world, sent),
        (true, _) => world.forged(who, stranger.tenant),
    };
    let request_id = if is_forged { "forged" } else { "the-same" };
    let mut event = Event::new(&method, &target).bearer(&bearer).header("x-request-id", request_id);
    event = match body {
        Body::None => event,
        Body::Json(json) => event.json(&json),
        Body::Token(token) => event.form(&[("token", &token)]),
    };
    if world.chance.below(10) == 0 {
        event = event.header("x-tenant-id", &foreign_id);
    }
    if method == Method::POST && wish == Wish::Any && world.chance.below(4) == 0 {
        // The same keys in every tenant.
        event = event.header("idempotency-key", &format!("key-{}", world.chance.below(50)));
    }
    if method == Method::GET && sent.route.path.contains("{id}") && wish == Wish::Any && world.chance.below(4) == 0 {
        event = event.header("if-none-match", "*");
    }
    if wish != Wish::Own && world.chance.below(20) == 0 {
        // What a browser keeps that was signed in there: it speaks for nobody here.
        event = event.cookies(&sign_in::foreign_cookies(world, sent.other));
    }
    let version = if wish != Wish::Own && world.chance.below(4) == 0 { "\"1\"" } else { "*" };
    // A quota is an address's: from one alone nothing would be let through for long.
    let [high, low] = [world.chance.below(256), world.chance.below(256)];
    sent.event = event.header("if-match", version).source_address(&format!("198.18.{high}.{low}"));
    Ok(())
}

fn aimed(event: &Event, path: &str, after: &str, id: Uuid) -> Event {
    event.clone().edit(|event| {
        event["rawPath"] = format!("{path}/{id}{after}").into();
        event["requestContext"]["http"]["path"] = event["rawPath"].clone();
    })
}
