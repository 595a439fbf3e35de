//! What an answer may hold, and what follows from it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Method;
use serde_json::Value;
use shared::{access::Access, audit::Action, testing::Answer};
use uuid::Uuid;

use super::{
    plan::{Kind, OF_THE_TENANT, Planned, Sent},
    sign_in, trail,
    world::{Leak, Tenant, Thing, World},
};
use crate::Result;

/// Judges what came of a request; none stands for one that was dropped.
///
/// # Errors
/// A [`Leak`], or an answer that the request may not get.
pub(super) async fn judge(world: &mut World, planned: Planned, answers: Vec<Option<Answer>>) -> Result<()> {
    let Planned { mut sent, kind, .. } = planned;
    let whole: Option<Vec<Answer>> = answers.into_iter().collect();
    let signs_up = sent.route.action == Action::AuthSignup;
    if let Some(answer) = whole.iter().flatten().next().filter(|answer| signs_up && answer.status == 201) {
        sent.own = signed_up(world, &sent, answer)?;
    }
    for answer in whole.iter().flatten() {
        leaks_nothing(world, &sent, answer).await?;
    }
    if let Some(answer) = whole.iter().flatten().next() {
        let was_done = answer.status.is_success() || answer.status.is_redirection();
        world.coverage.answered(&sent.route, was_done);
    }
    match (kind, whole.as_deref()) {
        (Kind::Plain, answers) => to_a_list(world, &sent, answers.and_then(<[Answer]>::first)).await,
        (Kind::Own { path, thing }, answers) => {
            to_ones_own(world, &sent, (path, thing), answers.and_then(<[Answer]>::first)).await
        }
        (Kind::Alike(names), Some(answers)) => alike(&sent, &names, answers),
        (Kind::Alike(_), None) => interrupted(world, &sent).await,
        (Kind::SignIn(way), answers) => sign_in::judge(world, &sent, &way, answers),
    }
}

/// A tenant that signed itself up is one more.
fn signed_up(world: &mut World, sent: &Sent, answer: &Answer) -> Result<usize> {
    let number = world.tenants.len();
    let id = |text: &Value| text.as_str().and_then(|id| id.parse().ok()).ok_or("a tenant without an id");
    let (tenant, user) = (id(&answer.json()["tenant"]["id"])?, id(&answer.json()["user"]["id"])?);
    world.markers.own(tenant, number);
    world.tenants.push(Tenant::new(tenant, sent.marker.clone()));
    world.signed_up = Some(number);
    world.made("/api/v1/users", Thing { id: user, tenant: number, user });
    Ok(number)
}

async fn to_a_list(world: &mut World, sent: &Sent, answer: Option<&Answer>) -> Result<()> {
    let names = sent.names();
    let Some(answer) = answer else {
        if sent.route.method == Method::POST {
            world.ledger.perhaps_made(sent.route.path, sent.caller);
            for name in &names {
                world.ledger.named(sent.caller, name, None);
            }
        }
        world.keyed(sent);
        return interrupted(world, sent).await;
    };
    let json = if answer.header("content-type").starts_with("application/json") { answer.json() } else { Value::Null };
    if let Some(cursor) = json["next_cursor"].as_str() {
        let cursors = &mut world.tenants[sent.caller].cursors;
        cursors.retain(|(path, _)| *path != sent.route.path);
        cursors.push((sent.route.path, cursor.to_owned()));
    }
    let asked = sent.query();
    if (asked.starts_with("cursor=") || asked.starts_with("tenant_id="))
        && answer.status.is_success()
        && json.get("items").is_some()
    {
        return Err(Leak(format!("{} {}?{asked} was accepted", sent.route.method, sent.route.path)).into());
    }
    if code(answer) == "RES_002"
        && !names.is_empty()
        && !names.iter().any(|name| world.ledger.has_name(sent.caller, name))
    {
        return Err(Leak(format!("tenant {} was told that {names:?} exists, which is another's", sent.caller)).into());
    }
    let replayed = !answer.header("idempotency-replayed").is_empty();
    if !world.keyed(sent) && (replayed || ["RES_004", "RES_005"].contains(&&*code(answer))) {
        return Err(Leak(format!("tenant {} was told of a request that another sent", sent.caller)).into());
    }
    if answer.status == 201
        && !replayed
        && sent.route.action != Action::AuthSignup
        && let Some(id) = json["id"].as_str().and_then(|id| id.parse().ok())
    {
        let of_one = sent.route.path == "/api/v1/todos";
        let user = if of_one { world.tenants[sent.caller].members[sent.member].user } else { OF_THE_TENANT };
        world.made(sent.route.path, Thing { id, tenant: sent.caller, user });
        for name in &names {
            world.ledger.named(sent.caller, name, Some(id));
        }
    }
    match sent.route.action {
        Action::AuthRefresh => sign_in::refreshed(world, sent, answer),
        Action::AuthLogout if answer.status == 204 && asked.is_empty() => world.replace(sent.caller, sent.member).await,
        _ => Ok(()),
    }
}

async fn to_ones_own(
    world: &mut World,
    sent: &Sent,
    (path, thing): (&'static str, Thing),
    answer: Option<&Answer>,
) -> Result<()> {
    let changes = sent.route.method != Method::GET;
    let deletes = sent.route.method == Method::DELETE;
    if changes {
        // Whoever was changed may have been signed out.
        world.federated.retain(|session| session.user != thing.id);
    }
    let Some(answer) = answer else {
        if changes {
            world.ledger.perhaps(path, thing.id, deletes);
        }
        return interrupted(world, sent).await;
    };
    if !answer.status.is_success() {
        return Ok(());
    }
    if deletes {
        world.gone(path, thing.id);
        let members = &world.tenants[sent.caller].members;
        if let Some(member) = members.iter().position(|member| member.session == thing.id) {
            world.replace(sent.caller, member).await?;
        }
    } else if changes {
        world.ledger.changed(path, thing.id, answer.header("etag").trim_matches('"').parse().ok());
    }
    Ok(())
}

/// Another's thing and one that nobody has are answered alike.
fn alike(sent: &Sent, names: &[String; 2], answers: &[Answer]) -> Result<()> {
    // A quota counts requests, and knows of no id.
    if answers.iter().any(|answer| answer.status == 429) {
        return Ok(());
    }
    let (method, path) = (&sent.route.method, sent.route.path);
    if let Some(answer) = answers.iter().find(|answer| !answer.status.is_client_error()) {
        return Err(Leak(format!("{method} {path} with {} of another tenant got {}", names[0], answer.status)).into());
    }
    let told = |(answer, name): (&Answer, &String)| {
        let body = String::from_utf8_lossy(&answer.bytes).replace(name, "the-name");
        (answer.status, answer.headers.clone(), body)
    };
    let told: Vec<_> = answers.iter().zip(names).map(told).collect();
    if told.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(
            Leak(format!("{method} {path} with {} of another tenant, and an unknown one: {told:?}", names[0])).into()
        );
    }
    Ok(())
}

/// Nobody knows whether a session that was being ended did end.
async fn interrupted(world: &mut World, sent: &Sent) -> Result<()> {
    if matches!(sent.route.action, Action::AuthLogout | Action::AuthSessionsDelete) {
        world.replace(sent.caller, sent.member).await?;
    }
    if sent.route.action == Action::AuthRefresh {
        sign_in::perhaps_refreshed(world, sent);
    }
    Ok(())
}

async fn leaks_nothing(world: &mut World, sent: &Sent, answer: &Answer) -> Result<()> {
    let Sent { route, event, caller, own, .. } = sent;
    let body = String::from_utf8_lossy(&answer.bytes);
    let body = trail::without_what_was_reached_for(route.action, &body);
    let text = format!("{:?} {body} {}", answer.headers, in_tokens(&body));
    let request = event.clone().into_json();
    if let Some(foreign) = world.markers.foreign(&text, *own, &request.to_string()) {
        let text: String = text.chars().take(600).collect();
        return Err(
            Leak(format!("tenant {caller} was told {foreign} by {} {}: {text}", route.method, route.path)).into()
        );
    }
    // Where a fault is in, another wall may stop what it let in.
    if answer.status.is_server_error() && !world.has_a_fault {
        return Err(format!("{} {}: {text} {:?}", route.method, route.path, answer.log).into());
    }
    let entered = answer.status.is_success() || answer.status == 404;
    match (route.access == Access::Public, request["headers"]["x-request-id"] == "forged") {
        (false, true) if entered => Err(Leak(format!(
            "a session of tenant {caller} entered another by {} {}: {text}",
            route.method, route.path
        ))
        .into()),
        (false, false) if code(answer) == "AUTH_006" => {
            Err(Leak(format!("a session of tenant {caller} was ended by nobody of it")).into())
        }
        _ => trail::is_ones_own(world, sent, answer).await,
    }
}

/// The code of what was refused; "none" where it was done, whatever the body is.
fn code(answer: &Answer) -> String {
    if answer.status.is_client_error() { answer.code() } else { "none".to_owned() }
}

/// What an access token says that was issued.
fn in_tokens(body: &str) -> String {
    let token = body.split("\"access_token\":\"").nth(1).and_then(|rest| rest.split('"').next());
    let claims = token.and_then(|token| token.split('.').nth(1)).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    String::from_utf8(claims.unwrap_or_default()).unwrap_or_default()
}

impl Sent {
    /// The query, as it was sent.
    pub(super) fn query(&self) -> String {
        self.event.clone().into_json()["rawQueryString"].as_str().unwrap_or_default().to_owned()
    }

    /// A member of the JSON body that was sent.
    pub(super) fn body(&self) -> Value {
        let event = self.event.clone().into_json();
        event["body"].as_str().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default()
    }

    /// What a request gives to a thing that must be the only one of it in its tenant.
    fn names(&self) -> Vec<String> {
        let body = self.body();
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
        match self.route.action {
            Action::IdentityProvidersCreate => text(&body["name"]).into_iter().collect(),
            Action::UsersCreate => {
                let subject = text(&body["identity"]["subject"]).map(|subject| format!("subject {subject}"));
                text(&body["email"]).into_iter().chain(subject).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The key under which it may be sent again: whose, of which route, and the key.
    pub(super) fn key(&self, user: Uuid) -> Option<(Uuid, &'static str, String)> {
        let event = self.event.clone().into_json();
        Some((user, self.route.path, event["headers"]["idempotency-key"].as_str()?.to_owned()))
    }
}
