//! Our secret at a provider: sealed under the tenant's data key, bound to the
//! provider's row.

use secrecy::ExposeSecret;
use uuid::Uuid;

use super::{ClientSecret, Provider, Unreadable};
use crate::{
    auth::TenantId,
    crypto::{DataKeys, Field},
    db::Db,
    error::{Code, Error, Result},
};

fn field(provider: Uuid) -> Field {
    Field { table: "identity_providers", column: "client_secret", row: provider }
}

impl ClientSecret {
    /// Seals it for the provider of this id. Not to be called while a
    /// transaction is open.
    ///
    /// # Errors
    /// As [`DataKeys::seal`].
    pub async fn seal(&self, keys: &DataKeys, db: &Db, tenant: TenantId, provider: Uuid) -> Result<Vec<u8>> {
        keys.seal(db, tenant, field(provider), self.expose_secret().as_bytes()).await
    }
}

impl Provider {
    /// Our secret there, if one was given. Not to be called while a transaction
    /// is open. `tenant` is the provider's own: no other can open it.
    ///
    /// # Errors
    /// As [`DataKeys::open`].
    pub async fn client_secret(&self, keys: &DataKeys, db: &Db, tenant: TenantId) -> Result<Option<ClientSecret>> {
        let Some(sealed) = &self.sealed_client_secret else { return Ok(None) };
        let opened = keys.open(db, tenant, field(self.id), sealed).await?;
        let secret = String::from_utf8(opened.expose_secret().to_vec()).ok();
        let secret = secret.and_then(|text| ClientSecret::try_from(text).ok());
        secret.map(Some).ok_or_else(|| Error::new(Code::Internal).caused_by(Unreadable("client_secret_ciphertext")))
    }
}
