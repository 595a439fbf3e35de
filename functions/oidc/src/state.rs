//! What the group's handlers share.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use http::Method;
use openidconnect::PostLogoutRedirectUrl;
use shared::{
    App, Db, Error, Result,
    app::{AppConfig, Group},
    audit::Action,
    auth::{Identity, TenantId, provider::Provider},
    config::{Config, Environment, Faults},
    crypto::{DataKeys, DataKeysConfig},
    origin::Origin,
    rate_limit::RateLimit,
    refusal::refuse,
    secrets::Secrets,
    session::{SessionKeys, Sessions, SessionsConfig},
    start::Start,
};
use time::{Duration, OffsetDateTime};

use crate::{discovery::Discovery, pending::Seal, redirects::Redirects, refused::Refused};

/// The group's state.
#[derive(Clone)]
pub struct Oidc(Arc<Parts>);

/// Its parts.
pub struct Parts {
    pub(crate) app: App,
    pub(crate) sessions: Sessions,
    pub(crate) data_keys: DataKeys,
    pub(crate) discovery: Discovery,
    pub(crate) seal: Seal,
    pub(crate) redirects: Redirects,
    pub(crate) after_logout: Option<PostLogoutRedirectUrl>,
}

impl std::ops::Deref for Oidc {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// The group's configuration.
pub struct OidcConfig {
    app: AppConfig,
    sessions: SessionsConfig,
    data_keys: DataKeysConfig,
    redirects: Redirects,
    after_logout: Option<PostLogoutRedirectUrl>,
}

impl Config for OidcConfig {
    fn read(env: &mut Environment<'_>) -> Self {
        let sessions = SessionsConfig::read(env);
        let redirects = Redirects::read(sessions.allowed_origins(), env);
        let url = |text: &str| {
            let url = redirects.check(text).ok().and_then(|()| PostLogoutRedirectUrl::new(text.to_owned()).ok());
            url.map(Some)
        };
        let expected = "a URL that a sign-in may be redirected to";
        let after_logout = env.parsed("POST_LOGOUT_REDIRECT_URI", None, expected, url);
        Self { app: AppConfig::read(env), sessions, data_keys: DataKeysConfig::read(env), redirects, after_logout }
    }
}

impl Group for Oidc {
    type Config = OidcConfig;

    fn secret_ids(config: &OidcConfig) -> Vec<&str> {
        let mut ids = App::secret_ids(&config.app);
        ids.extend(config.sessions.secret_ids());
        ids
    }

    async fn build(config: OidcConfig, secrets: &Secrets, start: &Start) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let OidcConfig { app, sessions, data_keys, redirects, after_logout } = config;
        let seal =
            secrets.key(&app.cursor_key_secret_id, &mut Faults::default()).and_then(|key| Seal::derived_from(&key));
        let keys = SessionKeys::read(sessions, secrets, start).await.map_err(|more| faults.extend(more)).ok();
        let app = App::build(app, secrets, start).await.map_err(|more| faults.extend(more)).ok();
        let sessions = match (&app, keys) {
            (Some(app), Some(keys)) => keys.sessions(app, start).await.map_err(|more| faults.extend(more)).ok(),
            _ => None,
        };
        let (Some(app), Some(sessions), Some(seal)) = (app, sessions, seal) else { return Err(faults) };
        faults.or(Self(Arc::new(Parts {
            data_keys: DataKeys::new(data_keys, start),
            discovery: Discovery::new(app.fetch.clone()),
            app,
            sessions,
            seal,
            redirects,
            after_logout,
        })))
    }

    fn app(&self) -> Option<&App> {
        Some(&self.app)
    }

    fn post_limit(&self) -> Option<RateLimit> {
        Some(self.sessions.post_limit.clone())
    }

    /// Its GETs have us call providers and write records for anybody.
    fn limit_of(&self, _method: &Method) -> Option<RateLimit> {
        self.post_limit()
    }

    fn db(&self) -> Option<&Db> {
        Some(&self.app.db)
    }
}

/// The tenant of a request, and its provider.
pub(crate) struct Found {
    pub(crate) tenant: TenantId,
    pub(crate) provider: Provider,
}

impl Parts {
    /// The active provider `name` of the tenant `slug`. That there is none is
    /// one answer, whatever is the matter, in the trail of the tenant or of
    /// `nobody`.
    ///
    /// # Errors
    /// `AUTH_010`, `SYS_002`.
    pub(crate) async fn provider(&self, slug: &str, name: &str, action: Action, origin: &Origin) -> Result<Found> {
        let (tenant, provider) = Provider::to_sign_in_at(&self.app.db, slug, name).await?;
        match provider {
            Some(provider) => Ok(Found { tenant, provider }),
            None => Err(self.refuse(tenant, action, origin, Refused::Provider.into()).await),
        }
    }

    /// Records a refusal in the trail of `tenant`.
    pub(crate) async fn refuse(&self, tenant: TenantId, action: Action, origin: &Origin, error: Error) -> Error {
        let identity = Identity { tenant, user: None, session: None };
        refuse(&self.app, action, &identity, origin, error).await
    }

    /// Records a refusal of somebody who named no tenant.
    pub(crate) async fn refuse_nobody(&self, action: Action, origin: &Origin, refused: Refused) -> Error {
        match Provider::to_sign_in_at(&self.app.db, "", "").await {
            Ok((nobody, _)) => self.refuse(nobody, action, origin, refused.into()).await,
            Err(error) => error,
        }
    }

    /// Where a provider sends a browser back to: one URL for all tenants.
    pub(crate) fn callback_url(&self, provider: &Provider) -> String {
        let issuer = &self.app.verifier.config().issuer;
        format!("{}/auth/oidc/{}/callback", issuer.trim_end_matches('/'), &*provider.name)
    }

    /// Whether nobody has used `thing` before, who does so now. Run twice after
    /// a lost connection it may take its own use for another's.
    ///
    /// # Errors
    /// `SYS_002`.
    pub(crate) async fn use_once(&self, thing: &str, life: Duration, now: OffsetDateTime) -> Result<bool> {
        let key = digest(&SHA256, thing.as_bytes()).as_ref().to_vec();
        let used = self
            .app
            .db
            .fetch_one(|| sqlx::query!(r#"SELECT app.use_once($1, $2, $3) AS "first!""#, &key, now, now + life))
            .await?;
        Ok(used.first)
    }
}
