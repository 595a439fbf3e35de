//! A sign-in that a browser has begun.

use serde_json::{Value, json};
use shared::{
    clock::{Clock, SystemClock},
    testing::{
        Event,
        provider::{Behaviour, Grant, TOKEN},
    },
};

use super::SHARED;
use crate::{
    Result,
    isolation::{
        plan::Sent,
        world::{Leak, World},
    },
};

/// What the browser has, and what it was told to bring back.
#[derive(Clone)]
pub(super) struct Begun {
    tenant: usize,
    pub(super) slug: String,
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) cookie: String,
    challenge: String,
    redirect_uri: String,
}

impl Begun {
    /// Begins one at this tenant.
    ///
    /// # Errors
    /// It was refused, or a [`Leak`].
    pub(super) async fn at(world: &World, sent: &Sent, tenant: usize) -> Result<Self> {
        let slug = world.tenants[tenant].marker.clone();
        let event = Event::get(&format!("/api/v1/auth/oidc/{SHARED}/login?tenant={slug}"));
        let answer = world.functions[sent.function].send(event).await;
        let Some((_, query)) = answer.header("location").split_once('?') else {
            return Err(format!("no sign-in was begun at tenant {tenant}: {} {:?}", answer.status, answer.log).into());
        };
        if let Some(foreign) = world.markers.foreign(query, tenant, "") {
            return Err(Leak(format!("tenant {tenant} was told {foreign} by a sign-in of its own: {query}")).into());
        }
        let given = |name: &str| {
            let found = form_urlencoded::parse(query.as_bytes()).find(|(given, _)| given == name);
            found.map(|(_, value)| value.into_owned()).unwrap_or_default()
        };
        Ok(Self {
            tenant,
            slug,
            state: given("state"),
            nonce: given("nonce"),
            cookie: answer.header("set-cookie").split(';').next().unwrap_or_default().to_owned(),
            challenge: given("code_challenge"),
            redirect_uri: given("redirect_uri"),
        })
    }

    /// What the provider says of somebody in an ID token for it.
    pub(super) fn claims(&self, world: &World, subject: &str) -> Value {
        let (now, marker) = (SystemClock.now().unix_timestamp(), &world.tenants[self.tenant].marker);
        json!({
            "iss": world.idp.provider.issuer(), "sub": subject, "aud": marker, "iat": now, "exp": now + 600,
            "nonce": self.nonce, "sid": format!("sid-{subject}"), "name": marker, "email_verified": true,
            "email": format!("{subject}-{marker}@example.com"),
        })
    }

    /// Has the provider give a token of these claims for its code.
    pub(super) fn grant(&self, world: &World, claims: &Value) {
        let grant = Grant {
            code: "c-1".to_owned(),
            challenge: self.challenge.clone(),
            client_id: world.tenants[self.tenant].marker.clone(),
            client_secret: None,
            redirect_uri: self.redirect_uri.clone(),
            tokens: json!({ "access_token": "theirs", "token_type": "Bearer", "id_token": world.idp.sign(claims) }),
        };
        world.idp.provider.behave(TOKEN, Behaviour::Grant(grant));
    }

    /// The browser's way back.
    pub(super) fn event(&self, path: &str) -> Event {
        let target = format!("{path}?tenant={}&code=c-1&state={}", self.slug, self.state);
        Event::get(&target).cookies(std::slice::from_ref(&self.cookie))
    }
}
