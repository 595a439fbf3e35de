//! The functions under test, behind one face.

use std::{pin::Pin, sync::Arc};

use shared::{
    Routes,
    access::Route,
    app::Group,
    testing::{Answer, Event, TestApp, TestDatabase, TestKeys},
};

use crate::Result;

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

/// Every function that has routes, over one database. A new group is one line.
pub(super) async fn all(database: &Arc<TestDatabase>, keys: &Arc<TestKeys>) -> Result<Vec<Box<dyn Function>>> {
    Ok(vec![
        serve(auth::routes, database, keys).await,
        serve(health::routes, database, keys).await,
        serve(tenants::routes, database, keys).await,
        serve(todos::routes, database, keys).await,
    ])
}

async fn serve<G: Group>(
    routes: fn() -> Routes<G>,
    database: &Arc<TestDatabase>,
    keys: &Arc<TestKeys>,
) -> Box<dyn Function> {
    let app = TestApp::start_with(routes(), database.clone(), keys.clone(), &[]).await;
    Box::new(Served { app, routes: routes().list().to_vec() })
}
