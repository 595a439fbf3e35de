//! `PATCH /api/v1/tenants/current/identity-providers/{id}`

use axum::extract::State;
use serde::Deserialize;
use shared::{
    Caller, Code, Db, Error, Result,
    auth::{
        Role,
        provider::{AllowedAlgorithms, Audiences, ClaimName, ClientId, ClientSecret, Issuer, RoleMap},
    },
    clock::SharedClock,
    etag::IfMatch,
    extract::{Change, Json, Path, if_given},
    text::Slug,
};
use sqlx::types::Json as Jsonb;
use uuid::Uuid;

use super::{
    IdentityProvider, Status, explained,
    lock::{Standing, provider_for_update},
};
use crate::registrar::Registrar;

/// What is absent stays; null clears.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Changes {
    #[serde(default, deserialize_with = "if_given")]
    name: Option<Slug>,
    #[serde(default, deserialize_with = "if_given")]
    issuer: Option<Issuer>,
    #[serde(default, deserialize_with = "if_given")]
    audiences: Option<Audiences>,
    #[serde(default, deserialize_with = "if_given")]
    client_id: Option<ClientId>,
    #[serde(default)]
    client_secret: Change<ClientSecret>,
    #[serde(default, deserialize_with = "if_given")]
    tenant_claim: Option<ClaimName>,
    #[serde(default)]
    role_claim: Change<ClaimName>,
    #[serde(default)]
    role_map: Change<RoleMap>,
    #[serde(default, deserialize_with = "if_given")]
    default_role: Option<Role>,
    #[serde(default, deserialize_with = "if_given")]
    jit_provisioning: Option<bool>,
    #[serde(default, deserialize_with = "if_given")]
    allowed_algorithms: Option<AllowedAlgorithms>,
    #[serde(default, deserialize_with = "if_given")]
    status: Option<Status>,
}

impl Changes {
    /// A provider is told our secret. Whoever may change the issuer may not
    /// read the secret, and must not be told it as the next one.
    ///
    /// # Errors
    /// `VAL_001` at `client_secret`.
    fn leave_no_secret_to_another_issuer(&self, standing: &Standing) -> Result<()> {
        let is_another = self.issuer.as_deref().is_some_and(|issuer| *issuer != *standing.issuer);
        if is_another && standing.has_client_secret && !self.client_secret.is_given() {
            return Err(Error::field("client_secret", "must be given anew, or be null, where the issuer changes"));
        }
        Ok(())
    }
}

/// Changes one of the tenant's providers.
pub(crate) async fn update(
    caller: Caller,
    State(db): State<Db>,
    State(clock): State<SharedClock>,
    State(registrar): State<Registrar>,
    Path(id): Path<Uuid>,
    expected: IfMatch,
    Json(changes): Json<Changes>,
) -> Result<IdentityProvider> {
    if let Some(issuer) = &changes.issuer {
        registrar.admit(issuer).await?;
    }
    let algorithms = changes.allowed_algorithms.as_ref().map(AllowedAlgorithms::names);
    let sealed = registrar.seal(&caller, id, changes.client_secret.value()).await?;
    let mut transaction = db.begin(&caller).await?;
    let standing = provider_for_update(&mut transaction, &caller, id).await?;
    expected.check(standing.version)?;
    changes.leave_no_secret_to_another_issuer(&standing)?;
    let updated = sqlx::query_as!(
        IdentityProvider,
        r#"WITH before AS (
               SELECT * FROM identity_providers WHERE tenant_id = $1 AND id = $2
           ), provider AS (
               UPDATE identity_providers
                  SET name = coalesce($3, name),
                      issuer = coalesce($4, issuer),
                      audiences = coalesce($5, audiences),
                      client_id = coalesce($6, client_id),
                      client_secret_ciphertext = CASE WHEN $7 THEN $8 ELSE client_secret_ciphertext END,
                      tenant_claim = coalesce($9, tenant_claim),
                      role_claim = CASE WHEN $10 THEN $11 ELSE role_claim END,
                      role_map = CASE WHEN $12 THEN $13 ELSE role_map END,
                      default_role = coalesce($14, default_role),
                      jit_provisioning = coalesce($15, jit_provisioning),
                      allowed_algorithms = coalesce($16, allowed_algorithms),
                      status = coalesce($17, status),
                      version = version + 1,
                      updated_at = $18
                WHERE tenant_id = $1 AND id = $2
               RETURNING *
           ), ended AS (
               -- What decides whom it speaks for: sessions that began by the old settings end.
               SELECT CASE WHEN (p.issuer, p.audiences, p.client_id, p.tenant_claim, p.role_claim, p.role_map,
                                 p.default_role, p.allowed_algorithms, p.status)
                   IS DISTINCT FROM (b.issuer, b.audiences, b.client_id, b.tenant_claim, b.role_claim, b.role_map,
                                 b.default_role, b.allowed_algorithms, b.status)
                           THEN app.end_provider_sessions(p.id) END AS number
                 FROM before AS b, provider AS p
           ), audited AS (SELECT app.audit(id) FROM provider, ended)
           SELECT id, name, issuer, audiences, client_id, client_secret_ciphertext IS NOT NULL AS "has_client_secret!",
                  tenant_claim, role_claim, role_map, default_role, jit_provisioning, allowed_algorithms, status,
                  version, created_at, updated_at
             FROM provider, audited"#,
        caller.tenant_id(),
        id,
        changes.name.as_deref(),
        changes.issuer.as_deref(),
        changes.audiences.as_deref(),
        changes.client_id.as_deref(),
        changes.client_secret.is_given(),
        sealed,
        changes.tenant_claim.as_deref(),
        changes.role_claim.is_given(),
        changes.role_claim.value().map(|claim| &**claim),
        changes.role_map.is_given(),
        changes.role_map.value().map(Jsonb) as _,
        changes.default_role.map(Role::as_str),
        changes.jit_provisioning,
        algorithms.as_deref(),
        changes.status.map(Status::as_str),
        clock.now(),
    )
    .fetch_optional(&mut transaction)
    .await;
    let provider = explained(updated)?.ok_or(Code::NotFound)?;
    transaction.commit().await?;
    Ok(provider)
}

#[cfg(test)]
mod tests;
