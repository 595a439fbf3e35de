//! The caller's tenant: what it is called, and who signs its users in.

mod current;

use http::Method;
use shared::{
    App, Routes,
    access::Access::{AnyCaller, Needs},
    audit::Action,
    auth::Permission,
};

const CURRENT: &str = "/api/v1/tenants/current";

/// Every route of the group, its access and its audit action.
#[must_use]
pub fn routes() -> Routes<App> {
    let write = Needs(Permission::TenantWrite);
    Routes::new().route(Method::GET, CURRENT, AnyCaller, Action::TenantsRead, current::read::read).route(
        Method::PATCH,
        CURRENT,
        write,
        Action::TenantsUpdate,
        current::update::update,
    )
}
