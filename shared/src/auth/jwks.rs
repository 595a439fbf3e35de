//! The keys of identity providers, which sign tokens of theirs (OpenID Connect
//! Discovery 1.0; RFC 7517). ADR 2 tells why the cache is our own.
//!
//! Three places are asked, each when the one before cannot say: this
//! environment's copy; the copy in Postgres that all environments share; the
//! provider, which is asked by one of them at a time and at most once in 30
//! seconds, whatever tokens name. A key that is known and fresh is given at
//! once, with no lock and no wait.

mod claim;
mod filter;
mod held;
pub mod inspect;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use time::OffsetDateTime;
use tokio::{
    sync,
    time::{Instant, timeout_at},
};

use crate::{
    clock::SharedClock,
    config::BaseConfig,
    db::Db,
    error::{Error, Result},
    fetch::{Fetch, FetchError, TIME_LIMIT},
    start::Start,
    telemetry,
};
use claim::{Claim, settle};
use filter::{JwkSet, Keys};
use held::Held;

/// How many providers' keys are kept; the shared copy has the others'.
const MOST_PROVIDERS: usize = 1000;
/// How long a request waits for another one's fetch, of this environment or of
/// another: one slow provider must not hold all requests that name it.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long one waits before the shared copy is read again while another
/// environment fetches: most fetches are short, so twice as long each time.
const FIRST_POLL: Duration = Duration::from_millis(10);
const LAST_POLL: Duration = Duration::from_millis(200);

/// The keys of identity providers, as one execution environment has them.
pub struct ProviderKeys {
    fetch: Fetch,
    db: Db,
    clock: SharedClock,
    base: Arc<BaseConfig>,
    providers: Mutex<HashMap<String, Arc<Provider>>>,
}

/// One provider.
#[derive(Default)]
struct Provider {
    /// What is known of its keys; locked for the moment of a look only.
    held: Mutex<Held>,
    /// Held by the one request of this environment that asks elsewhere.
    asking: sync::Mutex<()>,
}

/// What of a provider's configuration matters here.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// Where the configuration of `issuer` stands (OpenID Connect Discovery 1.0, 4.1).
#[must_use]
pub fn discovery_url(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer))
}

impl ProviderKeys {
    /// Nothing known yet; nobody is asked before a key is.
    #[must_use]
    pub fn new(fetch: Fetch, db: Db, start: &Start) -> Self {
        Self { fetch, db, clock: start.clock.clone(), base: start.base.clone(), providers: Mutex::default() }
    }

    /// The key of `issuer` that is named `kid`, for `alg`. `issuer` is one
    /// that is registered, never what a token says and nobody has confirmed.
    ///
    /// # Errors
    /// `AUTH_001` where there is no such key, or none for `alg`; `SYS_003`
    /// where the provider's keys cannot be had, or not within a second by whoever
    /// fetches them already; `SYS_002` where the shared copy
    /// cannot.
    pub async fn key(&self, issuer: &str, kid: &str, alg: Algorithm) -> Result<Arc<DecodingKey>> {
        if !filter::can_be(kid, alg) {
            return Err(held::refused());
        }
        let provider = self.provider(issuer);
        let held = provider.held();
        if let Some(answer) = held.answer(kid, alg, self.clock.now()) {
            return answer;
        }
        let until = Instant::now() + PATIENCE;
        let _asking = match provider.asking.try_lock() {
            Ok(asking) => asking,
            // Somebody asks already: who can be served on through an outage does not wait for it.
            Err(_) => match held.served_on(kid, alg, self.clock.now()) {
                Some(key) => return Ok(key),
                None => timeout_at(until, provider.asking.lock()).await.map_err(|_| held::unavailable())?,
            },
        };
        match provider.held().answer(kid, alg, self.clock.now()) {
            Some(answer) => answer,
            None => self.ask(issuer, &provider, kid, alg, until).await,
        }
    }

    /// Why there is no such key, where that is known without asking anybody.
    /// `issuer` may be what a token says and nobody has confirmed: of one that
    /// was not asked for before, nothing is known.
    #[must_use]
    pub fn refusal(&self, issuer: &str, kid: &str, alg: Algorithm) -> Option<Error> {
        if !filter::can_be(kid, alg) {
            return Some(held::refused());
        }
        let provider = self.providers.lock().unwrap_or_else(PoisonError::into_inner).get(issuer).cloned()?;
        provider.held().answer(kid, alg, self.clock.now())?.err()
    }

    /// Asks the shared copy, and the provider if it is our turn; where it is
    /// another environment's, waits for it `until` then.
    async fn ask(
        &self,
        issuer: &str,
        provider: &Provider,
        kid: &str,
        alg: Algorithm,
        until: Instant,
    ) -> Result<Arc<DecodingKey>> {
        let id = digest(&SHA256, issuer.as_bytes());
        let mut poll = FIRST_POLL;
        loop {
            let (now, held) = (self.clock.now(), provider.held());
            let claim = Claim::make(&self.db, id.as_ref(), now, held.fetched_at).await?;
            let mut newer = Held { attempted_at: claim.attempted_at(now), ..held.clone() };
            if let Some(text) = &claim.jwks {
                newer = Held { keys: Arc::new(Keys::from_text(text)), fetched_at: claim.fetched_at, ..newer };
            }
            if claim.claimed {
                let fetched = self.refresh(issuer, newer, now).await;
                let text = (fetched.fetched_at == Some(now)).then(|| fetched.keys.to_text());
                provider.set(fetched.clone());
                settle(&self.db, id.as_ref(), now, text.as_deref()).await?;
                return fetched.last_word(kid, alg, self.clock.now());
            }
            if let Some(answer) = newer.answer(kid, alg, now) {
                provider.set(newer);
                return answer;
            }
            if newer.attempted_at.is_none() {
                // Another environment fetches.
                if let Some(key) = held.served_on(kid, alg, now) {
                    return Ok(key);
                }
                if Instant::now() >= until {
                    return Err(held::unavailable());
                }
                tokio::time::sleep(poll).await;
                poll = LAST_POLL.min(poll * 2);
            } else {
                // Newer keys, without this one: asked for again, it is off the cooldown.
                provider.set(newer);
            }
        }
    }

    /// What is known after a fetch that was claimed `at`.
    async fn refresh(&self, issuer: &str, held: Held, at: OffsetDateTime) -> Held {
        let fetched = tokio::time::timeout(TIME_LIMIT, self.fetch(issuer)).await.unwrap_or(Err(FetchError::TimedOut));
        let (held, cause) = match fetched {
            Ok(Some(keys)) => (Held { keys: Arc::new(keys), fetched_at: Some(at), attempted_at: Some(at) }, None),
            // Whoever it is, it does not speak for the issuer; nor do the keys that it gave before.
            Ok(None) => (
                Held { fetched_at: Some(at), attempted_at: Some(at), ..Held::default() },
                Some("its configuration is that of another issuer".to_owned()),
            ),
            Err(error) => (Held { attempted_at: Some(at), ..held }, Some(error.to_string())),
        };
        let now = self.clock.now();
        let counts = [
            (true, "provider_fetches"),
            (cause.is_some(), "provider_fetch_failures"),
            (held.is_stale(now), "provider_keys_stale"),
        ];
        let counts: Vec<_> = counts.into_iter().filter(|(counted, _)| *counted).map(|(_, name)| (name, 1)).collect();
        telemetry::event(&telemetry::Event {
            config: &self.base,
            now,
            failed: cause.is_some(),
            message: "fetched the keys of an identity provider",
            fields: &[("issuer", Some(issuer)), ("cause", cause.as_deref())],
            counts: &counts,
        });
        held
    }

    /// The provider's keys; none where it turns out to be another issuer (K6).
    async fn fetch(&self, issuer: &str) -> Result<Option<Keys>, FetchError> {
        let discovery: Discovery = self.fetch.get(&discovery_url(issuer)).await?;
        if discovery.issuer != issuer {
            return Ok(None);
        }
        let set: JwkSet = self.fetch.get(&discovery.jwks_uri).await?;
        Ok(Some(Keys::of(set)))
    }

    fn provider(&self, issuer: &str) -> Arc<Provider> {
        let mut providers = self.providers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(provider) = providers.get(issuer) {
            return provider.clone();
        }
        if providers.len() >= MOST_PROVIDERS {
            providers.clear();
        }
        providers.entry(issuer.to_owned()).or_default().clone()
    }
}

impl Provider {
    fn held(&self) -> Held {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, held: Held) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = held;
    }
}
