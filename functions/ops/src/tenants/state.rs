//! `{"action":"suspend_tenant","slug":"acme","reason":"security"}` ->
//! `{"tenant_id":"...","slug":"acme","status":"suspended","changed":true}`;
//! `resume_tenant` the other way.

use serde::Deserialize;
use serde_json::{Value, json};
use shared::{db::operator::Change, start::Start, text::Slug};
use uuid::Uuid;

use super::{Which, connect, failed};
use crate::OpsConfig;

/// A tenant that is to be suspended, and why.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspension {
    slug: Option<Slug>,
    id: Option<Uuid>,
    reason: Option<Reason>,
}

/// Why a tenant is suspended: a word for the trail, so that nobody writes
/// anything about a person there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It was asked for by the tenant.
    Requested,
    /// It did not pay.
    Payment,
    /// An incident, or a suspicion of one.
    Security,
    /// A law or a contract asks for it.
    Legal,
}

impl Reason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Payment => "payment",
            Self::Security => "security",
            Self::Legal => "legal",
        }
    }
}

/// A tenant that is to be resumed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resumption {
    slug: Option<Slug>,
    id: Option<Uuid>,
}

/// Suspends a tenant: every function looks with every request, so the next one
/// is refused. Sessions stay, and go on when it is resumed, if their time is
/// not over by then.
pub(crate) async fn suspend(start: &Start, config: OpsConfig, suspension: Suspension) -> Result<Value, String> {
    let which = Which::of(suspension.slug, suspension.id)?;
    change(start, &config, &which, Change::Suspend, suspension.reason.map(Reason::as_str)).await
}

/// Resumes a tenant.
pub(crate) async fn resume(start: &Start, config: OpsConfig, resumption: Resumption) -> Result<Value, String> {
    let which = Which::of(resumption.slug, resumption.id)?;
    change(start, &config, &which, Change::Resume, None).await
}

async fn change(
    start: &Start,
    config: &OpsConfig,
    which: &Which,
    change: Change,
    reason: Option<&str>,
) -> Result<Value, String> {
    let (mut operator, request_id) = connect(start, config).await?;
    let tenant = which.begin(&mut operator).await?;
    if tenant.status == "deleted" {
        return Err(format!("RES_006: the tenant {} is deleted", tenant.slug));
    }
    let status = if change == Change::Suspend { "suspended" } else { "active" };
    let changed = tenant.status != status;
    if changed {
        let done = operator.change(tenant.id, change, reason, &request_id).await;
        done.map_err(failed("the tenant's state cannot be changed"))?;
        operator.commit().await.map_err(failed("nobody knows whether it was done; send the same again"))?;
        tracing::info!(tenant_id = %tenant.id, request_id, status, "tenant changed its state");
    }
    Ok(json!({ "tenant_id": tenant.id, "slug": tenant.slug, "status": status, "changed": changed }))
}
