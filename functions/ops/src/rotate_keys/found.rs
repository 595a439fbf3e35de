//! The keys as they are found, before a step changes them.

use secrecy::SecretString;
use serde_json::{Value, json};
use shared::{
    auth::{KmsKeys, PublishedKey, SigningConfig, published_keys},
    secrets::{SecretsManager, Version},
    start::Start,
};
use time::OffsetDateTime;

use super::{
    TokenKeysConfig,
    next_step::{Kids, Place, Step, next_step},
    set::Set,
};

/// A set, the secret that it stands in, and the version that was read.
pub(super) struct Stored {
    pub(super) id: String,
    pub(super) version: Version,
    pub(super) set: Set,
}

impl Stored {
    pub(super) async fn read(secrets: &SecretsManager, id: String) -> Result<Self, String> {
        let version = secrets.current(&id).await?;
        let set = Set::read(&id, &version.text)?;
        Ok(Self { id, version, set })
    }

    pub(super) async fn write(&mut self, secrets: &SecretsManager) -> Result<(), String> {
        self.version = secrets.replace(&self.id, &self.version, &self.set.to_text()?).await?;
        Ok(())
    }
}

/// What signs.
pub(super) enum Signing {
    /// The first key of the private set.
    Secret(Stored),
    /// The first key of the one set.
    OneSecret,
    /// The key that `id` names in KMS.
    Kms { kms: KmsKeys, id: String, key: PublishedKey, next_id: Option<String> },
}

/// All of them, at the time of the invocation.
pub(super) struct Keys {
    pub(super) secrets: SecretsManager,
    pub(super) now: OffsetDateTime,
    pub(super) signing: Signing,
    pub(super) public: Stored,
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

    pub(super) fn next_step(&self) -> Result<Step, String> {
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
    pub(super) fn signing_set(&mut self) -> &mut Set {
        match &mut self.signing {
            Signing::Secret(private) => &mut private.set,
            Signing::OneSecret | Signing::Kms { .. } => &mut self.public.set,
        }
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

/// The public part of each key of a private set.
pub(super) fn public_parts(set: &SecretString) -> Result<Vec<Value>, String> {
    let keys = published_keys(set).map_err(|fault| format!("the private set {fault}"))?;
    Ok(keys.into_iter().map(|key| json!(key)).collect())
}
