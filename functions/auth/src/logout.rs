//! `POST /api/v1/auth/logout`

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use shared::{Caller, Db, Result, extract::Query};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default)]
    scope: Scope,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Scope {
    /// This session.
    #[default]
    Local,
    /// The user's other sessions.
    Others,
    /// All of them.
    Global,
}

/// Ends sessions of the caller, at once and on every function.
pub(crate) async fn logout(
    caller: Caller,
    State(db): State<Db>,
    Query(Parameters { scope }): Query<Parameters>,
) -> Result<StatusCode> {
    let mut transaction = db.begin(&caller).await?;
    sqlx::query!(
        r#"WITH ended AS (
               UPDATE sessions SET ended_at = now()
                WHERE tenant_id = $1 AND user_id = $2 AND ended_at IS NULL
                  AND CASE WHEN id = $3 THEN $4::boolean ELSE $5::boolean END
           )
           SELECT app.audit($3) AS seq"#,
        caller.tenant_id(),
        caller.user_id(),
        caller.session_id(),
        scope != Scope::Others,
        scope != Scope::Local,
    )
    .fetch_one(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
