//! Which routes were driven: each one must have been, and have done what it is for.

use std::collections::BTreeMap;

use shared::{access::Route, audit::Action};

use crate::Result;

/// What is only ever refused here: nobody has a password but who signed up, and
/// a test of a provider goes out to the network.
const REFUSED: &[Action] = &[Action::AuthPassword, Action::IdentityProvidersTest];

/// How often each route was sent something, and did what it is for.
#[derive(Default)]
pub(super) struct Coverage(BTreeMap<String, (usize, usize)>);

impl Coverage {
    /// A request to this route was answered.
    pub(super) fn answered(&mut self, route: &Route, was_done: bool) {
        let (sent, done) = self.0.entry(name(route)).or_default();
        *sent += 1;
        *done += usize::from(was_done);
    }

    /// How many routes there are, if each was driven.
    ///
    /// # Errors
    /// The routes that were not, or were refused every time.
    pub(super) fn check<'a>(&self, routes: impl Iterator<Item = &'a Route>) -> Result<usize> {
        let routes: Vec<&Route> = routes.collect();
        let is_driven = |route: &&&Route| {
            let (sent, done) = self.0.get(&name(route)).copied().unwrap_or_default();
            sent > 0 && (done > 0 || REFUSED.contains(&route.action))
        };
        let missing: Vec<String> = routes.iter().filter(|route| !is_driven(route)).map(|route| name(route)).collect();
        if missing.is_empty() {
            return Ok(routes.len());
        }
        Err(format!("never driven, or never done: {}", missing.join(", ")).into())
    }
}

fn name(route: &Route) -> String {
    format!("{} {}", route.method, route.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_that_was_not_driven_or_refused_every_time_is_told() {
        let (users, mut coverage) = (users::routes(), Coverage::default());
        for route in &users.list()[1..] {
            coverage.answered(route, route.action != Action::UsersDelete);
        }
        let told = coverage.check(users.list().iter()).unwrap_err().to_string();
        assert_eq!(told, "never driven, or never done: GET /api/v1/users, DELETE /api/v1/users/{id}");
        for route in users.list() {
            coverage.answered(route, true);
        }
        assert_eq!(coverage.check(users.list().iter()).unwrap(), users.list().len());
    }
}
