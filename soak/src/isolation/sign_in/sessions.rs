//! The sessions that sign-ins began: they live until somebody of their tenant
//! ends them, and their refresh tokens are worth nothing elsewhere.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use shared::{audit::Action, testing::Answer};
use uuid::Uuid;

use crate::{
    Result,
    isolation::{
        plan::{OF_THE_TENANT, Sent, Wish},
        world::{Leak, Thing, World},
    },
};

/// A session that a sign-in began.
pub(in crate::isolation) struct Federated {
    pub(in crate::isolation) tenant: usize,
    pub(in crate::isolation) user: Uuid,
    pub(in crate::isolation) session: Uuid,
    subject: String,
    refresh: String,
}

pub(super) fn ended(world: &mut World, tenant: usize, subject: &str) {
    world.federated.retain(|session| session.tenant != tenant || session.subject != subject);
}

/// A session began: its user is one of the tenant's, and it is watched.
pub(super) fn begun(world: &mut World, tenant: usize, subject: &str, answer: &Answer) -> Result<()> {
    let json = answer.json();
    let claims = json["access_token"].as_str().and_then(|token| token.split('.').nth(1)).unwrap_or_default();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?;
    if claims["tenant_id"] != json!(world.tenants[tenant].id) {
        return Err(Leak(format!("a sign-in at tenant {tenant} ended in another: {claims}")).into());
    }
    let id = |name: &str| claims[name].as_str().and_then(|id| id.parse().ok()).ok_or("a token without ids");
    let (user, session) = (id("sub")?, id("sid")?);
    if !world.ledger.knows("/api/v1/users", user) {
        world.made("/api/v1/users", Thing { id: user, tenant, user: OF_THE_TENANT });
        world.ledger.named(tenant, &format!("subject {subject}"), Some(user));
    }
    world.began(tenant, user, session);
    let refresh = json["refresh_token"].as_str().unwrap_or_default().to_owned();
    world.federated.push(Federated { tenant, user, session, subject: subject.to_owned(), refresh });
    Ok(())
}

/// What goes for a refresh token: one's own, one with another tenant's name, or
/// an access token of somebody there.
pub(in crate::isolation) fn refresh_token(world: &mut World, sent: &Sent, wish: Wish) -> String {
    let of = |tenant| world.federated.iter().find(|session| session.tenant == tenant);
    let foreign = world.tenants[sent.other].members[0].token.clone();
    if sent.route.action != Action::AuthRefresh {
        return foreign;
    }
    match (of(sent.caller), of(sent.other), world.chance.below(4)) {
        (Some(own), _, 0..2) => own.refresh.clone(),
        (Some(own), _, _) if wish == Wish::Own => own.refresh.clone(),
        (Some(own), Some(theirs), 2) => {
            let [mut spliced, theirs] =
                [own, theirs].map(|session| URL_SAFE_NO_PAD.decode(&session.refresh).unwrap_or_default());
            // The tenant leads it, and its session follows.
            let names = 16 * (1 + world.chance.below(2));
            spliced[..names].copy_from_slice(&theirs[..names]);
            URL_SAFE_NO_PAD.encode(spliced)
        }
        _ => foreign,
    }
}

/// The refresh token of a session of this tenant's, as its browser keeps it.
pub(in crate::isolation) fn foreign_cookies(world: &World, tenant: usize) -> Vec<String> {
    let theirs = world.federated.iter().find(|session| session.tenant == tenant);
    theirs.map(|session| format!("__Host-refresh={}", session.refresh)).into_iter().collect()
}

/// A refresh was answered: one's own token yields its successor, no other does.
///
/// # Errors
/// A [`Leak`].
pub(in crate::isolation) fn refreshed(world: &mut World, sent: &Sent, answer: &Answer) -> Result<()> {
    let body = sent.body();
    let text = body["refresh_token"].as_str().unwrap_or_default();
    let own = world.federated.iter_mut().find(|session| session.refresh == text && session.tenant == sent.caller);
    match (own, answer.status.is_success()) {
        (Some(own), true) => {
            answer.json()["refresh_token"].as_str().unwrap_or_default().clone_into(&mut own.refresh);
            Ok(())
        }
        (Some(_), false) if answer.status == 401 => {
            Err(Leak(format!("a session of tenant {} was ended by nobody of it", sent.caller)).into())
        }
        (None, true) => Err(Leak(format!("tenant {} refreshed a session that is another's", sent.caller)).into()),
        _ => Ok(()),
    }
}

/// Nobody knows which token a session has whose refresh was cut short.
pub(in crate::isolation) fn perhaps_refreshed(world: &mut World, sent: &Sent) {
    let body = sent.body();
    world.federated.retain(|session| Some(session.refresh.as_str()) != body["refresh_token"].as_str());
}
