//! The keys as they are found, and the steps that change them.

use secrecy::SecretString;
use serde_json::{Value, json};
use shared::{
    auth::{Algorithm, GeneratedKey, KmsKeys, PublishedKey, SigningConfig, published_keys},
    secrets::{SecretsManager, Version},
    start::Start,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    Mode, TokenKeysConfig,
    set::{Rotation, Set},
    step::{Kids, PUBLISHED_FOR, Place, SWITCHED_FOR, Step, next_step},
};

/// A set, the secret that it stands in, and the version that was read.
struct Stored {
    id: String,
    version: Version,
    set: Set,
}

impl Stored {
    async fn read(secrets: &SecretsManager, id: String) -> Result<Self, String> {
        let version = secrets.current(&id).await?;
        let set = Set::read(&id, &version.text)?;
        Ok(Self { id, version, set })
    }

    async fn write(&mut self, secrets: &SecretsManager) -> Result<(), String> {
        self.version = secrets.replace(&self.id, &self.version, &self.set.to_text()?).await?;
        Ok(())
    }
}

/// What signs.
enum Signing {
    /// The first key of the private set.
    Secret(Stored),
    /// The first key of the one set.
    OneSecret,
    /// The key that `id` names in KMS.
    Kms { kms: KmsKeys, id: String, key: PublishedKey, next_id: Option<String> },
}

pub(super) struct Keys {
    secrets: SecretsManager,
    now: OffsetDateTime,
    signing: Signing,
    public: Stored,
}

impl Keys {
    pub(super) async fn read(
        start: &Start,
        config: TokenKeysConfig,
        next_kms_key_id: Option<String>,
    ) -> Result<Self, String> {
        let TokenKeysConfig { signing, public_secret_id } = config;
        let secrets = SecretsManager::new(&start.base);
        let now = start.clock.now().replace_nanosecond(0).map_err(|error| error.to_string())?;
        if next_kms_key_id.is_some() && !matches!(signing, SigningConfig::Kms(_)) {
            return Err("next_kms_key_id is for keys in KMS, and this deployment has them in a secret".to_owned());
        }
        let public = Stored::read(&secrets, public_secret_id).await?;
        let signing = match signing {
            SigningConfig::Secret(id) => {
                let private = Stored::read(&secrets, id).await?;
                if private.version.arn == public.version.arn {
                    Signing::OneSecret
                } else {
                    check_halves(&private, &public)?;
                    Signing::Secret(private)
                }
            }
            SigningConfig::Kms(id) => {
                let kms = KmsKeys::connect(start).await;
                let key = kms.public_key(&id).await?;
                Signing::Kms { kms, id, key, next_id: next_kms_key_id }
            }
        };
        Ok(Self { secrets, now, signing, public })
    }

    pub(super) async fn advance(&mut self, mode: Mode) -> Result<Value, String> {
        match self.next_step()? {
            Step::Begin if mode == Mode::OnlyContinue => Ok(json!({ "step": "none", "next": null })),
            Step::Begin => {
                let kid = self.add_next().await?;
                self.publish(kid).await
            }
            Step::Publish => {
                let kid = self.signing_set().kids()[1].to_owned();
                self.publish(kid).await
            }
            Step::Wait { then, until } => Ok(json!({ "step": "waiting", "next": next(then, until)? })),
            Step::Switch => self.switch().await,
            Step::NoteSwitch => self.note_switch().await,
            Step::Retire => {
                let next = self.rotation()?.next.clone();
                let kid = self.public.set.kids().into_iter().find(|kid| **kid != *next).unwrap_or_default().to_owned();
                self.public.set.keep(&next);
                self.public.set.rotation = None;
                self.public.write(&self.secrets).await?;
                tracing::info!(kid, next, "the old signing key is retired");
                Ok(json!({ "step": "retired", "kid": kid, "next": null }))
            }
        }
    }

    fn next_step(&self) -> Result<Step, String> {
        let public = self.public.set.kids();
        let (private, place) = match &self.signing {
            Signing::Secret(private) => (private.set.kids(), Place::Secret),
            Signing::OneSecret => (public.clone(), Place::OneSecret),
            Signing::Kms { key, .. } => (vec![key.kid()], Place::Kms),
        };
        let rotation = self.public.set.rotation.as_ref();
        next_step(Kids { private: &private, public: &public, place }, rotation, self.now).ok_or_else(|| {
            format!(
                "the key sets fit no step of a rotation, and nothing was written: what signs is {private:?}, the \
                 public set has {public:?}, and {}. Put them right by hand, or send \"force\":true, which replaces all keys",
                rotation.map_or("no rotation was begun".to_owned(), |rotation| format!("{rotation:?} was begun")),
            )
        })
    }

    /// The set whose first key signs.
    fn signing_set(&mut self) -> &mut Set {
        match &mut self.signing {
            Signing::Secret(private) => &mut private.set,
            Signing::OneSecret | Signing::Kms { .. } => &mut self.public.set,
        }
    }

    /// A key of the same kind as the one that signs.
    fn generate(&mut self) -> Result<GeneratedKey, String> {
        let kind = self.signing_set().keys[0]["kty"].as_str().unwrap_or_default().to_owned();
        let algorithm = Algorithm::of_kind(&kind).ok_or("the signing key is of an unknown kind")?;
        GeneratedKey::new(algorithm).map_err(|error| format!("no key can be made: {error:?}"))
    }

    /// Makes the next key, or takes the one in KMS, and keeps it behind the
    /// one that signs. The public set is not written yet.
    async fn add_next(&mut self) -> Result<String, String> {
        if let Some(key) = self.next_in_kms().await? {
            let kid = key["kid"].as_str().unwrap_or_default().to_owned();
            self.public.set.keys.push(key);
            return Ok(kid);
        }
        let GeneratedKey { kid, jwk } = self.generate()?;
        self.signing_set().keys.push(jwk);
        self.write_signing().await?;
        Ok(kid)
    }

    /// The public key of `next_kms_key_id`; none where keys are in a secret.
    async fn next_in_kms(&self) -> Result<Option<Value>, String> {
        let Signing::Kms { kms, key, next_id, .. } = &self.signing else { return Ok(None) };
        let next_id = next_id.as_deref().ok_or("send \"next_kms_key_id\": the key in KMS that is to sign next")?;
        let next = kms.public_key(next_id).await?;
        if next.kid() == key.kid() {
            return Err(format!("{next_id} is the key that signs already"));
        }
        Ok(Some(json!(next)))
    }

    async fn write_signing(&mut self) -> Result<(), String> {
        match &mut self.signing {
            Signing::Secret(private) => private.write(&self.secrets).await,
            Signing::OneSecret | Signing::Kms { .. } => Ok(()),
        }
    }

    async fn publish(&mut self, kid: String) -> Result<Value, String> {
        let mut kms_key_id = None;
        match &self.signing {
            Signing::Secret(private) => self.public.set.keys = public_parts(&private.set.to_text()?)?,
            Signing::Kms { next_id, .. } => kms_key_id.clone_from(next_id),
            Signing::OneSecret => {}
        }
        let published_at = self.now;
        self.public.set.rotation = Some(Rotation { next: kid.clone(), kms_key_id, published_at, switched_at: None });
        self.public.write(&self.secrets).await?;
        tracing::info!(kid, "the next signing key is published");
        Ok(json!({ "step": "published", "kid": kid, "next": next("switch", published_at + PUBLISHED_FOR)? }))
    }

    /// Has the next key sign. A key in KMS that is not named by an alias is
    /// switched to by whoever deploys.
    async fn switch(&mut self) -> Result<Value, String> {
        let Rotation { next, kms_key_id, .. } = self.rotation()?.clone();
        match &mut self.signing {
            Signing::Secret(private) => private.set.keep(&next),
            Signing::OneSecret => self.public.set.keys.reverse(),
            Signing::Kms { kms, id, .. } => {
                let target = kms_key_id.ok_or("the rotation does not say which key in KMS comes next")?;
                if !id.contains("alias/") {
                    let detail = format!("Deploy with {target} for the signing key; then the rotation goes on.");
                    return Ok(json!({ "step": "waiting", "detail": detail, "next": { "step": "switch" } }));
                }
                kms.point_alias(id, &target).await?;
            }
        }
        self.write_signing().await?;
        self.note_switch().await
    }

    async fn note_switch(&mut self) -> Result<Value, String> {
        let now = self.now;
        let rotation = self.public.set.rotation.as_mut().ok_or("no rotation was begun")?;
        rotation.switched_at = Some(now);
        let kid = rotation.next.clone();
        self.public.write(&self.secrets).await?;
        tracing::info!(kid, "the next key signs");
        Ok(json!({ "step": "switched", "kid": kid, "next": next("retire", now + SWITCHED_FOR)? }))
    }

    fn rotation(&self) -> Result<&Rotation, String> {
        self.public.set.rotation.as_ref().ok_or_else(|| "no rotation was begun".to_owned())
    }

    /// One new key in both sets, and no other. Killed between the two, the next
    /// one with force publishes what signs already; so it does with a key in
    /// KMS that was deployed without a rotation.
    pub(super) async fn replace_all(&mut self) -> Result<Value, String> {
        let gone: Vec<_> = self.public.set.kids().into_iter().map(ToOwned::to_owned).collect();
        let kid = match self.signs_unpublished(&gone) {
            Some(kid) => kid,
            None => self.replace_signing().await?,
        };
        match &self.signing {
            Signing::Secret(private) => self.public.set.keys = public_parts(&private.set.to_text()?)?,
            Signing::Kms { key, .. } if key.kid() == kid => self.public.set.keys = vec![json!(key)],
            Signing::Kms { .. } | Signing::OneSecret => {}
        }
        self.public.set.rotation = None;
        self.public.write(&self.secrets).await?;
        tracing::warn!(kid, ?gone, "all signing keys were replaced at once");
        let detail = "Access tokens of the old keys end within 10 minutes, on most functions at once; clients refresh.";
        Ok(json!({ "step": "replaced", "kid": kid, "detail": detail, "next": null }))
    }

    /// The one key that can sign, where it is not published.
    fn signs_unpublished(&self, published: &[String]) -> Option<String> {
        let signs = match &self.signing {
            Signing::Secret(private) => private.set.kids(),
            Signing::Kms { key, .. } => vec![key.kid()],
            Signing::OneSecret => return None,
        };
        match signs.as_slice() {
            [kid] if !published.iter().any(|known| known == kid) => Some((*kid).to_owned()),
            _ => None,
        }
    }

    async fn replace_signing(&mut self) -> Result<String, String> {
        if let Some(key) = self.next_in_kms().await? {
            let kid = key["kid"].as_str().unwrap_or_default().to_owned();
            self.public.set.keys = vec![key];
            if let Signing::Kms { kms, id, next_id: Some(target), .. } = &self.signing {
                if !id.contains("alias/") {
                    return Err(format!(
                        "the signing key is no alias: deploy with {target} for it, then send this again"
                    ));
                }
                kms.point_alias(id, target).await?;
            }
            return Ok(kid);
        }
        let GeneratedKey { kid, jwk } = self.generate()?;
        self.signing_set().keys = vec![jwk];
        self.write_signing().await?;
        Ok(kid)
    }
}

/// Whether each key of the private set is the one that the public set has under
/// its id, if it has one.
fn check_halves(private: &Stored, public: &Stored) -> Result<(), String> {
    let halves = published_keys(&private.version.text).map_err(|fault| format!("the secret {} {fault}", private.id))?;
    if halves.len() < private.set.keys.len() {
        return Err(format!("the secret {} has a symmetric key: both sets must be one secret then", private.id));
    }
    let published =
        published_keys(&public.version.text).map_err(|fault| format!("the secret {} {fault}", public.id))?;
    match halves.iter().find(|half| published.iter().any(|key| key.kid() == half.kid() && key != *half)) {
        None => Ok(()),
        Some(half) => Err(format!("the key {} in {} is not the one in {}", half.kid(), private.id, public.id)),
    }
}

fn next(step: &str, not_before: OffsetDateTime) -> Result<Value, String> {
    let not_before = not_before.format(&Rfc3339).map_err(|error| error.to_string())?;
    Ok(json!({ "step": step, "not_before": not_before }))
}

/// The public part of each key of a private set.
pub(super) fn public_parts(set: &SecretString) -> Result<Vec<Value>, String> {
    let keys = published_keys(set).map_err(|fault| format!("the private set {fault}"))?;
    Ok(keys.into_iter().map(|key| json!(key)).collect())
}
