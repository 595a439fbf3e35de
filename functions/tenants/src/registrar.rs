//! What a provider must pass before it is stored.

use std::sync::Arc;

use shared::{
    App, Caller, Code, Db, Error, Result,
    auth::{
        DeploymentProviders,
        provider::{ClientSecret, Issuer},
    },
    crypto::DataKeys,
    fetch::{Fetch, FetchError},
};
use uuid::Uuid;

/// Admits issuers and seals secrets. Neither may be done while a transaction is
/// open: the one waits for name servers, the other for KMS.
#[derive(Clone)]
pub(crate) struct Registrar {
    our_own: Arc<str>,
    deployment: DeploymentProviders,
    /// The way to the providers.
    pub(crate) fetch: Fetch,
    data_keys: DataKeys,
    db: Db,
}

impl Registrar {
    pub(crate) fn new(our_own: &str, data_keys: DataKeys, app: &App) -> Self {
        let deployment = app.federation.providers().clone();
        Self { our_own: our_own.into(), deployment, fetch: app.fetch.clone(), data_keys, db: app.db.clone() }
    }

    /// Refuses us ourselves (a tenant's admin would decide who our tokens are
    /// for), and a host that may not be called (K7). A host that is not there
    /// and one that is private are one answer: it tells nobody which names
    /// resolve in our network.
    ///
    /// # Errors
    /// `VAL_001` at `issuer`; `SYS_003` where its host's name is not resolved in time.
    pub(crate) async fn admit(&self, issuer: &Issuer) -> Result<()> {
        if issuer.is_at(&self.our_own) {
            return Err(Error::field("issuer", "must not be this API's own issuer"));
        }
        // Its tokens are judged by the deployment's settings, and never by these.
        if self.deployment.is_at(issuer) {
            return Err(Error::field("issuer", "must not be one that the deployment trusts for every organization"));
        }
        self.fetch.check_issuer(issuer).await.map_err(|cause| {
            let error = match cause {
                FetchError::TimedOut => Error::new(Code::ProviderUnavailable),
                FetchError::UrlRefused => Error::field("issuer", Issuer::FORM),
                _ => Error::field("issuer", "must name a host that is found on the public internet"),
            };
            error.caused_by(cause)
        })
    }

    /// Seals the secret of the provider `id`, if there is one.
    ///
    /// # Errors
    /// `SYS_002`, `SYS_004`.
    pub(crate) async fn seal(
        &self,
        caller: &Caller,
        id: Uuid,
        secret: Option<&ClientSecret>,
    ) -> Result<Option<Vec<u8>>> {
        let Some(secret) = secret else { return Ok(None) };
        secret.seal(&self.data_keys, &self.db, caller.identity().tenant, id).await.map(Some)
    }
}
