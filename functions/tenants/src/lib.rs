//! The caller's tenant: what it is called, and who signs its users in.

mod current;
mod identity_providers;
mod registrar;
mod state;

use http::Method;
use shared::{
    Routes,
    access::Access::{AnyCaller, Needs},
    audit::Action,
    auth::Permission,
};

use identity_providers as providers;
pub use state::{Tenants, TenantsConfig};

const CURRENT: &str = "/api/v1/tenants/current";
const PROVIDERS: &str = "/api/v1/tenants/current/identity-providers";
const PROVIDER: &str = "/api/v1/tenants/current/identity-providers/{id}";

const TEST: &str = "/api/v1/tenants/current/identity-providers/{id}/test";

/// Every route of the group, its access and its audit action.
#[must_use]
pub fn routes() -> Routes<Tenants> {
    let rename = Needs(Permission::TenantWrite);
    let (read, write) = (Needs(Permission::IdentityProvidersRead), Needs(Permission::IdentityProvidersWrite));
    Routes::new()
        .route(Method::GET, CURRENT, AnyCaller, Action::TenantsRead, current::read::read)
        .route(Method::PATCH, CURRENT, rename, Action::TenantsUpdate, current::update::update)
        .route(Method::GET, PROVIDERS, read, Action::IdentityProvidersList, providers::list::list)
        .route(Method::POST, PROVIDERS, write, Action::IdentityProvidersCreate, providers::create::create)
        .route(Method::GET, PROVIDER, read, Action::IdentityProvidersRead, providers::read::read)
        .route(Method::PATCH, PROVIDER, write, Action::IdentityProvidersUpdate, providers::update::update)
        .route(Method::DELETE, PROVIDER, write, Action::IdentityProvidersDelete, providers::delete::delete)
        .route(Method::POST, TEST, write, Action::IdentityProvidersTest, providers::test::test)
}
