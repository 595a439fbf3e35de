//! `POST /api/v1/tenants/current/identity-providers/{id}/test`

use axum::extract::State;
use serde::Serialize;
use shared::{
    Caller, Code, Db, Result,
    auth::{
        inspect::{Inspection, inspect},
        provider::Provider,
    },
    clock::SharedClock,
    extract::{Json, Path},
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::registrar::Registrar;

#[derive(Debug, Serialize)]
pub(crate) struct Tested {
    #[serde(flatten)]
    found: Inspection,
    #[serde(with = "time::serde::rfc3339")]
    checked_at: OffsetDateTime,
}

/// Asks one of the tenant's providers for its configuration and keys, active or
/// not, and says what it found. No connection to the database is held meanwhile.
pub(crate) async fn test(
    caller: Caller,
    State(db): State<Db>,
    State(clock): State<SharedClock>,
    State(registrar): State<Registrar>,
    Path(id): Path<Uuid>,
) -> Result<Json<Tested>> {
    let provider = Provider::registered(&db, &caller, id).await?.ok_or(Code::NotFound)?;
    let found = inspect(&registrar.fetch, &provider.issuer, &provider.allowed_algorithms).await;
    let checked_at = clock.now();
    let mut transaction = db.begin(&caller).await?;
    sqlx::query!("SELECT app.audit($1)", id).fetch_one(&mut transaction).await?;
    transaction.commit().await?;
    Ok(Json(Tested { found, checked_at }))
}

#[cfg(test)]
mod tests;
