//! What each route is sent. A new route that takes a body is one arm.

use serde_json::{Value, json};
use shared::{access::Route, audit::Action};

use crate::{Result, chance::Chance};

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
    /// The slug of another tenant.
    pub(super) foreign_slug: &'a str,
    /// The address of somebody there.
    pub(super) foreign_email: &'a str,
    /// An access token of somebody there.
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

/// The body of a request to this route.
///
/// # Errors
/// The route takes one, and nobody has said which.
pub(super) fn body(route: &Route, given: &Given<'_>, chance: &mut Chance) -> Result<Body> {
    let Given { marker, foreign_slug, foreign_email, foreign_token, foreign_id } = given;
    let number = chance.below(1000);
    let password = "nine-quiet-otters-row-north";
    Ok(Body::Json(match route.action {
        Action::AuthSignup => json!({
            "organization": { "slug": marker, "name": marker },
            "email": format!("{marker}@example.com"), "password": password,
        }),
        Action::AuthLogin => json!({ "tenant": foreign_slug, "email": foreign_email, "password": password }),
        Action::AuthPassword => json!({ "current_password": password, "new_password": format!("{password}-{number}") }),
        Action::AuthRefresh => json!({ "refresh_token": foreign_token }),
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
        Action::AuthLogout | Action::IdentityProvidersTest => return Ok(Body::None),
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
