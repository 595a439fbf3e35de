//! Sign-ins at an identity provider that every tenant trusts, each as a client of
//! its own: begun at one tenant, they are brought to another, with its cookie,
//! state, nonce, client or name. So are the provider's logout tokens.

mod attempt;
mod sessions;

use serde_json::{Value, json};
use shared::{
    audit::Action,
    clock::{Clock, SystemClock},
    testing::{Answer, Event},
};

use super::{
    plan::{Kind, Planned, Sent, Wish, patience},
    world::{Leak, World},
};
use crate::Result;
use attempt::Begun;
pub(super) use sessions::{Federated, foreign_cookies, perhaps_refreshed, refresh_token, refreshed};

/// The provider's name in every tenant.
pub(super) const SHARED: &str = "shared";
/// People whom it vouches for, the same for every tenant.
const SUBJECTS: usize = 3;
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// What a sign-in or a logout is brought to.
pub(super) enum Way {
    /// A sign-in that is begun where it belongs.
    Begun,
    /// A sign-in that is finished where it was begun, by whom.
    Finished(String),
    /// The same, sent twice.
    Twice(String),
    /// A logout of somebody where the session is.
    Ended(String),
    /// A logout token about a session that is another tenant's.
    OfAnother,
    /// What must be refused, and why.
    Refused(&'static str),
}

/// Plans a request to one of the sign-in's routes.
///
/// # Errors
/// A sign-in could not be begun.
pub(super) async fn plan(world: &mut World, mut sent: Sent, wish: Wish) -> Result<Planned> {
    let (kind, events) = match sent.route.action {
        Action::AuthOidcStart => begin(world, &sent, wish),
        Action::AuthOidcLogin => {
            let (way, events) = finish(world, &sent, wish).await?;
            (Kind::SignIn(way), events)
        }
        _ => {
            let (way, event) = end(world, &sent, wish);
            (Kind::SignIn(way), vec![event])
        }
    };
    sent.event = events[0].clone();
    let events =
        events.into_iter().map(|event| (event.header("x-request-id", "the-same"), patience(&mut world.chance)));
    Ok(Planned { sent, kind, events: events.collect() })
}

fn path(sent: &Sent, provider: &str) -> String {
    sent.route.path.replace("{provider}", provider)
}

fn begin(world: &mut World, sent: &Sent, wish: Wish) -> (Kind, Vec<Event>) {
    let (slug, theirs) = (&world.tenants[sent.caller].marker, &world.tenants[sent.other].marker);
    if wish == Wish::Own || wish == Wish::Any && world.chance.below(2) == 0 {
        return (Kind::SignIn(Way::Begun), vec![Event::get(&format!("{}?tenant={slug}", path(sent, SHARED)))]);
    }
    // A provider by a name that another tenant alone has.
    let names = [format!("only-{theirs}"), format!("only-mk{:012x}km", world.chance.below(1 << 40))];
    let events = names.iter().map(|name| Event::get(&format!("{}?tenant={slug}", path(sent, name)))).collect();
    (Kind::Alike(names), events)
}

async fn finish(world: &mut World, sent: &Sent, wish: Wish) -> Result<(Way, Vec<Event>)> {
    let number = match wish {
        Wish::Own => 0,
        Wish::Foreign => 6 + world.chance.below(7),
        Wish::Any => world.chance.below(14),
    };
    let known = world.federated.iter().filter(|session| session.tenant == sent.caller).count();
    let subject = if wish == Wish::Own { known % SUBJECTS } else { world.chance.below(SUBJECTS) };
    let subject = format!("person-{subject}");
    let own = Begun::at(world, sent, sent.caller).await?;
    let theirs = if number < 6 { None } else { Some(Begun::at(world, sent, sent.other).await?) };
    let mut claims = own.claims(world, &subject);
    let mut back = own.clone();
    let mut provider = SHARED.to_owned();
    let tenants = [sent.caller, sent.other].map(|number| &world.tenants[number]);
    let way = match (number, theirs) {
        (5, _) => Way::Twice(subject),
        (6, Some(theirs)) => {
            back.cookie = theirs.cookie;
            Way::Refused("the cookie of another tenant's")
        }
        (7, Some(theirs)) => {
            back.state = theirs.state;
            Way::Refused("the state of another tenant's")
        }
        (8, Some(theirs)) => {
            back = theirs;
            back.slug.clone_from(&own.slug);
            Way::Refused("all of another tenant's but its name")
        }
        (9, Some(theirs)) => {
            back.slug = theirs.slug;
            Way::Refused("the name of another tenant")
        }
        (10, Some(theirs)) => {
            claims["nonce"] = theirs.nonce.into();
            Way::Refused("an ID token for another tenant's")
        }
        (11, Some(_)) => {
            claims["aud"] = tenants[1].marker.clone().into();
            Way::Refused("an ID token for another tenant's client")
        }
        (12, Some(_)) => {
            claims[["tenant_id", "organization_id"][world.chance.below(2)]] = tenants[1].id.to_string().into();
            Way::Refused("an ID token that names another tenant")
        }
        (13, Some(_)) => {
            provider = format!("only-{}", tenants[1].marker);
            Way::Refused("the name of another tenant's provider")
        }
        _ => Way::Finished(subject),
    };
    own.grant(world, &claims);
    let event = back.event(&path(sent, &provider));
    let times = if matches!(way, Way::Twice(_)) { 2 } else { 1 };
    Ok((way, vec![event; times]))
}

fn end(world: &mut World, sent: &Sent, wish: Wish) -> (Way, Event) {
    let number = match wish {
        Wish::Own => 0,
        Wish::Foreign => 3 + world.chance.below(3),
        Wish::Any => world.chance.below(6),
    };
    // Of those who signed in one after the other some stay.
    let subject = if wish == Wish::Own { 0 } else { world.chance.below(SUBJECTS) };
    let subject = format!("person-{subject}");
    let tenants = [sent.caller, sent.other].map(|number| &world.tenants[number]);
    let now = SystemClock.now().unix_timestamp();
    let mut claims = json!({
        "iss": world.idp.provider.issuer(), "aud": tenants[0].marker, "iat": now, "exp": now + 300,
        "jti": SystemClock.new_id(), "events": { EVENT: {} }, "sub": subject,
    });
    let mut slug = &tenants[0].marker;
    let way = match number {
        // At the wrong tenant's, and for the wrong tenant's client.
        3 => {
            slug = &tenants[1].marker;
            Way::Refused("a logout token for another tenant's client")
        }
        4 => {
            claims["aud"] = tenants[1].marker.clone().into();
            Way::Refused("a logout token for another tenant's client")
        }
        5 => {
            let theirs = world.federated.iter().find(|session| session.tenant == sent.other);
            claims["sid"] = theirs.map_or(tenants[1].members[0].session, |theirs| theirs.session).to_string().into();
            Way::OfAnother
        }
        _ if number == 1 => {
            claims["sid"] = format!("sid-{subject}").into();
            claims["tenant_id"] = tenants[1].id.to_string().into();
            Way::Ended(subject)
        }
        _ => Way::Ended(subject),
    };
    let target = format!("{}?tenant={slug}", path(sent, SHARED));
    (way, Event::post(&target, &Value::Null).form(&[("logout_token", &world.idp.sign(&claims))]))
}

/// Judges what came of it, by what it was brought to.
///
/// # Errors
/// A [`Leak`].
pub(super) fn judge(world: &mut World, sent: &Sent, way: &Way, answers: Option<&[Answer]>) -> Result<()> {
    let leak = |what: &str| Err(Leak(format!("tenant {}: {what}", sent.caller)).into());
    let Some(answers) = answers else {
        match way {
            Way::Finished(subject) | Way::Twice(subject) => {
                world.ledger.perhaps_made("/api/v1/users", sent.caller);
                world.ledger.named(sent.caller, &format!("subject {subject}"), None);
            }
            Way::Ended(subject) => sessions::ended(world, sent.caller, subject),
            _ => {}
        }
        return Ok(());
    };
    let status = answers[0].status;
    match way {
        Way::Refused(why) if !status.is_client_error() => leak(&format!("{why} was taken: {status}")),
        Way::Twice(_) if answers[1].status.is_success() => leak("a sign-in was finished twice"),
        Way::Finished(subject) | Way::Twice(subject) if status.is_success() => {
            sessions::begun(world, sent.caller, subject, &answers[0])
        }
        Way::Begun if status != 302 => leak(&format!("a sign-in could not be begun: {status}")),
        Way::Ended(subject) => {
            sessions::ended(world, sent.caller, subject);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The provider's own token for the caller's client, which names another tenant.
pub(super) fn forged_bearer(world: &World, sent: &Sent) -> String {
    let [own, theirs] = [sent.caller, sent.other].map(|number| &world.tenants[number]);
    let now = SystemClock.now().unix_timestamp();
    world.idp.sign(&json!({
        "iss": world.idp.provider.issuer(), "aud": own.marker, "sub": "person-0", "tenant_id": theirs.id,
        "jti": SystemClock.new_id(), "iat": now, "exp": now + 900,
    }))
}
