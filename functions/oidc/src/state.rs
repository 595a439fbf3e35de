//! What the group's handlers share.

use std::{collections::HashMap, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use http::Method;
use openidconnect::PostLogoutRedirectUrl;
use secrecy::{ExposeSecret, SecretString};
use shared::{
    App, Db, Error, Result,
    app::{AppConfig, Group},
    audit::Action,
    auth::{
        Identity, TenantId,
        provider::{ClientSecret, Provider},
    },
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
    /// Ours at the providers of the deployment, by their names.
    client_secrets: HashMap<String, ClientSecret>,
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
        for (_, id) in config.app.providers.client_secret_ids() {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }

    async fn build(config: OidcConfig, secrets: &Secrets, start: &Start) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let OidcConfig { app, sessions, data_keys, redirects, after_logout } = config;
        let mut client_secrets = HashMap::new();
        for (name, id) in app.providers.client_secret_ids() {
            let read = |text: &SecretString| ClientSecret::try_from(text.expose_secret().to_owned());
            let secret = secrets.read(id, read).map_err(|more| faults.extend(more));
            client_secrets.extend(secret.ok().map(|secret| (name.to_owned(), secret)));
        }
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
            client_secrets,
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

/// The provider of a request.
pub(crate) struct Found {
    /// The tenant that registered it; none where it speaks for every tenant.
    pub(crate) owner: Option<TenantId>,
    /// Whose trail takes refusals: its owner's or `nobody`'s.
    pub(crate) trail: TenantId,
    pub(crate) provider: Provider,
}

impl Parts {
    /// The active provider `name` of the tenant `slug`, or that of the deployment
    /// where none is named. That there is none is
    /// one answer, whatever is the matter, in the trail of the tenant or of
    /// `nobody`.
    ///
    /// # Errors
    /// `AUTH_010`, `SYS_002`.
    pub(crate) async fn provider(
        &self,
        slug: Option<&str>,
        name: &str,
        action: Action,
        origin: &Origin,
    ) -> Result<Found> {
        let (db, tenant) = (&self.app.db, slug.unwrap_or_default());
        let (trail, registered) = match action {
            Action::AuthOidcLogout => Provider::to_sign_out_at(db, tenant, name).await?,
            _ => Provider::to_sign_in_at(db, tenant, name).await?,
        };
        let owner = slug.map(|_| trail);
        // What was registered of such an issuer before is not asked, as with its access tokens.
        let registered = registered.filter(|provider| !self.app.federation.providers().is_at(&provider.issuer));
        match registered.or_else(|| self.deployed(name).filter(|_| slug.is_none())) {
            Some(provider) => Ok(Found { owner, trail, provider }),
            None => Err(self.refuse(trail, action, origin, Refused::Provider.into()).await),
        }
    }

    fn deployed(&self, name: &str) -> Option<Provider> {
        self.app.federation.providers().named(name).cloned()
    }

    /// Our secret at a provider, if there is one.
    ///
    /// # Errors
    /// `SYS_002`, `SYS_004`, `SYS_005`.
    pub(crate) async fn client_secret(&self, Found { owner, provider, .. }: &Found) -> Result<Option<ClientSecret>> {
        match owner {
            Some(owner) => provider.client_secret(&self.data_keys, &self.app.db, *owner).await,
            None => Ok(self.client_secrets.get(&*provider.name).cloned()),
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

    /// Where a provider sends a browser back to: a URL of its own for each
    /// provider of each tenant (RFC 9700, 4.4.2.2). The answer of a tenant's
    /// provider is so told from that of another tenant's by the same name,
    /// which would be sent its code.
    pub(crate) fn callback_url(&self, provider: &Provider, tenant: Option<&str>) -> String {
        let issuer = &self.app.verifier.config().issuer;
        let url = format!("{}/auth/oidc/{}/callback", issuer.trim_end_matches('/'), &*provider.name);
        // The slug of a tenant that was found: nothing in it needs an escape.
        tenant.map_or(url.clone(), |tenant| format!("{url}?tenant={tenant}"))
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
