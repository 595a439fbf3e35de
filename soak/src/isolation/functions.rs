//! The functions under test, behind one face.

use std::{pin::Pin, sync::Arc};

use shared::{
    Routes,
    access::Route,
    app::Group,
    testing::{Answer, Event, TestApp, TestDatabase, TestKeys, federated::ON_LOOPBACK},
};

/// How many requests one of them takes at a time.
pub(super) const AT_ONCE: usize = 4;

/// A function: its routes, and what sends it an event.
pub(super) trait Function {
    /// Every route of it.
    fn routes(&self) -> &[Route];

    /// What it answers; dropped, the request is cut short.
    fn send(&self, event: Event) -> Pin<Box<dyn Future<Output = Answer> + '_>>;
}

struct Served<G> {
    app: TestApp<G>,
    routes: Vec<Route>,
}

impl<G: Group> Function for Served<G> {
    fn routes(&self) -> &[Route] {
        &self.routes
    }

    fn send(&self, event: Event) -> Pin<Box<dyn Future<Output = Answer> + '_>> {
        Box::pin(self.app.send(event))
    }
}

macro_rules! functions {
    ($($group:ident)*) => {
        /// Every function that has routes, over one database.
        pub(super) async fn all(database: &Arc<TestDatabase>, keys: &Arc<TestKeys>) -> Vec<Box<dyn Function>> {
            vec![$(serve($group::routes, database, keys).await),*]
        }

        #[cfg(test)]
        const GROUPS: &[&str] = &[$(stringify!($group)),*];
    };
}

// A new group is a word. Sign-ins come first: others use the sessions that they begin.
functions! { oidc audit auth health tenants todos users }

async fn serve<G: Group>(
    routes: fn() -> Routes<G>,
    database: &Arc<TestDatabase>,
    keys: &Arc<TestKeys>,
) -> Box<dyn Function> {
    let at_once = AT_ONCE.to_string();
    let settings = [("AWS_LAMBDA_MAX_CONCURRENCY", &*at_once), ON_LOOPBACK];
    let app = TestApp::start_with(routes(), database.clone(), keys.clone(), &settings).await;
    Box::new(Served { app, routes: routes().list().to_vec() })
}

#[test]
fn every_function_but_ops_is_driven() {
    let functions = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../functions")).unwrap();
    let mut names: Vec<_> = functions.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != "ops");
    names.sort_unstable();
    let mut driven = GROUPS.to_vec();
    driven.sort_unstable();
    assert_eq!(names, driven);
}
