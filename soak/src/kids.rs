//! K1: tokens under random key ids, by the thousand and to several execution
//! environments at once, bring a provider at most one fetch in 30 seconds, and
//! valid tokens hardly notice.
//!
//! Valid tokens are sent at one pace in three kinds of phase: alone, beside
//! tokens that are refused by their form, and in the flood of unknown key ids,
//! which comes on top. Short phases take turns, so that whatever else the
//! machine does meets all three. `load` sends, `issuers` signs.

mod issuers;
mod load;

use std::time::{Duration, Instant};

use shared::testing::{EmulatedSecrets, Process, TestDatabase, TestKeys, federated::ON_LOOPBACK};

use crate::{Result, chance::Chance, progress};
use issuers::Issuers;
use load::{Arrival, Times};

/// Execution environments, each with one request at a time.
const PROCESSES: usize = 5;
/// Phases of each kind.
const ROUNDS: usize = 20;
/// The pace of valid tokens, in every phase.
const VALID_PER_SECOND: usize = 100;
/// The pace of all others, on top of it.
const REFUSED_PER_SECOND: usize = 400;
/// A valid token is sent so often before a new one takes its place.
const SENT_AGAIN: usize = 20;
/// How often a provider may be asked while keys are missed.
const COOLDOWN: Duration = Duration::from_secs(30);
/// How many times as long as alone a valid token may take in the flood, at the
/// 99th percentile.
const SLOWER_AT_MOST: f64 = 2.0;

/// What is sent beside the valid tokens.
#[derive(Debug, Clone, Copy)]
enum Beside {
    Nothing,
    Malformed,
    RandomKids,
}

const PHASES: [Beside; 3] = [Beside::Nothing, Beside::Malformed, Beside::RandomKids];

/// Sends so many tokens under random key ids.
///
/// # Errors
/// One of them was accepted or broke something, a valid token was refused or
/// slow, or a provider was asked too often.
pub(crate) async fn run(kids: usize, seed: u64) -> Result<()> {
    let database = TestDatabase::create().await;
    let issuers = Issuers::start(&database).await?;
    let mut processes = start(&database, &issuers).await?;
    warm_up(&mut processes, &issuers)?;

    let refused = kids.div_ceil(ROUNDS).max(1);
    let valid = (refused * VALID_PER_SECOND).div_ceil(REFUSED_PER_SECOND);
    progress(&format!(
        "kids: {ROUNDS} times {refused} to {PROCESSES} processes, {REFUSED_PER_SECOND} a second, beside {VALID_PER_SECOND} valid ones"
    ));
    // All before the clock starts: RSA is no work of a flood's victim, and costs more than a refusal.
    let unknown = issuers.under_random_kids(refused * ROUNDS);
    let malformed = vec!["no.token".to_owned(); refused];
    let mut chance = Chance::new(seed);
    let mut times = [const { Times::new() }; PHASES.len()];
    let (before, begun) = (issuers.fetches(), Instant::now());
    for (round, unknown) in unknown.chunks(refused).enumerate() {
        for turn in 0..PHASES.len() {
            let phase = (round + turn) % PHASES.len();
            let good = issuers.valid(valid, SENT_AGAIN);
            let bad = match PHASES[phase] {
                Beside::Nothing => &[][..],
                Beside::Malformed => &malformed,
                Beside::RandomKids => unknown,
            };
            let arrivals = [
                Arrival::paced(&good, true, VALID_PER_SECOND, &mut chance),
                Arrival::paced(bad, false, REFUSED_PER_SECOND, &mut chance),
            ];
            times[phase].add(load::send(&mut processes, arrivals.concat())?);
        }
    }
    judge(times, &issuers.fetches_since(before), begun.elapsed())
}

fn judge(times: [Times; PHASES.len()], fetches: &[usize], elapsed: Duration) -> Result<()> {
    let [alone, malformed, flooded] = times.map(Times::quantiles);
    for (what, quantiles) in [("alone", &alone), ("beside malformed ones", &malformed), ("in the flood", &flooded)] {
        progress(&format!("kids: valid tokens {what}: {quantiles}"));
    }
    let ratio = flooded.p99.as_secs_f64() / alone.p99.as_secs_f64();
    progress(&format!("kids: p99 {ratio:.2} times; {fetches:?} fetches of the providers in {elapsed:.1?}"));
    for &fetches in fetches {
        if u64::try_from(fetches)? > elapsed.as_secs() / COOLDOWN.as_secs() + 1 {
            return Err(format!("a provider was asked {fetches} times in {elapsed:.1?}").into());
        }
    }
    if ratio > SLOWER_AT_MOST {
        return Err(format!("valid tokens' p99 was {ratio:.2} times as long, not {SLOWER_AT_MOST} at most").into());
    }
    Ok(())
}

async fn start(database: &TestDatabase, issuers: &Issuers) -> Result<Vec<Process>> {
    let secrets = EmulatedSecrets::usual(&TestKeys::generate("soak"), database).await;
    let mut environment = secrets.environment(database.address());
    for (name, value) in [("IDENTITY_PROVIDERS", issuers.of_the_deployment().as_str()), ON_LOOPBACK] {
        environment.push((name.to_owned(), value.to_owned()));
    }
    let binary = crate::binary("todos")?;
    Ok((0..PROCESSES).map(|_| Process::start(&binary, &[], &environment)).collect())
}

/// Every process has started and has the keys.
fn warm_up(processes: &mut [Process], issuers: &Issuers) -> Result<()> {
    for process in processes {
        for token in issuers.valid(2, 1) {
            load::send(std::slice::from_mut(process), vec![Arrival::at_once(&token)])?;
        }
    }
    Ok(())
}
