//! The identity providers that a tenant has registered, each of which speaks
//! for this tenant only. `docs/AUTH_CONFIGURATION.md` tells what each setting means.

mod issuer;
mod role_map;
#[cfg(feature = "kms")]
mod secret;
mod settings;
#[cfg(feature = "signing")]
mod sign_in;

use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

pub use issuer::Issuer;
pub use role_map::RoleMap;
pub use settings::{AllowedAlgorithms, Audiences, ClaimName, ClientId, ClientSecret, SigningAlgorithm};

use super::{Caller, Role};
use crate::{
    db::Db,
    error::{Code, Error, Result},
    text::Slug,
};

/// A provider of one tenant, as sign-in and the check of its tokens need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Its id.
    pub id: Uuid,
    /// Its name in paths.
    pub name: Slug,
    /// What `iss` must be.
    pub issuer: Issuer,
    /// One of which `aud` must name.
    pub audiences: Audiences,
    /// Our id there.
    pub client_id: ClientId,
    /// The one claim that names the tenant.
    pub tenant_claim: ClaimName,
    /// The claim that names a user's groups, if one is read.
    pub role_claim: Option<ClaimName>,
    /// The groups that give another role than the default.
    pub role_map: RoleMap,
    /// The role of whom no group gives one.
    pub default_role: Role,
    /// Whether an unknown user gets an account at the first sign-in.
    pub jit_provisioning: bool,
    /// What its tokens may be signed with.
    pub allowed_algorithms: AllowedAlgorithms,
    /// Counts its changes: what was kept of an older one is stale.
    pub version: i64,
    /// `Provider::client_secret` opens it.
    sealed_client_secret: Option<Vec<u8>>,
}

/// What a provider is looked up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key<'a> {
    /// The issuer, letter by letter, as a token states it.
    Issuer(&'a str),
    /// The name, as a sign-in's path states it.
    Name(&'a str),
}

impl Provider {
    /// The active provider of `tenant` under `key`, if it has one. One round
    /// trip. Nothing is verified yet: `tenant` may be what an unchecked token
    /// claims, and another tenant's provider is never found.
    ///
    /// # Errors
    /// `TEN_004` where the tenant is suspended, `SYS_002`.
    pub async fn find(db: &Db, tenant: Uuid, key: Key<'_>) -> Result<Option<Self>> {
        match Self::find_with_standing(db, tenant, key).await? {
            Some((_, true)) => Err(Code::TenantSuspended.into()),
            found => Ok(found.map(|(provider, _)| provider)),
        }
    }

    /// The same, and whether the tenant is suspended.
    async fn find_with_standing(db: &Db, tenant: Uuid, key: Key<'_>) -> Result<Option<(Self, bool)>> {
        let (by_issuer, text) = match key {
            Key::Issuer(issuer) => (true, issuer),
            Key::Name(name) => (false, name),
        };
        // Postgres cannot take it, and no provider has it.
        if text.contains('\0') {
            return Ok(None);
        }
        let row = db
            .fetch_optional(|| {
                sqlx::query_as!(
                    Row,
                    r#"SELECT p.id, p.name, p.issuer, p.audiences, p.client_id, p.tenant_claim, p.role_claim,
                              p.role_map, p.default_role, p.jit_provisioning, p.allowed_algorithms, p.version,
                              p.client_secret_ciphertext, p.is_suspended AS "is_suspended!"
                         FROM app.enter_tenant($1) AS entered,
                      LATERAL (SELECT provider.*, tenant.status = 'suspended' AS is_suspended
                                 FROM identity_providers AS provider
                                 JOIN tenants AS tenant ON tenant.id = provider.tenant_id
                                WHERE provider.tenant_id = entered.tenant_id AND provider.status = 'active'
                                  AND CASE WHEN $2 THEN provider.issuer ELSE provider.name END = $3
                                LIMIT 1) AS p"#,
                    tenant,
                    by_issuer,
                    text,
                )
            })
            .await?;
        let with_standing = |row: Row| {
            let is_suspended = row.is_suspended;
            Self::try_from(row).map(|provider| (provider, is_suspended))
        };
        row.map(with_standing).transpose()
    }

    /// One of the caller's tenant's providers, active or not, for those who
    /// configure it. One round trip.
    ///
    /// # Errors
    /// As [`Db::fetch_all`].
    pub async fn registered(db: &Db, caller: &Caller, id: Uuid) -> Result<Option<Self>> {
        let row = db
            .fetch_optional(|| {
                sqlx::query_as!(
                    Row,
                    r#"SELECT p.id, p.name, p.issuer, p.audiences, p.client_id, p.tenant_claim, p.role_claim,
                              p.role_map, p.default_role, p.jit_provisioning, p.allowed_algorithms, p.version,
                              p.client_secret_ciphertext, false AS "is_suspended!"
                         FROM app.enter($1, $2) AS caller,
                      LATERAL (SELECT * FROM identity_providers WHERE tenant_id = caller.tenant_id AND id = $3
                                LIMIT 1) AS p"#,
                    caller.tenant_id(),
                    caller.session_id(),
                    id,
                )
            })
            .await?;
        row.map(Self::try_from).transpose()
    }
}

#[cfg(feature = "federation")]
impl Provider {
    /// The provider whose row `app.bearer_providers` has put into JSON.
    pub(super) fn of_json(row: Value) -> Result<Self> {
        serde_json::from_value::<Row>(row)
            .map_err(|_| Error::new(Code::Internal).caused_by(Unreadable("row")))?
            .try_into()
    }

    /// One that speaks for every tenant. It has no row, and no id of its own.
    #[expect(clippy::too_many_arguments, reason = "each is a setting of its own type")]
    pub(super) fn of_deployment(
        name: Slug,
        issuer: Issuer,
        audiences: Audiences,
        client_id: ClientId,
        tenant_claim: ClaimName,
        role_claim: Option<ClaimName>,
        role_map: RoleMap,
        default_role: Role,
        jit_provisioning: bool,
        allowed_algorithms: AllowedAlgorithms,
    ) -> Self {
        Self {
            id: Uuid::nil(),
            name,
            issuer,
            audiences,
            client_id,
            tenant_claim,
            role_claim,
            role_map,
            default_role,
            jit_provisioning,
            allowed_algorithms,
            version: 1,
            sealed_client_secret: None,
        }
    }
}

/// A provider's row, of which nothing is taken on trust.
#[derive(serde::Deserialize)]
struct Row {
    id: Uuid,
    name: String,
    issuer: String,
    audiences: Vec<String>,
    client_id: String,
    tenant_claim: String,
    role_claim: Option<String>,
    role_map: Option<Value>,
    default_role: String,
    jit_provisioning: bool,
    allowed_algorithms: Vec<String>,
    version: i64,
    #[serde(skip)]
    client_secret_ciphertext: Option<Vec<u8>>,
    #[serde(skip)]
    is_suspended: bool,
}

impl TryFrom<Row> for Provider {
    type Error = Error;

    /// `SYS_001` where the row holds what could not be written today.
    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.id,
            name: parsed("name", row.name)?,
            issuer: parsed("issuer", row.issuer)?,
            audiences: parsed("audiences", row.audiences)?,
            client_id: parsed("client_id", row.client_id)?,
            tenant_claim: parsed("tenant_claim", row.tenant_claim)?,
            role_claim: row.role_claim.map(|stored| parsed("role_claim", stored)).transpose()?,
            role_map: row.role_map.map(|stored| parsed("role_map", stored)).transpose()?.unwrap_or_default(),
            default_role: parsed("default_role", row.default_role)?,
            jit_provisioning: row.jit_provisioning,
            allowed_algorithms: parsed("allowed_algorithms", row.allowed_algorithms)?,
            version: row.version,
            sealed_client_secret: row.client_secret_ciphertext,
        })
    }
}

/// Names the column, never the value.
#[derive(Debug, thiserror::Error)]
#[error("identity_providers.{0} holds what its type refuses")]
struct Unreadable(&'static str);

/// Reads a stored value by the rules that a request's value is read by.
fn parsed<T: DeserializeOwned>(column: &'static str, stored: impl Into<Value>) -> Result<T> {
    serde_json::from_value(stored.into()).map_err(|_| Error::new(Code::Internal).caused_by(Unreadable(column)))
}

#[cfg(test)]
mod tests;
