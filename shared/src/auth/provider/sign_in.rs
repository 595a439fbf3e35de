//! The provider that somebody wants to sign in at.

use super::{Key, Provider};
use crate::{
    auth::TenantId,
    db::Db,
    error::{Code, Result},
    text::Slug,
};

impl Provider {
    /// The tenant of this slug and its active provider of this name, in two
    /// round trips whatever there is. Without such a tenant it is `nobody`,
    /// whose trail takes the refusal; a suspended tenant has no provider here.
    ///
    /// # Errors
    /// `SYS_002`.
    pub async fn to_sign_in_at(db: &Db, slug: &str, name: &str) -> Result<(TenantId, Option<Self>)> {
        // What is no slug is nobody's, and Postgres could not take every text.
        let slug = Slug::try_from(slug.to_owned()).map(|slug| (*slug).to_owned()).unwrap_or_default();
        let tenant = db
            .fetch_one(|| {
                sqlx::query!(
                    r#"SELECT coalesce(t.tenant_id, '00000000-0000-0000-0000-000000000000') AS "tenant_id!: TenantId"
                         FROM (VALUES (1)) AS one LEFT JOIN LATERAL app.enter_slug($1) AS t ON true"#,
                    slug,
                )
            })
            .await?
            .tenant_id;
        match Self::find(db, tenant.as_uuid(), Key::Name(name)).await {
            Err(error) if error.code() == Code::TenantSuspended => Ok((tenant, None)),
            found => Ok((tenant, found?)),
        }
    }
}
