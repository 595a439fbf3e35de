//! The routes of a group: none without its access and its audit action.

use axum::{
    Router,
    handler::Handler,
    middleware::from_fn_with_state,
    routing::{MethodFilter, on},
};
use http::Method;

use crate::{
    access::{self, Access, Gate, Route},
    app::Group,
    audit::Action,
    config::Faults,
    error::{Code, Error},
};

/// Adds one route to a router, with the gate of its group before it.
type Mount<G> = Box<dyn FnOnce(Router<G>, &G) -> Router<G> + Send>;

/// The routes of a group, to be served with a state `G`.
pub struct Routes<G> {
    routes: Vec<Route>,
    mount: Vec<Mount<G>>,
}

impl<G: Group> Routes<G> {
    /// No routes yet.
    #[must_use]
    pub fn new() -> Self {
        Self { routes: Vec::new(), mount: Vec::new() }
    }

    /// Adds a route. `action` names it in the audit trail: a refusal is
    /// recorded under it, and so is a change (by `app.audit` in its statement)
    /// or a protected read, as the catalogue says ([`Action::entry`]).
    ///
    /// A route without its access, or without its action, does not compile:
    ///
    /// ```
    /// # use http::Method;
    /// # use shared::{Routes, access::Access, app::Group, audit::Action};
    /// fn routes<G: Group>() -> Routes<G> {
    ///     Routes::new().route(Method::POST, "/notes", Access::AnyCaller, Action::TodosCreate, || async { "noted" })
    /// }
    /// ```
    /// ```compile_fail,E0061
    /// # use http::Method;
    /// # use shared::{Routes, access::Access, app::Group, audit::Action};
    /// fn routes<G: Group>() -> Routes<G> {
    ///     Routes::new().route(Method::POST, "/notes", Access::AnyCaller, || async { "noted" })
    /// }
    /// ```
    /// ```compile_fail,E0061
    /// # use http::Method;
    /// # use shared::{Routes, access::Access, app::Group, audit::Action};
    /// fn routes<G: Group>() -> Routes<G> {
    ///     Routes::new().route(Method::POST, "/notes", Action::TodosCreate, || async { "noted" })
    /// }
    /// ```
    #[must_use]
    pub fn route<H, T>(mut self, method: Method, path: &'static str, access: Access, action: Action, handler: H) -> Self
    where
        H: Handler<T, G> + Send + Sync,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET);
        let route = Route { method, path, access, action };
        self.routes.push(route.clone());
        self.mount.push(Box::new(move |router, group| {
            let limit = group.limit_of(&route.method);
            let gate = Gate { route, app: group.app().cloned(), limit };
            router.route(path, on(filter, handler).route_layer(from_fn_with_state(gate, access::check)))
        }));
        self
    }

    /// Every route, as declared.
    #[must_use]
    pub fn list(&self) -> &[Route] {
        &self.routes
    }

    /// The router; unknown paths and methods answer as the contract says.
    ///
    /// # Errors
    /// Routes that need a caller in a group that can check none.
    pub(crate) fn into_router(self, group: &G) -> Result<Router, Faults> {
        let mut faults = Faults::default();
        for route in self.routes.iter().filter(|route| route.access != Access::Public && group.app().is_none()) {
            faults
                .push(format!("{} {} needs a caller, and its group has no App to check one", route.method, route.path));
        }
        let router = self.mount.into_iter().fold(Router::new(), |router, mount| mount(router, group));
        let router = router
            .fallback(|| async { Error::new(Code::NoSuchRoute) })
            .method_not_allowed_fallback(|| async { Error::new(Code::MethodNotAllowed) });
        faults.or(router.with_state(group.clone()))
    }
}

impl<G: Group> Default for Routes<G> {
    fn default() -> Self {
        Self::new()
    }
}
