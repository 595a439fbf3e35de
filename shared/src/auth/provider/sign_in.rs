//! The provider that somebody wants to sign in at.

use serde_json::{Map, Value};

use super::{Key, Provider};
use crate::{
    auth::{TenantId, claims},
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
        let (tenant, found) = Self::named(db, slug, name).await?;
        Ok((tenant, found.filter(|(_, is_suspended)| !is_suspended).map(|(provider, _)| provider)))
    }

    /// The same for what ends sessions, which a suspension only rests: a
    /// provider tells once that one is over, and it must not come back.
    ///
    /// # Errors
    /// `SYS_002`.
    pub async fn to_sign_out_at(db: &Db, slug: &str, name: &str) -> Result<(TenantId, Option<Self>)> {
        let (tenant, found) = Self::named(db, slug, name).await?;
        Ok((tenant, found.map(|(provider, _)| provider)))
    }

    async fn named(db: &Db, slug: &str, name: &str) -> Result<(TenantId, Option<(Self, bool)>)> {
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
        Ok((tenant, Self::find_with_standing(db, tenant.as_uuid(), Key::Name(name)).await?))
    }

    /// The tenant that these claims name, which this provider has signed. To be
    /// asked of one that speaks for every tenant. It alone is read; where it is
    /// one of the two usual ones, the other must not say otherwise.
    ///
    /// # Errors
    /// `TEN_001`, `TEN_002`.
    pub fn tenant_in(&self, signed: &Map<String, Value>) -> Result<TenantId> {
        let other = match &*self.tenant_claim {
            "tenant_id" => signed.get("organization_id"),
            "organization_id" => signed.get("tenant_id"),
            _ => None,
        };
        let claim = signed.get(&*self.tenant_claim).ok_or(Code::NoTenant)?;
        Ok(TenantId::verified(claims::tenant(Some(claim), other)?))
    }
}
