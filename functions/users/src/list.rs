//! `GET /api/v1/users`

use axum::extract::{OriginalUri, State};
use serde::Deserialize;
use shared::{
    Caller, Db, Result,
    auth::Role,
    extract::Query,
    page::{Cursors, Limit, Page},
    text::Text,
    user::User,
};
use uuid::Uuid;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    role: Option<Role>,
    status: Option<Status>,
    q: Option<Text<1, 254>>,
    #[serde(default)]
    limit: Limit,
    cursor: Option<String>,
}

/// What a user may be asked for by; a deleted one is in no list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
enum Status {
    Active,
    Inactive,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
        }
    }
}

impl TryFrom<String> for Status {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let found = [Self::Active, Self::Inactive].into_iter().find(|status| status.as_str() == name);
        found.ok_or("must be active or inactive")
    }
}

/// The tenant's users, newest first. One round trip.
pub(crate) async fn list(
    caller: Caller,
    State(db): State<Db>,
    State(cursors): State<Cursors>,
    OriginalUri(uri): OriginalUri,
    Query(filter): Query<Filter>,
) -> Result<Page<User>> {
    let after = cursors.open(&caller, filter.cursor.as_deref())?;
    let users = match filter.q.as_deref() {
        Some(prefix) => search(&db, &caller, &filter, prefix, after).await?,
        None => all(&db, &caller, &filter, after).await?,
    };
    Ok(cursors.page(&caller, filter.limit, users, uri, |user| user.id))
}

async fn all(db: &Db, caller: &Caller, filter: &Filter, after: Option<Uuid>) -> Result<Vec<User>> {
    let query = || {
        sqlx::query_as!(
            User,
            r#"SELECT u.id, u.email, u.display_name, u.role, u.status, u.version, u.created_at, u.updated_at,
                      u.last_login_at
                 FROM app.enter($1, $2) AS caller,
              LATERAL (SELECT * FROM users
                        WHERE tenant_id = caller.tenant_id AND status <> 'deleted'
                          AND ($3::text IS NULL OR role = $3)
                          AND ($4::text IS NULL OR status = $4)
                          AND ($5::uuid IS NULL OR id < $5)
                        ORDER BY id DESC LIMIT $6) AS u"#,
            caller.tenant_id(),
            caller.session_id(),
            filter.role.map(Role::as_str),
            filter.status.map(Status::as_str),
            after,
            filter.limit.rows(),
        )
    };
    db.fetch_all(query).await
}

/// Those whose e-mail or display name begins with `prefix`, in any case. There
/// is no LIKE, and so there are no wildcards: the comparisons are those of the
/// two indexes. `OFFSET 0` has the planner find all that match before it sorts
/// them: with a limit in sight it would rather go through the whole tenant from
/// the newest on. So a search costs what it finds, however large the tenant is.
async fn search(db: &Db, caller: &Caller, filter: &Filter, prefix: &str, after: Option<Uuid>) -> Result<Vec<User>> {
    let prefix = prefix.to_owned();
    let query = || {
        sqlx::query_as!(
            User,
            r#"SELECT u.id, u.email, u.display_name, u.role, u.status, u.version, u.created_at, u.updated_at,
                      u.last_login_at
                 FROM app.enter($1, $2) AS caller,
              LATERAL (SELECT * FROM (
                           SELECT * FROM users
                            WHERE tenant_id = caller.tenant_id AND status <> 'deleted'
                              AND (email ~>=~ app.searched($7) AND email ~<~ app.end_of_searched($7)
                                   OR display_name_searched ~>=~ app.searched($7)
                                      AND display_name_searched ~<~ app.end_of_searched($7))
                              AND ($3::text IS NULL OR role = $3)
                              AND ($4::text IS NULL OR status = $4)
                              AND ($5::uuid IS NULL OR id < $5)
                           OFFSET 0) AS found
                        ORDER BY id DESC LIMIT $6) AS u"#,
            caller.tenant_id(),
            caller.session_id(),
            filter.role.map(Role::as_str),
            filter.status.map(Status::as_str),
            after,
            filter.limit.rows(),
            prefix,
        )
    };
    db.fetch_all(query).await
}

#[cfg(test)]
mod tests;
