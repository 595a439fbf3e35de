//! `POST /api/v1/auth/oidc/{provider}/backchannel-logout`

use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use shared::{
    Result,
    audit::Action,
    auth::Identity,
    extract::{Form, Path, Query},
    origin::Origin,
};
use time::Duration;

use crate::{Oidc, refused::Refused, signed::Signed, state::Found};

const ACTION: Action = Action::AuthOidcLogout;
/// What a logout token is about (OpenID Connect Back-Channel Logout 1.0, 2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// How old a logout token may be: providers try again for a while.
const LIFE: Duration = Duration::minutes(10);

#[derive(Debug, Deserialize)]
pub(crate) struct Parameters {
    tenant: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    logout_token: String,
}

/// Ends the sessions that a provider says are over, and has tokens of them that
/// come later begin none. What is wrong with its
/// token is 400, as the standard has it; that nothing was to be ended is not.
pub(crate) async fn backchannel_logout(
    State(oidc): State<Oidc>,
    origin: Origin,
    Path(name): Path<String>,
    Query(Parameters { tenant }): Query<Parameters>,
    Form(Body { logout_token }): Form<Body>,
) -> Result<()> {
    let found = oidc.provider(tenant.as_deref(), &name, ACTION, &origin).await?;
    match end(&oidc, &found, &logout_token, &origin).await {
        Ok(()) => Ok(()),
        Err(error) => Err(oidc.refuse(found.trail, ACTION, &origin, error).await),
    }
}

async fn end(oidc: &Oidc, Found { owner, provider, .. }: &Found, token: &str, origin: &Origin) -> Result<()> {
    let now = oidc.app.clock.now();
    let token = Signed::read(token, provider, oidc.app.federation.keys()).await?;
    let logout = Logout::read(&token)?;
    token.is_between(&provider.issuer, &provider.client_id)?;
    let issued = token.issued_within(LIFE, now)?;
    let tenant = match owner {
        Some(owner) => *owner,
        None => provider.tenant_in(&token.claims.0).map_err(|_| Refused::Token("the logout token names no tenant"))?,
    };
    let identity = Identity { tenant, user: None, session: None };
    let mut transaction = oidc.app.db.begin_as(&identity, ACTION, origin).await?;
    // In the transaction, so that a provider may try again what has failed.
    let used = format!("logout/{}/{}/{}", tenant.as_uuid(), &*provider.issuer, logout.id);
    let key = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, used.as_bytes());
    let first = sqlx::query_scalar!(
        r#"SELECT app.use_once($1, $2, $3) AS "first!""#,
        key.as_ref(),
        now,
        now + LIFE + Duration::minutes(2),
    );
    if !first.fetch_one(&mut transaction).await? {
        transaction.roll_back().await?;
        return Err(Refused::Token("the logout token was used before").into());
    }
    sqlx::query!(
        r#"SELECT app.end_provider_sessions($1, $2, $3, $4, $5) AS "ended!""#,
        owner.map(|_| provider.id),
        &*provider.issuer,
        logout.subject,
        logout.session,
        issued,
    )
    .fetch_one(&mut transaction)
    .await?;
    transaction.commit().await
}

/// What a logout token says.
struct Logout<'a> {
    id: &'a str,
    subject: Option<&'a str>,
    session: Option<&'a str>,
}

impl<'a> Logout<'a> {
    /// Some providers give it no type, or an ID token's: what tells the two
    /// apart is that one must have `events` and may have no `nonce`.
    fn read(Signed { typ, claims, .. }: &'a Signed) -> Result<Self> {
        let of_type = |typ: &str| ["jwt", "logout+jwt"].iter().any(|known| typ.eq_ignore_ascii_case(known));
        let is_event = claims.0.get("events").and_then(|events| events.get(EVENT)).is_some_and(Value::is_object);
        if !typ.as_deref().is_none_or(of_type) || !is_event || claims.0.contains_key("nonce") {
            return Err(Refused::Token("the token is no logout token").into());
        }
        let given = |name| match claims.0.get(name) {
            None => Ok(None),
            Some(_) => claims.id(name).map(Some).ok_or(Refused::Token("the logout token names nobody that could be")),
        };
        let (subject, session) = (given("sub")?, given("sid")?);
        let id = claims.id("jti").ok_or(Refused::Token("the logout token has no jti"))?;
        if subject.is_none() && session.is_none() {
            return Err(Refused::Token("the logout token names neither a subject nor a session").into());
        }
        Ok(Self { id, subject, session })
    }
}

#[cfg(test)]
mod tests;
