//! What an identity provider's token costs: `GET /todos` with each kind by
//! turns, and each kind's signature check by itself; and that a cold start
//! that finds the keys in Postgres does not call the provider.

use std::time::{Duration, Instant};

use jsonwebtoken::{DecodingKey, crypto};
use serde_json::{Value, json};
use shared::{
    clock::{Clock, SystemClock},
    testing::{ProviderKey, TestProvider},
};

use crate::args::Args;
use crate::event::Event;
use crate::function::Function;
use crate::report::{Part, Report};
use crate::session::signup;
use crate::setting::{Distance, Setting};
use crate::stats::Times;
use crate::{Result, process, progress};

/// Requests of each kind before those that count.
const WARM_UP: usize = 10;
/// Checks of a batch, and batches: one is too short to be timed.
const BATCH: u32 = 100;
const BATCHES: usize = 30;
/// Cold starts with the keys in Postgres.
const COLD_STARTS: usize = 10;

/// A provider that speaks for every tenant, and one of them.
struct Everyones {
    provider: TestProvider,
    rsa: ProviderKey,
    p256: ProviderKey,
    tenant: String,
}

/// A kind of token, with a process of `todos` that takes it.
struct Sender {
    label: &'static str,
    todos: Function,
    token: String,
    /// By what another token is signed for each request.
    anew: Option<&'static str>,
    alone: Option<Duration>,
    times: Vec<Duration>,
}

/// Measures them.
///
/// # Errors
/// `auth` or `todos` fails or refuses.
pub(super) fn run(args: &Args, setting: &Setting, report: &mut Report) -> Result<()> {
    let (Some(_), true) = (&setting.database, setting.has("auth") && setting.has("todos")) else {
        report.note("provider is left out: it needs auth and todos, and their database.");
        return Ok(());
    };
    let mut auth = Function::start(setting, "auth", Distance::Near)?;
    let slug = format!("provider-{}", process::unix_ms());
    let ours: Value = serde_json::from_str(&auth.expect(201, &signup(&slug))?.body)?;
    let tenant = ours["tenant"]["id"].as_str().ok_or("signup gave no tenant")?.to_owned();
    let (rsa, p256) = (ProviderKey::rsa("rsa"), ProviderKey::p256("p256"));
    let provider = TestProvider::start(&[rsa.public_jwk(), p256.public_jwk()]);
    let everyones = Everyones { provider, rsa, p256, tenant };
    let setting = &setting.with(everyones.variables());

    let access = ours["access_token"].as_str().ok_or("signup gave no access_token")?;
    let mut senders = vec![Sender::start("ours, ES256", setting, access.to_owned(), None, None)?];
    for (again, anew, alg) in [
        ("RS256, sent again", "RS256, a new one each", "RS256"),
        ("ES256, sent again", "ES256, a new one each", "ES256"),
    ] {
        let alone = Some(everyones.check_alone(alg)?);
        senders.push(Sender::start(again, setting, everyones.token(alg), None, alone)?);
        senders.push(Sender::start(anew, setting, everyones.token(alg), Some(alg), alone)?);
    }
    let rounds = WARM_UP + args.invocations;
    for round in 0..rounds {
        if round % 50 == 0 {
            progress(&format!("provider: {round} of {rounds} rounds"));
        }
        for sender in &mut senders {
            if let Some(alg) = sender.anew {
                sender.token = everyones.token(alg);
            }
            let answer = sender.todos.expect(200, &list(&sender.token))?.answer;
            if round >= WARM_UP {
                sender.times.push(answer);
            }
        }
    }
    for sender in senders {
        report.cryptography(Part::Checking, sender.label, &sender.times.into_iter().collect::<Times>(), sender.alone);
    }
    cold_starts(setting, &everyones, report)
}

/// The first request of fresh processes, which find the keys in Postgres.
fn cold_starts(setting: &Setting, everyones: &Everyones, report: &mut Report) -> Result<()> {
    progress(&format!("provider: {COLD_STARTS} cold starts"));
    let before = everyones.provider.received().len();
    let mut times = Vec::with_capacity(COLD_STARTS);
    for _ in 0..COLD_STARTS {
        let mut todos = Function::start(setting, "todos", Distance::Near)?;
        times.push(todos.expect(200, &list(&everyones.token("RS256")))?.answer);
    }
    let calls = u32::try_from(everyones.provider.received().len() - before)?;
    report.cryptography(Part::Checking, "RS256, the first of a process", &times.into_iter().collect(), None);
    report.goal(&format!("provider calls of {COLD_STARTS} cold starts"), f64::from(calls), 0.0, "calls");
    Ok(())
}

impl Everyones {
    fn variables(&self) -> [(&'static str, String); 2] {
        let configured = json!([{
            "name": "everyones",
            "issuer": self.provider.issuer(),
            "audiences": ["api"],
            "client_id": "client",
            "tenant_claim": "tenant_id",
            "default_role": "viewer",
            "jit_provisioning": true,
        }]);
        [("IDENTITY_PROVIDERS", configured.to_string()), ("FEDERATION_ALLOW_LOOPBACK", "on".to_owned())]
    }

    fn key(&self, alg: &str) -> &ProviderKey {
        if alg == "ES256" { &self.p256 } else { &self.rsa }
    }

    /// A token that no process has seen.
    fn token(&self, alg: &str) -> String {
        let now = SystemClock.now().unix_timestamp();
        let claims = json!({
            "iss": self.provider.issuer(), "sub": "ada", "aud": "api", "iat": now, "exp": now + 3600,
            "jti": SystemClock.new_id(), "tenant_id": self.tenant,
        });
        self.key(alg).sign(alg, &claims)
    }

    /// How long the check of one signature takes, in the median batch, by the
    /// library that the functions use.
    fn check_alone(&self, alg: &str) -> Result<Duration> {
        let token = self.token(alg);
        let (message, signature) = token.rsplit_once('.').ok_or("a token has three parts")?;
        let key = DecodingKey::from_jwk(&serde_json::from_value(self.key(alg).public_jwk())?)?;
        let algorithm = alg.parse()?;
        let mut times = Vec::with_capacity(BATCHES);
        for _ in 0..BATCHES {
            let begin = Instant::now();
            for _ in 0..BATCH {
                if !crypto::verify(signature, message.as_bytes(), &key, algorithm)? {
                    return Err("the signature is not good".into());
                }
            }
            times.push(begin.elapsed() / BATCH);
        }
        Ok(times.into_iter().collect::<Times>().median())
    }
}

impl Sender {
    fn start(
        label: &'static str,
        setting: &Setting,
        token: String,
        anew: Option<&'static str>,
        alone: Option<Duration>,
    ) -> Result<Self> {
        let todos = Function::start(setting, "todos", Distance::Near)?;
        Ok(Self { label, todos, token, anew, alone, times: Vec::new() })
    }
}

fn list(token: &str) -> Vec<u8> {
    Event { token: Some(token), ..Event::new("GET", "/api/v1/todos") }.to_bytes()
}
