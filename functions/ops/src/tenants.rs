//! A tenant's life, by operators: created, suspended, resumed, deleted.
//! docs/OPERATIONS.md tells it to them, docs/adr/0019-tenant-lifecycle.md why.

mod create;
mod delete;
mod state;

use shared::{
    config::DatabaseConfig,
    db::operator::{Operator, Tenant},
    start::Start,
    text::Slug,
};
use uuid::Uuid;

use crate::OpsConfig;
pub(crate) use create::create;
pub use create::{Admin, NewTenant};
pub use delete::Deletion;
pub(crate) use delete::{Limits, delete};
pub use state::{Reason, Resumption, Suspension};
pub(crate) use state::{resume, suspend};

/// Which tenant an action is about. A slug may look like an id, so the two are
/// told apart by their names.
enum Which {
    Slug(Slug),
    Id(Uuid),
}

impl Which {
    fn of(slug: Option<Slug>, id: Option<Uuid>) -> Result<Self, String> {
        match (slug, id) {
            (Some(slug), None) => Ok(Self::Slug(slug)),
            (None, Some(id)) => Ok(Self::Id(id)),
            _ => Err("name the tenant by slug or by id".to_owned()),
        }
    }

    /// The tenant, in a transaction that holds its row.
    async fn begin(&self, operator: &mut Operator) -> Result<Tenant, String> {
        let (found, name) = match self {
            Self::Slug(slug) => (operator.begin_by_slug(slug).await, slug.to_string()),
            Self::Id(id) => (operator.begin_by_id(*id).await, id.to_string()),
        };
        found.map_err(failed("the tenant cannot be read"))?.ok_or_else(|| format!("there is no tenant {name}"))
    }
}

/// Connects as an operator, and names the invocation for the trail.
async fn connect(start: &Start, config: &OpsConfig) -> Result<(Operator, String), String> {
    let as_owner = DatabaseConfig { secret_id: config.owner_secret_id.clone(), ..config.database.clone() };
    let operator = Operator::connect(as_owner, start).await.map_err(failed("the owner cannot connect"))?;
    let request_id = config.request_id.clone().unwrap_or_else(|| start.clock.new_id().to_string());
    Ok((operator, request_id))
}

fn failed(what: &'static str) -> impl Fn(shared::Error) -> String {
    move |error| format!("{what}: {error:?}")
}

#[cfg(test)]
mod tests;
