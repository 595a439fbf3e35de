//! Access tokens of identity providers, as bearer tokens (ADR 13). What comes
//! of one is the same [`Subject`] that a token of ours gives, with a session of
//! its own, so that nothing behind the access check can tell and need not.
//!
//! A token is judged once in each execution environment: whose provider it
//! names, its signature, its claims, its user, its session. From then on it is
//! known, and what ends its session ends it, as with tokens of ours.

mod deployment;
mod known;
mod rules;
mod session;
mod token;

use std::sync::Arc;

use uuid::Uuid;

pub use deployment::DeploymentProviders;

use super::{
    Identity, ProviderKeys, Subject, TenantId,
    provider::{Provider, SigningAlgorithm},
    verifier::Refused,
};
use crate::{
    audit::Action,
    clock::SharedClock,
    db::Db,
    error::{Code, Error, Result},
    origin::Origin,
    start::Start,
};
use known::{Judged, Known, Signed};
use rules::Asserted;
use session::Begun;
use token::Presented;

/// Checks access tokens of identity providers.
pub struct Federation {
    providers: DeploymentProviders,
    keys: ProviderKeys,
    db: Db,
    clock: SharedClock,
    known: Known,
}

/// What brings a token: for the record of what it changes.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What is attempted.
    pub action: Action,
    /// From where.
    pub origin: &'a Origin,
}

/// A provider that is trusted, and by whom.
struct Trusted<'a> {
    provider: &'a Provider,
    /// The tenant that registered it, for which alone it speaks; none where it
    /// speaks for all.
    owner: Option<Uuid>,
}

/// Whose word a token is.
enum Found {
    /// Of the providers of these tenants, by what the token claims.
    Of(Vec<(Uuid, Provider)>),
    /// Of an issuer that others have registered, reading these claims. None of
    /// them: nobody knows it.
    Others(Vec<String>),
}

impl Federation {
    /// With the providers of the deployment; those of tenants are looked up.
    #[must_use]
    pub fn new(providers: DeploymentProviders, keys: ProviderKeys, db: Db, start: &Start) -> Self {
        Self { providers, keys, db, clock: start.clock.clone(), known: Known::default() }
    }

    /// The providers that speak for every tenant.
    #[must_use]
    pub fn providers(&self) -> &DeploymentProviders {
        &self.providers
    }

    /// The keys of all providers, as this environment has them.
    #[must_use]
    pub fn keys(&self) -> &ProviderKeys {
        &self.keys
    }

    /// Forgets what it knows of a session that has ended: a change of settings
    /// may have ended it, and its tokens are judged by the new ones.
    pub(crate) fn forget(&self, session: Uuid) {
        self.known.forget(session);
    }

    /// Whether it is for this check to judge `token`: `ours` did not issue it.
    pub(crate) fn judges(&self, token: &str, ours: &str) -> bool {
        self.known.get(token).is_some() || token::issuer(token).is_some_and(|issuer| issuer != ours)
    }

    /// Whom `token` speaks for.
    ///
    /// # Errors
    /// `AUTH_001`, `AUTH_002`, `AUTH_004`, `AUTH_005` where its subject has no
    /// account and gets none, `AUTH_006`, `PERM_001` where it would take the
    /// role from the last admin, `TEN_001` to `TEN_004`; `SYS_002`; `SYS_003`
    /// where its key is not known and the keys cannot be had.
    pub(crate) async fn admit(&self, token: &str, request: &Request<'_>) -> Result<Subject, Refused> {
        if let Some(judged) = self.known.get(token)
            && let Some(subject) = self.still(&judged).await.map_err(|error| refused(error, judged.subject.into()))?
        {
            return Ok(subject);
        }
        let presented = Presented::read(token).ok_or(Code::InvalidToken)?;
        // Once more where a provider was changed in between.
        for _ in 0..3 {
            if let Some(subject) = self.judge(token, &presented, request).await? {
                return Ok(subject);
            }
        }
        Err(Code::InvalidToken.into())
    }

    /// Whom a token speaks for that was judged before; none where its key was
    /// read again since, and it is to be judged anew (K3).
    async fn still(&self, judged: &Judged) -> Result<Option<Subject>> {
        judged.times.check(self.clock.now())?;
        let Signed { issuer, kid, algorithm, key } = &judged.signed;
        let current = self.keys.key(issuer, kid, (*algorithm).into()).await?;
        Ok(Arc::ptr_eq(&current, key).then_some(judged.subject))
    }

    /// None where the provider or the user changed meanwhile.
    async fn judge(
        &self,
        token: &str,
        presented: &Presented<'_>,
        request: &Request<'_>,
    ) -> Result<Option<Subject>, Refused> {
        let issuer = presented.claims.text("iss", 500).ok_or(Code::InvalidToken)?;
        let now = self.clock.now();
        if let Some(provider) = self.providers.get(issuer) {
            let trusted = Trusted { provider, owner: None };
            let signed = self.check_signature(issuer, presented, &provider.allowed_algorithms).await?;
            // It is trusted to say of which tenant.
            let identity = rules::tenant(&provider.tenant_claim, &presented.claims).map_or_else(|_| nobody(), of);
            let said = rules::read(provider, presented, now).map_err(|error| refused(error, identity))?;
            return self.begin(token, signed, &trusted, presented, &said, request).await;
        }
        // On the cooldown a flood of unknown key ids is not even looked up (K1).
        let algorithm = presented.algorithm(&SigningAlgorithm::ALL)?;
        if let Some(error) = self.keys.refusal(issuer, &presented.header.kid, algorithm.into()) {
            return Err(error.into());
        }
        match self.find(issuer, presented).await? {
            Found::Others(claims) if claims.is_empty() => Err(Code::InvalidToken.into()),
            Found::Others(claims) => {
                self.check_signature(issuer, presented, &SigningAlgorithm::ALL).await?;
                Err(of_nobody(disown(&claims, presented)))
            }
            Found::Of(found) => {
                let Some((owner, provider)) = found.first() else { return Err(Code::Internal.into()) };
                let signed = self.check_signature(issuer, presented, &provider.allowed_algorithms).await?;
                // Two tenants' providers, each by a claim of its own.
                if found.iter().any(|(other, _)| other != owner) {
                    return Err(of_nobody(Code::ConflictingTenants.into()));
                }
                let of_owner = |error| refused(error, of(*owner));
                let said = rules::read(provider, presented, now).map_err(of_owner)?;
                if said.tenant != *owner {
                    return Err(of_nobody(Code::IssuerNotTrusted.into()));
                }
                let trusted = Trusted { provider, owner: Some(*owner) };
                self.begin(token, signed, &trusted, presented, &said, request).await
            }
        }
    }

    async fn begin(
        &self,
        token: &str,
        signed: Signed,
        trusted: &Trusted<'_>,
        presented: &Presented<'_>,
        said: &Asserted,
        request: &Request<'_>,
    ) -> Result<Option<Subject>, Refused> {
        let begun = session::begin(&self.db, &*self.clock, trusted, presented, said, request).await;
        match begun.map_err(|error| refused(error, of(said.tenant)))? {
            Begun::Lives(subject) => {
                self.known.add(token, Judged { subject, times: said.times, signed });
                Ok(Some(subject))
            }
            Begun::Changed => Ok(None),
            Begun::NoTenant => Err(of_nobody(Code::IssuerNotTrusted.into())),
        }
    }

    /// The providers that the token may mean, in one statement.
    async fn find(&self, issuer: &str, presented: &Presented<'_>) -> Result<Found> {
        let (claims, tenants) = presented.claims.candidates();
        let rows = self
            .db
            .fetch_all(|| {
                sqlx::query!(
                    "SELECT tenant_id, provider, registered FROM app.bearer_providers($1, $2, $3)",
                    issuer,
                    &claims,
                    &tenants,
                )
            })
            .await?;
        let mut found = Vec::new();
        let mut others = Vec::new();
        for row in rows {
            match (row.tenant_id, row.provider) {
                (Some(tenant), Some(stored)) => found.push((tenant, Provider::of_json(stored)?)),
                _ => others = row.registered.unwrap_or_default(),
            }
        }
        Ok(if found.is_empty() { Found::Others(others) } else { Found::Of(found) })
    }

    /// # Errors
    /// `AUTH_001`; `SYS_002`, `SYS_003` where that cannot be known.
    async fn check_signature(
        &self,
        issuer: &str,
        token: &Presented<'_>,
        allowed: &[SigningAlgorithm],
    ) -> Result<Signed> {
        let algorithm = token.algorithm(allowed)?;
        let key = self.keys.key(issuer, &token.header.kid, algorithm.into()).await?;
        let good = jsonwebtoken::crypto::verify(token.signature, token.message.as_bytes(), &key, algorithm.into());
        if !good.unwrap_or(false) {
            return Err(Code::InvalidToken.into());
        }
        Ok(Signed { issuer: issuer.to_owned(), kid: token.header.kid.clone(), algorithm, key })
    }
}

/// Why a provider that others have registered does not speak here, by the
/// claims that it is configured to be read for.
fn disown(registered: &[String], token: &Presented<'_>) -> Error {
    let named: Vec<_> = registered.iter().map(|claim| rules::tenant(claim, &token.claims)).collect();
    if named.iter().any(Result::is_ok) {
        return Code::IssuerNotTrusted.into();
    }
    let conflicting = named.contains(&Err(Code::ConflictingTenants));
    if conflicting { Code::ConflictingTenants.into() } else { Code::NoTenant.into() }
}

/// A refusal that no tenant's trail takes, or strangers would write into it.
fn of_nobody(error: Error) -> Refused {
    refused(error, nobody())
}

fn refused(error: Error, identity: Identity) -> Refused {
    Refused { error, identity: Some(identity) }
}

fn nobody() -> Identity {
    of(Uuid::nil())
}

fn of(tenant: Uuid) -> Identity {
    Identity { tenant: TenantId::verified(tenant), user: None, session: None }
}
