//! K1: tokens under random key ids, by the thousand and to several execution
//! environments at once, bring a provider at most one fetch in 30 seconds, and
//! valid tokens hardly notice.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use shared::{
    clock::{Clock, SystemClock},
    testing::{EmulatedSecrets, Event, Process, ProviderKey, TestDatabase, TestKeys, TestProvider, provider},
};
use uuid::Uuid;

use crate::{Result, progress};

/// Execution environments, each with one request at a time.
const PROCESSES: usize = 5;
/// In the flood, every so many tokens are valid.
const VALID_EVERY: usize = 10;
/// A valid token is sent so often before a new one takes its place.
const SENT_AGAIN: usize = 20;
/// How often a provider may be asked while keys are missed.
const COOLDOWN: Duration = Duration::from_secs(30);
/// How many times as long as without the flood a valid token may take, at the
/// 99th percentile.
const SLOWER_AT_MOST: f64 = 2.0;

/// A provider that speaks for every tenant, and one of them.
struct Everyones {
    provider: TestProvider,
    key: ProviderKey,
    tenant: Uuid,
}

/// Sends so many tokens under random key ids.
///
/// # Errors
/// One of them was accepted or broke something, a valid token was refused or
/// slow, or the provider was asked too often.
pub(crate) async fn run(kids: usize) -> Result<()> {
    let database = TestDatabase::create().await;
    let key = ProviderKey::rsa("the-key");
    let tenant = tenant(&database).await?;
    let everyones = Everyones { provider: TestProvider::start(&[key.public_jwk()]), key, tenant };
    let mut processes = start(&database, &everyones).await?;

    let random = kids.div_ceil(PROCESSES);
    let each = random * VALID_EVERY / (VALID_EVERY - 1);
    progress(&format!("kids: {each} valid tokens to each of {PROCESSES} processes"));
    let calm = everyones.send(&mut processes, each, |_| true)?;
    progress(&format!("kids: {random} tokens under random key ids to each, and valid ones between them"));
    let before = everyones.provider.count(provider::KEYS);
    let begun = Instant::now();
    let flooded = everyones.send(&mut processes, each, |number| number % VALID_EVERY == 0)?;
    let elapsed = begun.elapsed();
    let fetches = everyones.provider.count(provider::KEYS) - before;

    let [calm, flooded] = [calm, flooded].map(p99);
    let ratio = flooded.as_secs_f64() / calm.as_secs_f64();
    progress(&format!(
        "kids: {fetches} fetches in {:.1} s; p99 of valid tokens {flooded:.1?}, without the flood {calm:.1?}: {ratio:.2} times",
        elapsed.as_secs_f64(),
    ));
    if u64::try_from(fetches)? > elapsed.as_secs() / COOLDOWN.as_secs() + 1 {
        return Err(format!("the provider was asked {fetches} times in {elapsed:.1?}").into());
    }
    if ratio > SLOWER_AT_MOST {
        return Err(format!("valid tokens' p99 was {ratio:.2} times as long, not {SLOWER_AT_MOST} at most").into());
    }
    Ok(())
}

async fn tenant(database: &TestDatabase) -> Result<Uuid> {
    let id = SystemClock.new_id();
    let insert = "INSERT INTO tenants (id, slug, name) VALUES ($1, 'acme', 'Acme Clinic')";
    sqlx::query(insert).bind(id).execute(&mut database.superuser().await).await?;
    Ok(id)
}

async fn start(database: &TestDatabase, everyones: &Everyones) -> Result<Vec<Process>> {
    let secrets = EmulatedSecrets::usual(&TestKeys::generate("soak"), database).await;
    let mut environment = secrets.environment(database.address());
    let providers = json!([{
        "name": "everyones",
        "issuer": everyones.provider.issuer(),
        "audiences": ["api"],
        "client_id": "client",
        "tenant_claim": "tenant_id",
        "default_role": "viewer",
        "jit_provisioning": true,
    }]);
    for (name, value) in [("IDENTITY_PROVIDERS", providers.to_string()), ("FEDERATION_ALLOW_LOOPBACK", "on".to_owned())]
    {
        environment.push((name.to_owned(), value));
    }
    let binary = crate::binary("todos")?;
    Ok((0..PROCESSES).map(|_| Process::start(&binary, &[], &environment)).collect())
}

impl Everyones {
    /// Sends each process so many tokens, all processes at once, and says how
    /// long the valid ones took.
    fn send(&self, processes: &mut [Process], each: usize, is_valid: fn(usize) -> bool) -> Result<Vec<Duration>> {
        let one = |process: &mut Process| -> Result<Vec<Duration>> {
            let mut token = self.token("the-key");
            let mut times = Vec::new();
            for number in 0..each {
                if !is_valid(number) {
                    let answer = list(process, &self.token(&SystemClock.new_id().to_string()))?;
                    refused(&answer)?;
                    continue;
                }
                if times.len() % SENT_AGAIN == SENT_AGAIN - 1 {
                    token = self.token("the-key");
                }
                let begun = Instant::now();
                let answer = list(process, &token)?;
                times.push(begun.elapsed());
                if answer["statusCode"] != 200 {
                    return Err(format!("a valid token was refused: {answer}").into());
                }
            }
            Ok(times)
        };
        let times = thread::scope(|scope| {
            let senders: Vec<_> = processes.iter_mut().map(|process| scope.spawn(move || one(process))).collect();
            senders
                .into_iter()
                .map(|sender| sender.join().map_err(|_| "a sender panicked")?)
                .collect::<Result<Vec<_>>>()
        })?;
        Ok(times.concat())
    }

    /// A token of today under this key id, by the provider's key.
    fn token(&self, kid: &str) -> String {
        let now = SystemClock.now().unix_timestamp();
        let claims = json!({
            "iss": self.provider.issuer(), "sub": "ada", "aud": "api", "iat": now, "exp": now + 900,
            "jti": SystemClock.new_id(), "tenant_id": self.tenant,
        });
        let header = json!({ "alg": "RS256", "typ": "at+jwt", "kid": kid });
        self.key.sign_raw("RS256", &header.to_string(), &claims.to_string())
    }
}

fn list(process: &Process, token: &str) -> Result<Value> {
    match process.invoke(&Event::get("/api/v1/todos").bearer(token).into_json()) {
        (kind, answer) if kind == "response" => Ok(answer),
        (_, payload) => Err(format!("a function failed: {payload}").into()),
    }
}

fn refused(answer: &Value) -> Result<()> {
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap_or_default())?;
    if answer["statusCode"] != 401 || body["error"]["code"] != "AUTH_001" {
        return Err(format!("a token under a random key id got {answer}").into());
    }
    Ok(())
}

fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() * 99 / 100).copied().unwrap_or_default()
}
