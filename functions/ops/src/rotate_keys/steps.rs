//! The steps of a rotation.

use serde_json::{Value, json};
use shared::auth::{Algorithm, GeneratedKey};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    Mode,
    found::{Keys, Signing, public_parts},
    next_step::{PUBLISHED_FOR, SWITCHED_FOR, Step},
    set::Rotation,
};

impl Keys {
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

fn next(step: &str, not_before: OffsetDateTime) -> Result<Value, String> {
    let not_before = not_before.format(&Rfc3339).map_err(|error| error.to_string())?;
    Ok(json!({ "step": step, "not_before": not_before }))
}
