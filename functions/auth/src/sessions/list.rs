//! `GET /api/v1/auth/sessions`

use axum::extract::{OriginalUri, State};
use shared::{
    Caller, Db, Result,
    extract::Query,
    page::{Cursors, Page, Paging},
};

use super::{Row, Session};

/// The caller's own sessions that live, newest first. One round trip.
pub(crate) async fn list(
    caller: Caller,
    State(db): State<Db>,
    State(cursors): State<Cursors>,
    OriginalUri(uri): OriginalUri,
    Query(Paging { limit, cursor }): Query<Paging>,
) -> Result<Page<Session>> {
    let after = cursors.open(&caller, cursor.as_deref())?;
    let rows = db
        .fetch_all(|| {
            sqlx::query_as!(
                Row,
                r#"SELECT s.id, s.user_agent, s.source_address, s.created_at, s.last_used_at, s.expires_at
                     FROM app.enter($1, $2) AS caller,
                  LATERAL (SELECT * FROM sessions
                            WHERE tenant_id = caller.tenant_id AND user_id = caller.user_id
                              AND app.session_lives(ended_at, over_at)
                              AND ($3::uuid IS NULL OR id < $3)
                            ORDER BY id DESC LIMIT $4) AS s"#,
                caller.tenant_id(),
                caller.session_id(),
                after,
                limit.rows(),
            )
        })
        .await?;
    let sessions = rows.into_iter().map(|row| row.seen_from(caller.session_id())).collect();
    Ok(cursors.page(&caller, limit, sessions, uri, |session| session.id))
}
