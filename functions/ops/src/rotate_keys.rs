//! `{"action":"rotate_keys"}` ->
//! `{"step":"published","kid":"...","next":{"step":"switch","not_before":"..."}}`

mod set;
mod step;

use secrecy::SecretString;
use serde_json::{Value, json};
use shared::{
    auth::{Algorithm, GeneratedKey, published_keys},
    config::{DatabaseConfig, Environment},
    db,
    secrets::{SecretsManager, Version},
    start::Start,
};
use sqlx::Connection;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::OpsConfig;
use set::{Rotation, Set};
use step::{Kids, PUBLISHED_FOR, SWITCHED_FOR, Step, next_step};

/// The advisory lock that one rotation holds: "rotate" in ASCII.
const LOCK: i64 = 0x726f_7461_7465;

/// Where the keys of access tokens stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenKeysConfig {
    private_secret_id: Option<String>,
    public_secret_id: Option<String>,
}

impl TokenKeysConfig {
    /// Both may be absent: then the keys are not rotated here.
    pub(crate) fn read(env: &mut Environment<'_>) -> Self {
        Self {
            private_secret_id: env.optional("TOKEN_PRIVATE_KEYS_SECRET_ID"),
            public_secret_id: env.optional("TOKEN_PUBLIC_KEYS_SECRET_ID"),
        }
    }
}

/// How far an invocation may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Begins a rotation, or does the next step of one.
    Usual,
    /// Does the next step of one that was begun.
    OnlyContinue,
    /// Replaces all keys at once, because one has leaked.
    Force,
}

/// Does what is due, and says what comes next and when.
pub(crate) async fn rotate_keys(start: &Start, config: OpsConfig, mode: Mode) -> Result<Value, String> {
    let TokenKeysConfig { private_secret_id, public_secret_id } = config.token_keys;
    let missing = |name: &str| format!("{name} is not set: this function does not know where the keys stand");
    let private = private_secret_id.ok_or_else(|| missing("TOKEN_PRIVATE_KEYS_SECRET_ID"))?;
    let public = public_secret_id.ok_or_else(|| missing("TOKEN_PUBLIC_KEYS_SECRET_ID"))?;
    let as_owner = DatabaseConfig { secret_id: config.owner_secret_id, ..config.database };
    let mut connection =
        db::connect_as_owner(as_owner, start).await.map_err(|error| format!("the owner cannot connect: {error:?}"))?;
    let alone = sqlx::query_scalar!(r#"SELECT pg_try_advisory_lock($1) AS "locked!""#, LOCK);
    if !alone.fetch_one(&mut connection).await.map_err(|error| format!("the lock cannot be had: {error}"))? {
        return Err("a step of a rotation is being done in this moment".to_owned());
    }
    let mut keys = Keys::read(start, private, public).await?;
    let answer = if mode == Mode::Force { keys.replace_all().await } else { keys.advance(mode).await };
    // Its end frees the lock.
    let _ = connection.close().await;
    answer
}

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

struct Keys {
    secrets: SecretsManager,
    now: OffsetDateTime,
    /// None of symmetric keys, which are all in the other one.
    private: Option<Stored>,
    public: Stored,
}

impl Keys {
    async fn read(start: &Start, private: String, public: String) -> Result<Self, String> {
        let secrets = SecretsManager::new(&start.base);
        let now = start.clock.now().replace_nanosecond(0).map_err(|error| error.to_string())?;
        let private = if private == public { None } else { Some(Stored::read(&secrets, private).await?) };
        let public = Stored::read(&secrets, public).await?;
        Ok(Self { secrets, now, private, public })
    }

    /// The set whose first key signs.
    fn signing(&mut self) -> &mut Stored {
        self.private.as_mut().unwrap_or(&mut self.public)
    }

    async fn advance(&mut self, mode: Mode) -> Result<Value, String> {
        match self.next_step()? {
            Step::Begin if mode == Mode::OnlyContinue => Ok(json!({ "step": "none", "next": null })),
            Step::Begin => {
                let next = self.generate()?;
                self.signing().set.keys.push(next.jwk);
                if let Some(private) = &mut self.private {
                    private.write(&self.secrets).await?;
                }
                self.publish(next.kid).await
            }
            Step::Publish => {
                let next = self.signing().set.kids()[1].to_owned();
                self.publish(next).await
            }
            Step::Wait { then, until } => Ok(json!({ "step": "waiting", "next": next(then, until)? })),
            Step::Switch => {
                let next = self.rotation()?.next.clone();
                match &mut self.private {
                    Some(private) => {
                        private.set.keep(&next);
                        private.write(&self.secrets).await?;
                    }
                    None => self.public.set.keys.reverse(),
                }
                self.note_switch().await
            }
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
        let private = self.private.as_ref().map_or(public.clone(), |private| private.set.kids());
        let kids = Kids { private: &private, public: &public, symmetric: self.private.is_none() };
        let rotation = self.public.set.rotation.as_ref();
        next_step(kids, rotation, self.now).ok_or_else(|| {
            format!(
                "the key sets fit no step of a rotation, and nothing was written: the private set has {private:?}, the \
                 public one {public:?}, and {}. Put them right by hand, or send \"force\":true, which replaces all keys",
                rotation.map_or("no rotation was begun".to_owned(), |rotation| format!("{rotation:?} was begun")),
            )
        })
    }

    /// A key of the same kind as the one that signs.
    fn generate(&mut self) -> Result<GeneratedKey, String> {
        let kind = self.signing().set.keys[0]["kty"].as_str().unwrap_or_default().to_owned();
        let algorithm = Algorithm::of_kind(&kind).ok_or("the signing key is of an unknown kind")?;
        GeneratedKey::new(algorithm).map_err(|error| format!("no key can be made: {error:?}"))
    }

    async fn publish(&mut self, kid: String) -> Result<Value, String> {
        if let Some(private) = &self.private {
            self.public.set.keys = public_parts(&private.set.to_text()?)?;
        }
        let published_at = self.now;
        self.public.set.rotation = Some(Rotation { next: kid.clone(), published_at, switched_at: None });
        self.public.write(&self.secrets).await?;
        tracing::info!(kid, "the next signing key is published");
        Ok(json!({ "step": "published", "kid": kid, "next": next("switch", published_at + PUBLISHED_FOR)? }))
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
    /// one with force publishes what signs already.
    async fn replace_all(&mut self) -> Result<Value, String> {
        let public = self.public.set.kids().into_iter().map(ToOwned::to_owned).collect::<Vec<_>>();
        let half_done = self.private.as_ref().and_then(|private| match private.set.kids().as_slice() {
            [kid] if !public.iter().any(|known| known == kid) => Some((*kid).to_owned()),
            _ => None,
        });
        let kid = if let Some(kid) = half_done {
            kid
        } else {
            let new = self.generate()?;
            self.signing().set.keys = vec![new.jwk];
            if let Some(private) = &mut self.private {
                private.write(&self.secrets).await?;
            }
            new.kid
        };
        if let Some(private) = &self.private {
            self.public.set.keys = public_parts(&private.set.to_text()?)?;
        }
        self.public.set.rotation = None;
        self.public.write(&self.secrets).await?;
        tracing::warn!(kid, gone = ?public, "all signing keys were replaced at once");
        let detail = "Access tokens of the old keys end within 10 minutes, on most functions at once; clients refresh.";
        Ok(json!({ "step": "replaced", "kid": kid, "detail": detail, "next": null }))
    }
}

fn next(step: &str, not_before: OffsetDateTime) -> Result<Value, String> {
    let not_before = not_before.format(&Rfc3339).map_err(|error| error.to_string())?;
    Ok(json!({ "step": step, "not_before": not_before }))
}

fn public_parts(set: &SecretString) -> Result<Vec<Value>, String> {
    let keys = published_keys(set).map_err(|fault| format!("the private set {fault}"))?;
    Ok(keys.into_iter().map(|key| json!(key)).collect())
}

#[cfg(test)]
mod tests;
