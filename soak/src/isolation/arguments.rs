//! What each route is sent. A new route that takes a body is one arm here; one
//! that finds things by its query is one in `queries`.

use serde_json::{Value, json};
use shared::{access::Route, audit::Action};

use crate::{Result, chance::Chance};

/// What each password is, where there is one.
pub(super) const PASSWORD: &str = "nine-quiet-otters-row-north";
/// The things that a path's `{id}` may name.
const KINDS: [&str; 4] =
    ["/api/v1/todos", "/api/v1/users", "/api/v1/auth/sessions", "/api/v1/tenants/current/identity-providers"];

/// The body of a request.
pub(super) enum Body {
    /// None.
    None,
    /// JSON.
    Json(Value),
    /// A form's one member `token`.
    Token(String),
}

/// What a body is made of.
pub(super) struct Given<'a> {
    /// The marker of whoever sends it.
    pub(super) marker: &'a str,
    /// The issuer that every tenant trusts.
    pub(super) issuer: &'a str,
    /// Slug, e-mail and password to sign in with: another tenant's, or good ones.
    pub(super) login: [&'a str; 3],
    /// What goes for a refresh token.
    pub(super) refresh_token: &'a str,
    /// An access token of somebody in another tenant.
    pub(super) foreign_token: &'a str,
    /// An id of something there.
    pub(super) foreign_id: &'a str,
}

/// Whether a route is costly (it hashes a password) and comes seldom.
pub(super) fn is_costly(action: Action) -> bool {
    matches!(action, Action::AuthSignup | Action::AuthLogin | Action::AuthPassword)
}

/// Whether a route would go out to the network with a thing that is there.
pub(super) fn goes_out(action: Action) -> bool {
    action == Action::IdentityProvidersTest
}

/// How often a route comes, against others.
pub(super) fn weight(route: &Route) -> usize {
    match route.action {
        Action::HealthRead | Action::AuthJwks | Action::AuthDiscovery => 1,
        Action::AuthOidcLogin | Action::AuthOidcLogout => 12,
        _ => 4,
    }
}

/// Whether the driver knows what to send to this route.
///
/// # Errors
/// It does not, and says where that is to be told.
pub(super) fn is_known(route: &Route) -> Result<()> {
    let unknown = |what: &str, file: &str| {
        let name = route.action.as_str();
        Err(format!("{name} has {what}: say in soak/src/isolation/{file}.rs what it takes").into())
    };
    match (route.path.split_once("{id}"), route.path.contains('{')) {
        (Some((before, _)), _) if KINDS.contains(&before.trim_end_matches('/')) => {}
        (Some(_), _) => return unknown("an id of an unknown kind", "arguments"),
        (None, true) if !route.path.contains("/oidc/{provider}/") => return unknown("an unknown path", "sign_in"),
        (None, _) => {}
    }
    let given = Given { marker: "", issuer: "", login: [""; 3], refresh_token: "", foreign_token: "", foreign_id: "" };
    body(route, &given, &mut Chance::new(0)).map(drop)
}

/// The body of a request to this route.
///
/// # Errors
/// The route takes one, and nobody has said which.
pub(super) fn body(route: &Route, given: &Given<'_>, chance: &mut Chance) -> Result<Body> {
    let Given { marker, issuer, login, refresh_token, foreign_token, foreign_id } = given;
    let number = chance.below(1000);
    Ok(Body::Json(match route.action {
        Action::AuthSignup => json!({
            "organization": { "slug": marker, "name": marker },
            "email": format!("{marker}@example.com"), "password": PASSWORD,
        }),
        Action::AuthLogin => json!({ "tenant": login[0], "email": login[1], "password": login[2] }),
        Action::AuthPassword => json!({ "current_password": PASSWORD, "new_password": format!("{PASSWORD}-{number}") }),
        Action::AuthRefresh => json!({ "refresh_token": refresh_token }),
        Action::AuthIntrospect => return Ok(Body::Token((*foreign_token).to_owned())),
        // Whoever has a token may revoke it (RFC 7009, 2.1): so one that is none.
        Action::AuthRevoke => return Ok(Body::Token((*foreign_id).to_owned())),
        Action::TenantsUpdate => json!({ "name": format!("{marker} {number}") }),
        // The same for all tenants, but for the client: no name is theirs alone.
        Action::IdentityProvidersCreate => json!({
            "name": format!("idp-{}", number % 30), "issuer": format!("https://93.184.215.14/{}", number % 30),
            "audiences": [marker], "client_id": marker, "client_secret": marker,
        }),
        Action::IdentityProvidersUpdate => json!({ "client_id": format!("{marker}-{number}") }),
        Action::TodosCreate if number.is_multiple_of(4) => {
            json!({ "title": format!("{marker} {number}"), "notes": marker })
        }
        Action::TodosCreate => json!({ "title": format!("{marker} {number}") }),
        Action::TodosUpdate => json!({ "title": format!("{marker} {number}"), "completed": number.is_multiple_of(2) }),
        Action::UsersCreate => user(marker, issuer, number),
        // Nobody becomes an admin: a member who is one must not be demoted.
        Action::UsersUpdate if number.is_multiple_of(3) => json!({ "role": role(number) }),
        Action::UsersUpdate => json!({ "display_name": format!("{marker} {number}") }),
        Action::AuthLogout
        | Action::IdentityProvidersTest
        | Action::UsersActivate
        | Action::UsersDeactivate
        | Action::AuthOidcLogout => return Ok(Body::None),
        _ if matches!(route.method.as_str(), "GET" | "HEAD" | "DELETE") => return Ok(Body::None),
        action => {
            return Err(format!(
                "{} has no arguments: say in soak/src/isolation/arguments.rs what it takes",
                action.as_str()
            )
            .into());
        }
    }))
}

/// Addresses and subjects are the same for all tenants: none is theirs alone.
fn user(marker: &str, issuer: &str, number: usize) -> Value {
    let mut user = json!({
        "email": format!("user-{}@example.com", number % 60), "display_name": marker,
        "role": role(number),
    });
    if number.is_multiple_of(6) {
        user["identity"] = json!({ "issuer": issuer, "subject": format!("invited-{}", number % 30) });
    }
    if number.is_multiple_of(250) {
        user["password"] = PASSWORD.into();
    }
    user
}

fn role(number: usize) -> &'static str {
    ["viewer", "analyst"][number % 2]
}

#[cfg(test)]
mod tests {
    use http::Method;
    use shared::access::Access;

    use super::*;

    #[test]
    fn a_route_that_nobody_says_what_to_send_to_is_told() {
        let (action, access) = (Action::HealthRead, Access::Public);
        for (method, path, told) in [
            (Method::POST, "/api/v1/new", "health.read has no arguments"),
            (Method::GET, "/api/v1/new/{id}", "health.read has an id of an unknown kind"),
            (Method::GET, "/api/v1/new/{name}", "health.read has an unknown path"),
        ] {
            let route = Route { method, path, access, action };
            assert!(is_known(&route).unwrap_err().to_string().starts_with(told), "{path}");
        }
    }
}
