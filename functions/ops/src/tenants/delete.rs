//! `{"action":"delete_tenant","slug":"acme","confirm":"acme"}` ->
//! `{"tenant_id":"...","slug":"acme","rows":{"todos":12,"users":3},"complete":true}`

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use shared::{
    db::operator::{Change, Operator, Tenant},
    start::Start,
    text::Slug,
};
use time::Duration;
use uuid::Uuid;

use super::{Which, connect, failed};
use crate::OpsConfig;

/// How long a tenant is suspended at least before it can be deleted: no
/// transaction that began before lasts so long, so none writes behind it.
const SUSPENDED_FOR: Duration = Duration::minutes(1);

/// A tenant that is to be deleted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deletion {
    slug: Option<Slug>,
    id: Option<Uuid>,
    confirm: String,
}

/// What one run may do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Rows in one transaction.
    pub(super) batch: i32,
    /// How long it goes on. What is left waits for the next run.
    pub(super) time: Duration,
}

impl Limits {
    /// Ten minutes of the fifteen that the function has.
    pub(crate) const USUAL: Self = Self { batch: 500, time: Duration::minutes(10) };
}

/// Deletes a tenant. Its data keys go first, with which all that they sealed is
/// shredded, in the transaction from which on it does not exist for any
/// function; then its rows, batch after batch. Its trail stays, and its slug.
/// Sent again it goes on where it ended.
pub(crate) async fn delete(
    start: &Start,
    config: OpsConfig,
    deletion: Deletion,
    limits: Limits,
) -> Result<Value, String> {
    let which = Which::of(deletion.slug, deletion.id)?;
    let ends_at = start.clock.now() + limits.time;
    let (mut operator, request_id) = connect(start, &config).await?;
    let tenant = which.begin(&mut operator).await?;
    if deletion.confirm != tenant.slug {
        return Err(format!("confirm must be the slug of the tenant {}", tenant.id));
    }
    if tenant.status != "deleted" {
        bury(&mut operator, &tenant, &request_id).await?;
    }
    let (mut rows, mut complete) = (BTreeMap::<String, u64>::new(), false);
    while !complete && start.clock.now() < ends_at {
        let deleted = operator.delete_rows(tenant.id, limits.batch).await;
        match deleted.map_err(failed("not all rows are deleted; send the same again"))? {
            Some((table, count)) => *rows.entry(table).or_default() += count,
            None => complete = true,
        }
    }
    if complete && !tenant.is_purged {
        operator
            .note_purged(tenant.id, &request_id)
            .await
            .map_err(failed("the end is not recorded; send the same again"))?;
    }
    tracing::info!(tenant_id = %tenant.id, request_id, rows = rows.values().sum::<u64>(), complete, "tenant deleted");
    Ok(json!({ "tenant_id": tenant.id, "slug": tenant.slug, "rows": rows, "complete": complete }))
}

/// The step that cannot be taken back.
async fn bury(operator: &mut Operator, tenant: &Tenant, request_id: &str) -> Result<(), String> {
    let Some(since) = tenant.suspended_at.filter(|_| tenant.status == "suspended") else {
        return Err(format!("RES_006: the tenant {} is {}; suspend it first", tenant.slug, tenant.status));
    };
    if tenant.now - since < SUSPENDED_FOR {
        return Err(format!("RES_006: the tenant {} was suspended less than a minute ago", tenant.slug));
    }
    let buried = operator.change(tenant.id, Change::Delete, None, request_id).await;
    buried.map_err(failed("the tenant cannot be deleted"))?;
    operator.commit().await.map_err(failed("nobody knows whether it is deleted; send the same again"))
}
