//! T2 and T3: tenants reach for each other's things on every route of every
//! group, in every way that a request has, and past the functions at each wall
//! by itself; requests are dropped in mid-flight, and functions killed. Nothing
//! foreign is read, written or learned of.
//!
//! In reading order: `world` is who there is, `plan` makes a request (of what
//! `arguments`, `queries` and `sign_in` say), `requests` sends several at once,
//! `answers` judges them, `compare` holds the database against the `ledger`, and
//! `walls` goes past the functions.
//!
//! That the driver would see it if it were is shown by `faults`: each one is put
//! into a database of its own, and must be caught.

mod answers;
mod arguments;
mod compare;
mod coverage;
mod faults;
mod functions;
mod ledger;
mod markers;
mod plan;
mod queries;
mod requests;
mod sign_in;
mod trail;
mod walls;
mod world;

use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use serde_json::json;
use shared::{
    access::Route,
    audit::Action,
    testing::{EmulatedSecrets, Event, Process},
};
use sqlx::{AssertSqlSafe, Executor, raw_sql};

use crate::{Result, progress};
use faults::{FAULTS, Fault};
use plan::Wish;
use world::{Leak, World};

const TENANTS: usize = 20;
/// So many requests at a time, of as many tenants.
const AT_ONCE: usize = 8;
/// After so many requests come statements past the functions.
const WALLS_EVERY: usize = 50;
/// After so many requests every row is looked at.
const COMPARE_EVERY: usize = 10_000;
/// After so many requests a function is killed over its work.
const KILL_EVERY: usize = 2000;
/// Where there is a fault: fewer tenants, and it is looked for sooner.
const TENANTS_OF_A_FAULT: usize = 4;
const REQUESTS_OF_A_FAULT: usize = 3000;
const COMPARE_FAULT_EVERY: usize = 50;
const FAULTS_AT_ONCE: usize = 4;

/// Sends so many requests, then puts each fault in and expects it to be caught.
///
/// # Errors
/// The first [`Leak`], or the faults that nobody caught.
pub(crate) async fn run(requests: usize, seed: u64) -> Result<()> {
    progress(&format!("isolation: {requests} requests of {TENANTS} tenants, --seed {seed}"));
    let mut world = World::create(TENANTS, seed).await?;
    let killed = Killed::prepare(&world).await?;
    let routes = tour(&mut world).await?;
    progress(&format!("isolation: all {routes} routes are driven"));
    let between = Between { compare_every: COMPARE_EVERY, walls: true, killed: Some(&killed) };
    drive(&mut world, requests, between).await?;
    verify(&mut world).await?;
    world.end().await;
    progress(&format!("isolation: held; now {} faults, of which each must be caught", FAULTS.len()));
    let mut missed = Vec::new();
    for faults in FAULTS.chunks(FAULTS_AT_ONCE) {
        for (fault, caught) in faults.iter().zip(join_all(faults.iter().map(|fault| catch(fault, seed))).await) {
            match caught? {
                Ok(how) => progress(&format!("isolation: {} was caught: {how}", fault.name)),
                Err(why) => missed.push(format!("{} ({why})", fault.name)),
            }
        }
    }
    if missed.is_empty() { Ok(()) } else { Err(format!("not caught: {}", missed.join("; ")).into()) }
}

/// Does with every route what it is for, and then reaches for what is another's.
/// Returns how many routes there are.
async fn tour(world: &mut World) -> Result<usize> {
    let routes = routes(world);
    for wish in [Wish::Own, Wish::Foreign] {
        for (function, route) in &routes {
            // Of what is made there is enough for all that is done with it.
            let creates = route.method == Method::POST && !route.path.contains("auth");
            let makes = wish == Wish::Own && (creates || route.action == Action::AuthOidcLogin);
            for _ in 0..if makes { 4 } else { 1 } {
                let sent = requests::send_one(world, (*function, route.clone()), 0, wish).await;
                sent.map_err(|error| at(&format!("{} {}", route.method, route.path), error))?;
            }
        }
    }
    compare::compare(world).await?;
    world.coverage.check(world.routes())
}

/// Every route, with the number of its function.
fn routes(world: &World) -> Vec<(usize, Route)> {
    let functions = world.functions.iter().enumerate();
    functions
        .flat_map(|(number, function)| function.routes().iter().map(move |route| (number, route.clone())))
        .collect()
}

/// Verifies the whole of every trail: nobody wrote into another's.
async fn verify(world: &mut World) -> Result<()> {
    let route = routes(world).into_iter().find(|(_, route)| route.action == Action::AuditVerify);
    let route = route.ok_or("no route verifies a trail")?;
    for tenant in 0..world.peopled() {
        requests::send_one(world, route.clone(), tenant, Wish::Own).await?;
    }
    Ok(())
}

/// What comes between the requests.
struct Between<'a> {
    compare_every: usize,
    walls: bool,
    killed: Option<&'a Killed>,
}

async fn drive(world: &mut World, requests: usize, between: Between<'_>) -> Result<()> {
    let at_once = AT_ONCE.min(world.peopled());
    let mut sent = 0;
    while sent < requests {
        let before = sent;
        sent += at_once;
        let passed = |every: usize| sent / every > before / every;
        let here = format!("request {sent}");
        requests::send(world, at_once).await.map_err(|error| at(&here, error))?;
        if between.walls && passed(WALLS_EVERY) {
            walls::attempt(world).await.map_err(|error| at(&here, error))?;
        }
        if passed(between.compare_every) || sent >= requests {
            compare::compare(world).await.map_err(|error| at(&here, error))?;
        }
        if passed(5000) {
            world.renew_tokens();
            progress(&format!("isolation: {sent} of {requests} requests"));
        }
        if let Some(killed) = between.killed.filter(|_| passed(KILL_EVERY)) {
            killed.once(world).await;
        }
    }
    Ok(())
}

/// Where it was that something happened.
fn at(place: &str, error: crate::Error) -> crate::Error {
    match error.downcast::<Leak>() {
        Ok(leak) => Box::new(Leak(format!("{place}: {leak}"))),
        Err(error) => format!("{place}: {error}").into(),
    }
}

/// How a fault was caught, or why not.
async fn catch(fault: &Fault, seed: u64) -> Result<std::result::Result<String, String>> {
    let mut world = World::create(TENANTS_OF_A_FAULT, seed).await?;
    let sql = fault.sql.replace("{role}", world.database.role());
    world.superuser.execute(raw_sql(AssertSqlSafe(sql))).await?;
    world.has_a_fault = true;
    let between = Between { compare_every: COMPARE_FAULT_EVERY, walls: !fault.by_requests, killed: None };
    let driven = drive(&mut world, REQUESTS_OF_A_FAULT, between).await;
    world.end().await;
    Ok(match driven {
        Ok(()) => Err(format!("in {REQUESTS_OF_A_FAULT} requests")),
        Err(error) => match error.downcast::<Leak>() {
            Ok(leak) => Ok(leak.0.chars().take(160).collect()),
            Err(other) => Err(other.to_string()),
        },
    })
}

/// A function in a process of its own, which is killed over its work.
struct Killed {
    binary: String,
    environment: Vec<(String, String)>,
}

impl Killed {
    async fn prepare(world: &World) -> Result<Self> {
        let binary = std::env::current_exe()?.with_file_name("todos");
        if !binary.is_file() {
            return Err(format!("{} is not built: cargo build --package todos", binary.display()).into());
        }
        let binary = binary.to_str().ok_or("the target directory's name is not UTF-8")?.to_owned();
        let secrets = EmulatedSecrets::usual(&world.keys, &world.database).await;
        Ok(Self { binary, environment: secrets.environment(world.database.address()) })
    }

    /// Has it create todos of one tenant, and kills it at some moment of that.
    async fn once(&self, world: &mut World) {
        let (tenant, _) = world.two_tenants();
        let process = Process::start(&self.binary, &[], &self.environment);
        for _ in 0..20 {
            let title = json!({ "title": world.tenants[tenant].marker });
            let event = Event::post("/api/v1/todos", &title).bearer(&world.tenants[tenant].members[0].token);
            process.hand_over(&event.into_json());
            world.ledger.perhaps_made("/api/v1/todos", tenant);
        }
        tokio::time::sleep(Duration::from_millis(50 + world.chance.below(400) as u64)).await;
        drop(process.kill());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn t2_tenants_that_reach_for_each_others_things_on_every_route_get_nothing() {
        let mut world = World::create(5, 7).await.unwrap();
        assert!(tour(&mut world).await.unwrap() >= 45);
        let between = Between { compare_every: 200, walls: true, killed: None };
        drive(&mut world, 200, between).await.unwrap();
        verify(&mut world).await.unwrap();
        world.end().await;
    }

    #[tokio::test]
    async fn t2_a_fault_in_a_wall_and_two_in_functions_are_caught() {
        let names = [
            "a month of the trail that is granted by its own name, without row-level security",
            "entering without a look at the session",
            "a sign-in at another tenant than the one that it names",
        ];
        let faults: Vec<&Fault> = FAULTS.iter().filter(|fault| names.contains(&fault.name)).collect();
        assert_eq!(faults.len(), names.len());
        for caught in join_all(faults.into_iter().map(|fault| catch(fault, 7))).await {
            caught.unwrap().unwrap();
        }
    }
}
