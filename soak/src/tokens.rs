//! J rows of THREATS: no token that is not ours, whole and of today opens
//! anything, whatever was done to it, and nothing breaks over it.

mod edit;
mod mutant;
mod object;
mod ours;
mod public;
mod text;

use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::Arc,
};

use auth::Auth;
use serde_json::Value;
use shared::{
    auth::{Algorithm, Role},
    testing::{Answer, Event, Member, TestApp, TestDatabase, TestKeys},
};

use crate::{Result, chance::Chance, progress};
use mutant::{Forge, KINDS};

/// A valid token goes with each so many mutants: it must still be one.
const VALID_EVERY: usize = 100;
/// New tokens are signed after so many.
const RENEW_EVERY: usize = 500;

/// How many mutants of each kind got which code.
type Table = Vec<BTreeMap<String, usize>>;

/// Sends so many mutants to `GET /api/v1/auth/me`, half of them to a function
/// that signs with ES256 and half to one that signs with `EdDSA`, each with an
/// older ES256 key beside, and prints what they got.
///
/// # Errors
/// The first mutant that was accepted, or not refused as it must be.
pub(crate) async fn run(mutants: usize, seed: u64) -> Result<()> {
    let mut table: Table = vec![BTreeMap::new(); KINDS.len()];
    let mut chance = Chance::new(seed);
    for (algorithm, mutants) in [(Algorithm::Es256, mutants.div_ceil(2)), (Algorithm::EdDsa, mutants / 2)] {
        progress(&format!("tokens: {mutants} mutants of {}, --seed {seed}", algorithm.name()));
        send(mutants, algorithm, &mut chance, &mut table).await?;
    }
    print(&table)
}

async fn send(mutants: usize, algorithm: Algorithm, chance: &mut Chance, table: &mut Table) -> Result<()> {
    let older = TestKeys::generate("older");
    let keys = Arc::new(TestKeys::of(algorithm, "newer").beside(older.public_jwk()));
    let app = TestApp::start_with(auth::routes(), TestDatabase::create().await, keys.clone(), &[]).await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    // By turns, so that each one's neighbour is of the other tenant.
    let viewers = [app.member(ada.tenant, Role::Viewer).await, app.member(eve.tenant, Role::Viewer).await];
    let members: Vec<_> = [ada, eve].into_iter().chain(viewers).collect();
    let claims = || members.iter().map(|member: &Member| app.claims(member)).collect::<Vec<_>>();
    let mut forge = Forge::new(vec![keys, Arc::new(older)], &claims())?;
    for number in 0..mutants {
        if number % RENEW_EVERY == 0 {
            forge.renew(&claims())?;
        }
        if number % VALID_EVERY == 0 {
            let answer = me(&app, forge.valid()[number / VALID_EVERY % members.len()]).await;
            if answer.status != 200 {
                return Err(format!("before mutant {number} a valid token got {}", answer.status).into());
            }
        }
        let kind = kind_of(number);
        let mutant = forge.mutant(kind, chance);
        let answer = me(&app, &mutant).await;
        match verdict(&answer, &mutant) {
            Ok(code) => *table[kind].entry(code).or_default() += 1,
            Err(fault) => {
                let (name, status) = (KINDS[kind].0, answer.status);
                let body = String::from_utf8_lossy(&answer.bytes);
                return Err(format!("mutant {number} ({name}) {fault}\n{status} {body}\n{mutant}").into());
            }
        }
        if (number + 1) % 10_000 == 0 {
            progress(&format!("tokens: {} of {mutants} mutants", number + 1));
        }
    }
    Ok(())
}

async fn me(app: &TestApp<Auth>, token: &str) -> Answer {
    app.send(Event::get("/api/v1/auth/me").bearer(token)).await
}

/// The kind whose turn it is: of a hundred each has its share.
fn kind_of(number: usize) -> usize {
    let mut place = number % 100;
    for (kind, (_, share)) in KINDS.iter().enumerate() {
        if place < *share {
            return kind;
        }
        place -= share;
    }
    KINDS.len() - 1
}

/// The code that a mutant was refused with, if all about its refusal is right.
fn verdict(answer: &Answer, mutant: &str) -> std::result::Result<String, &'static str> {
    let body: Value = serde_json::from_slice(&answer.bytes).map_err(|_| "got a body that is no JSON")?;
    let error = &body["error"];
    let status = answer.status.as_u16();
    let code = error["code"].as_str().unwrap_or_default();
    let known = ["AUTH_001", "AUTH_002", "AUTH_003", "AUTH_004", "AUTH_006", "TEN_001", "TEN_002", "REQ_001"];
    if answer.status.is_success() {
        Err("was accepted")
    } else if !matches!(status, 400 | 401 | 403) || !known.contains(&code) {
        Err("was refused otherwise than a token is")
    } else if error["status"] != status || error["message"].as_str().is_none_or(str::is_empty) {
        Err("got another body than an error's")
    } else if error["request_id"].as_str().is_none_or(|id| id != answer.header("x-request-id")) {
        Err("got no request id")
    } else if status == 401 && !answer.header("www-authenticate").starts_with("Bearer") {
        Err("was not told how to authenticate")
    } else if mutant.len() > 20
        && (String::from_utf8_lossy(&answer.bytes).contains(mutant) || is_logged(answer, mutant))
    {
        Err("stands in the answer or the log")
    } else {
        Ok(code.to_owned())
    }
}

fn is_logged(answer: &Answer, mutant: &str) -> bool {
    answer.log.iter().any(|line| line.to_string().contains(mutant))
}

/// How many of each kind got which code.
fn print(table: &Table) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{:<34}{:>9}  refused with", "mutants", "sent")?;
    for ((name, _), codes) in KINDS.iter().zip(table) {
        let listed: Vec<_> = codes.iter().map(|(code, count)| format!("{code} {count}")).collect();
        writeln!(out, "{name:<34}{:>9}  {}", codes.values().sum::<usize>(), listed.join(", "))?;
    }
    Ok(())
}
