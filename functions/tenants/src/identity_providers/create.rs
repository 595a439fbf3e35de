//! `POST /api/v1/tenants/current/identity-providers`

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header::LOCATION};
use serde::Deserialize;
use shared::{
    Caller, Code, Db, Error, Result,
    auth::{
        Role,
        provider::{AllowedAlgorithms, Audiences, ClaimName, ClientId, ClientSecret, Issuer, RoleMap},
    },
    clock::SharedClock,
    extract::if_given,
    idempotency::{Begun, Idempotent},
    text::Slug,
};
use sqlx::types::Json;

use super::{IdentityProvider, Status, explained, lock::tenant_for_update};
use crate::registrar::Registrar;

/// How many providers a tenant has at most.
const MOST: i64 = 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewIdentityProvider {
    name: Slug,
    issuer: Issuer,
    audiences: Audiences,
    client_id: ClientId,
    client_secret: Option<ClientSecret>,
    #[serde(default, deserialize_with = "if_given")]
    tenant_claim: Option<ClaimName>,
    role_claim: Option<ClaimName>,
    role_map: Option<RoleMap>,
    #[serde(default, deserialize_with = "if_given")]
    default_role: Option<Role>,
    #[serde(default)]
    jit_provisioning: bool,
    #[serde(default)]
    allowed_algorithms: AllowedAlgorithms,
    #[serde(default)]
    status: Status,
}

/// Registers a provider for the caller's tenant. Four round trips.
pub(crate) async fn create(
    caller: Caller,
    State(db): State<Db>,
    State(clock): State<SharedClock>,
    State(registrar): State<Registrar>,
    request: Idempotent<NewIdentityProvider>,
) -> Result<Response> {
    let (new, id) = (&request.body, clock.new_id());
    // A replay needs none of it to succeed.
    let sealed = match registrar.admit(&new.issuer).await {
        Ok(()) => registrar.seal(&caller, id, new.client_secret.as_ref()).await,
        Err(refused) => Err(refused),
    };
    let mut transaction = match request.begin(&db, &caller).await? {
        Begun::New(transaction) => transaction,
        Begun::Replay(answer) => return Ok(answer),
    };
    let sealed = sealed?;
    tenant_for_update(&mut transaction, &caller).await?;
    let created = sqlx::query_as!(
        IdentityProvider,
        r#"WITH provider AS (
               INSERT INTO identity_providers (tenant_id, id, name, issuer, audiences, client_id,
                                               client_secret_ciphertext, tenant_claim, role_claim, role_map,
                                               default_role, jit_provisioning, allowed_algorithms, status,
                                               created_at, updated_at)
               SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15
                WHERE (SELECT count(*) FROM identity_providers WHERE tenant_id = $1) < $16
               RETURNING *
           ), audited AS (SELECT app.audit(id) FROM provider)
           SELECT id, name, issuer, audiences, client_id, client_secret_ciphertext IS NOT NULL AS "has_client_secret!",
                  tenant_claim, role_claim, role_map, default_role, jit_provisioning, allowed_algorithms, status,
                  version, created_at, updated_at
             FROM provider, audited"#,
        caller.tenant_id(),
        id,
        &*new.name,
        &*new.issuer,
        &*new.audiences,
        &*new.client_id,
        sealed,
        new.tenant_claim.as_deref().unwrap_or("tenant_id"),
        new.role_claim.as_deref(),
        new.role_map.as_ref().map(Json) as _,
        new.default_role.unwrap_or(Role::Viewer).as_str(),
        new.jit_provisioning,
        &new.allowed_algorithms.names(),
        new.status.as_str(),
        clock.now(),
        MOST,
    )
    .fetch_optional(&mut transaction)
    .await;
    let provider = explained(created)?
        .ok_or_else(|| Error::new(Code::NotAllowedInState).detail("A tenant has 20 identity providers at most."))?;
    let location = format!("{}/{}", crate::PROVIDERS, provider.id);
    let answer = (StatusCode::CREATED, [(LOCATION, location)], provider).into_response();
    request.commit(transaction, &caller, answer).await
}

#[cfg(test)]
mod addresses;
#[cfg(test)]
mod tests;
