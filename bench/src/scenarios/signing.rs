//! What a signature costs: `POST /auth/refresh` with each kind of key by turns,
//! and each kind's signature by itself.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::auth::{Algorithm, GeneratedKey, LocalKey, PublishedKey, SigningKey};

use crate::args::Args;
use crate::event::{Body, Event};
use crate::function::Function;
use crate::report::{Part, Report};
use crate::secrets::Endpoint;
use crate::session::signup;
use crate::setting::{Distance, Setting};
use crate::stats::Times;
use crate::{Result, process, progress};

/// Refreshes of each kind before those that count.
const WARM_UP: usize = 10;
/// A token's message, about: its length hardly matters.
const MESSAGE: [u8; 480] = [b'x'; 480];
/// Signatures of a batch, and batches: one signature is too short to be timed.
const BATCH: u32 = 100;
const BATCHES: usize = 30;

/// A kind of key, with a process of `auth` that signs with it.
struct Signer {
    label: &'static str,
    auth: Function,
    refresh_token: String,
    alone: Option<Duration>,
    times: Vec<Duration>,
}

/// Measures them.
///
/// # Errors
/// A key cannot be made, or `auth` fails or refuses.
pub(super) fn run(args: &Args, setting: &Setting, report: &mut Report) -> Result<()> {
    let (Some(emulator), Some(_), true) = (&setting.secrets, &setting.database, setting.has("auth")) else {
        report.note("signing is left out: it needs auth, its database, and the emulated Secrets Manager and KMS.");
        return Ok(());
    };
    let mut signers = Vec::new();
    for (label, algorithm) in [("ES256", Algorithm::Es256), ("EdDSA", Algorithm::EdDsa), ("HS256", Algorithm::Hs256)] {
        signers.push(Signer::local(label, algorithm, setting, emulator)?);
    }
    signers.push(Signer::in_kms(setting, emulator)?);
    let rounds = WARM_UP + args.invocations;
    for round in 0..rounds {
        if round % 50 == 0 {
            progress(&format!("signing: {round} of {rounds} rounds"));
        }
        for signer in &mut signers {
            let answer = signer.refresh()?;
            if round >= WARM_UP {
                signer.times.push(answer);
            }
        }
    }
    for signer in signers {
        report.cryptography(Part::Signing, signer.label, &signer.times.into_iter().collect::<Times>(), signer.alone);
    }
    Ok(())
}

impl Signer {
    fn local(label: &'static str, algorithm: Algorithm, setting: &Setting, emulator: &Endpoint) -> Result<Self> {
        let set = json!({ "keys": [GeneratedKey::new(algorithm).map_err(|error| error.to_string())?.jwk] }).to_string();
        // One secret is both sets: what the public one has beyond public members is not looked at.
        let id = emulator.create_secret(&name(label), &set)?;
        let key = LocalKey::first_of(&set.into()).map_err(|fault| format!("the new key {fault}"))?;
        let variables = [("TOKEN_PUBLIC_KEYS_SECRET_ID", id.clone()), ("TOKEN_PRIVATE_KEYS_SECRET_ID", id)];
        Self::start(label, &setting.with(variables), Some(alone(&key)?))
    }

    fn in_kms(setting: &Setting, emulator: &Endpoint) -> Result<Self> {
        let (key, info) = emulator.create_signing_key()?;
        let public = PublishedKey::of_kms(&info).ok_or("KMS gave no P-256 key")?;
        let id = emulator.create_secret(&name("kms"), &json!({ "keys": [public] }).to_string())?;
        let variables = [
            ("TOKEN_PUBLIC_KEYS_SECRET_ID", id),
            ("TOKEN_PRIVATE_KEYS_SECRET_ID", String::new()),
            ("TOKEN_SIGNING_KMS_KEY_ID", key),
        ];
        Self::start("ES256 in KMS", &setting.with(variables), None)
    }

    fn start(label: &'static str, setting: &Setting, alone: Option<Duration>) -> Result<Self> {
        let mut auth = Function::start(setting, "auth", Distance::Near)?;
        let slug = format!("signing-{}-{}", label.replace(' ', "-").to_lowercase(), process::unix_ms());
        let answer: Value = serde_json::from_str(&auth.expect(201, &signup(&slug))?.body)?;
        let mut signer = Self { label, auth, refresh_token: String::new(), alone, times: Vec::new() };
        signer.keep(&answer)?;
        Ok(signer)
    }

    fn refresh(&mut self) -> Result<Duration> {
        let mut event = Event::new("POST", "/api/v1/auth/refresh");
        event.body = Some(Body::Json(json!({ "refresh_token": self.refresh_token })));
        let invocation = self.auth.expect(200, &event.to_bytes())?;
        self.keep(&serde_json::from_str(&invocation.body)?)?;
        Ok(invocation.answer)
    }

    fn keep(&mut self, answer: &Value) -> Result<()> {
        answer["refresh_token"].as_str().ok_or("no refresh_token")?.clone_into(&mut self.refresh_token);
        Ok(())
    }
}

fn name(label: &str) -> String {
    format!("bench/{label}/{}", process::unix_ms())
}

/// How long one signature takes, in the median batch.
fn alone(key: &LocalKey) -> Result<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let mut times = Vec::with_capacity(BATCHES);
        for _ in 0..BATCHES {
            let begin = Instant::now();
            for _ in 0..BATCH {
                key.sign(&MESSAGE).await.map_err(|error| error.to_string())?;
            }
            times.push(begin.elapsed() / BATCH);
        }
        Ok(times.into_iter().collect::<Times>().median())
    })
}
