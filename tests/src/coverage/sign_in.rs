//! The events of a sign-in at an identity provider, which takes several.

use serde_json::{Value, json};
use shared::{
    clock::Clock,
    testing::{
        Event,
        provider::{Behaviour, Grant, TOKEN},
    },
};

use super::{Admin, Functions, cases::Attempt};

const OIDC: &str = "/api/v1/auth/oidc/idp";

impl Functions {
    /// A browser that comes back from the provider, and one that was never sent
    /// there. The first time a user is created too, so it is the second.
    pub(super) async fn callback(&self, admin: &Admin) -> Attempt {
        self.idp.register(&self.oidc.database, admin.tenant, &json!({})).await;
        let first = self.come_back(admin).await.done;
        self.done("oidc", first).await;
        self.come_back(admin).await
    }

    async fn come_back(&self, admin: &Admin) -> Attempt {
        let sent = self.oidc.send(Event::get(&format!("{OIDC}/login?tenant={}", admin.slug))).await;
        assert_eq!(sent.status, 302, "{:?}", sent.log);
        let query = sent.header("location").split_once('?').unwrap().1.as_bytes();
        let given = |name: &str| form_urlencoded::parse(query).find(|(given, _)| given == name).unwrap().1.into_owned();
        let cookie = sent.header("set-cookie").split(';').next().unwrap().to_owned();
        let id_token = self.idp.sign(&self.id_claims(&json!({ "nonce": given("nonce") })));
        self.idp.provider.behave(
            TOKEN,
            Behaviour::Grant(Grant {
                code: "c-1".to_owned(),
                challenge: given("code_challenge"),
                client_id: "client-1".to_owned(),
                client_secret: None,
                redirect_uri: given("redirect_uri"),
                tokens: json!({ "access_token": "theirs", "token_type": "Bearer", "id_token": id_token }),
            }),
        );
        let back = Event::get(&format!("{OIDC}/callback?tenant={}&code=c-1&state={}", admin.slug, given("state")));
        Attempt::public(back.clone().cookies(&[cookie]), back)
    }

    /// A logout token for a session that its provider began, and none.
    pub(super) async fn backchannel_logout(&self, admin: &Admin) -> Attempt {
        let signed_in = self.callback(admin).await.done;
        self.done("oidc", signed_in).await;
        let token = self.idp.sign(&self.id_claims(&json!({
            "jti": self.oidc.clock.new_id(), "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        })));
        let told = |token: &str| {
            let path = format!("{OIDC}/backchannel-logout?tenant={}", admin.slug);
            Event::post(&path, &Value::Null).form(&[("logout_token", token)])
        };
        Attempt::public(told(&token), told("none"))
    }

    fn id_claims(&self, changes: &Value) -> Value {
        let now = self.oidc.clock.now().unix_timestamp();
        let mut claims = json!({
            "iss": self.idp.provider.issuer(), "sub": "grace", "aud": "client-1", "iat": now, "exp": now + 600, "sid": "s-1",
        });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        claims
    }
}
