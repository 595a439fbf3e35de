//! Fields that are encrypted under their tenant's own key.
//!
//! A tenant's data key is made when it is first needed, wrapped by KMS with
//! the tenant's id as encryption context, and stored in `tenant_keys`. It is
//! unwrapped by KMS and kept for a bounded time: see [`Limits`]. What is sealed
//! is bound to its tenant, table, column and row: see `envelope.rs`.

mod envelope;
mod keyring;
mod tenant_keys;

use std::{fmt, sync::Arc};

use secrecy::{ExposeSecret, SecretSlice, SecretString};
use uuid::Uuid;

pub use envelope::OVERHEAD;
pub use keyring::Limits;

use crate::{
    auth::TenantId,
    config::{Config, Environment},
    db::Db,
    error::{Code, Error, Result},
    start::Start,
};
use envelope::Unopened;
use keyring::{Keyrings, Which};

/// Where a sealed value stands: it can be opened nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The table.
    pub table: &'static str,
    /// What the column holds; renaming the column must not change it.
    pub column: &'static str,
    /// The row's id.
    pub row: Uuid,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} of {}", self.table, self.column, self.row)
    }
}

/// Which KMS key wraps the tenants' data keys.
#[derive(Debug, Clone)]
pub struct DataKeysConfig {
    /// Its id, ARN or alias, for new data keys; a stored one names its own.
    pub kms_key_id: String,
}

impl Config for DataKeysConfig {
    fn read(env: &mut Environment<'_>) -> Self {
        Self {
            kms_key_id: env
                .required("DATA_KEY_ID", "the id, ARN or alias of the KMS key that wraps the tenants' data keys"),
        }
    }
}

/// Seals and opens fields. Cheap to clone; a group holds one in its state.
///
/// Neither may be called while a transaction is open, unless [`DataKeys::ready`]
/// was called before it: an environment may have one connection only.
#[derive(Clone)]
pub struct DataKeys(Arc<Keyrings>);

impl DataKeys {
    /// Nothing is read and nobody asked before the first field.
    #[must_use]
    pub fn new(config: DataKeysConfig, start: &Start) -> Self {
        Self::within(config, start, Limits::default())
    }

    /// The same, with other limits.
    #[must_use]
    pub fn within(config: DataKeysConfig, start: &Start, limits: Limits) -> Self {
        Self(Arc::new(Keyrings::new(config.kms_key_id, start, limits)))
    }

    /// Seals `plaintext` under the tenant's newest data key, which is made if
    /// there is none.
    ///
    /// # Errors
    /// `SYS_002`, `SYS_004`; `SYS_005` where the stored data key is not one.
    pub async fn seal(&self, db: &Db, tenant: TenantId, field: Field, plaintext: &[u8]) -> Result<Vec<u8>> {
        let (version, key) = self.0.key(db, tenant, Which::Newest, plaintext.len()).await?;
        envelope::seal(&key, version, tenant, field, plaintext).ok_or_else(|| Error::new(Code::Internal))
    }

    /// Opens what was sealed for this tenant and field.
    ///
    /// # Errors
    /// `SYS_005` where it was sealed for another one, was altered, or its key
    /// is gone; `SYS_002`, `SYS_004`.
    pub async fn open(&self, db: &Db, tenant: TenantId, field: Field, stored: &[u8]) -> Result<SecretSlice<u8>> {
        let unopened = |why| Error::new(Code::Undecryptable).caused_by(Undecryptable { field, why });
        let version = envelope::key_version(stored).map_err(unopened)?;
        let key = self.0.key(db, tenant, Which::Version(version), stored.len()).await;
        let (_, key) = key.map_err(|error| if is_missing(&error) { unopened(Unopened::NoKey) } else { error })?;
        envelope::open(&key, version, tenant, field, stored).map_err(unopened)
    }

    /// The same for text.
    ///
    /// # Errors
    /// As [`DataKeys::open`].
    pub async fn open_text(&self, db: &Db, tenant: TenantId, field: Field, stored: &[u8]) -> Result<SecretString> {
        let opened = self.open(db, tenant, field, stored).await?;
        let text = std::str::from_utf8(opened.expose_secret());
        text.map(SecretString::from).map_err(|cause| Error::new(Code::Undecryptable).caused_by(cause))
    }

    /// Has the tenant's newest data key at hand, if there is one, so that what
    /// is opened or sealed next asks neither the database nor KMS.
    ///
    /// # Errors
    /// As [`DataKeys::seal`].
    pub async fn ready(&self, db: &Db, tenant: TenantId) -> Result<()> {
        match self.0.key(db, tenant, Which::NewestIfAny, 0).await {
            Err(error) if !is_missing(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

fn is_missing(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<keyring::Missing>)
}

/// What could not be opened: for the log, by ids only.
#[derive(Debug, thiserror::Error)]
#[error("{field}: {why}")]
struct Undecryptable {
    field: Field,
    why: Unopened,
}

#[cfg(test)]
mod tests;
