//! Whether sign-in tells by its time what was wrong (A1 of THREATS): four ways
//! to be refused take turns, each attempt at an account of its own, and no way
//! may be faster than another more often than chance has it.

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, postgres::PgConnectOptions, raw_sql};

use crate::args::Args;
use crate::event::{Body, Event};
use crate::function::Function;
use crate::rank::Rank;
use crate::report::Report;
use crate::session::{PASSWORD, signup};
use crate::setting::{Distance, Setting, variable};
use crate::stats::Times;
use crate::{Result, process, progress};

/// The least that a class is tried.
const SAMPLES_AT_LEAST: usize = 200;
/// Attempts of each class before those that count.
const WARM_UP: usize = 5;
/// Attempts of each class with the database away, for their round trips.
const TRIPS: usize = 10;

/// The ways to be refused.
pub(super) const CLASSES: [&str; 4] = ["unknown tenant", "unknown user", "wrong password", "disabled user"];

/// Measures them.
///
/// # Errors
/// The accounts cannot be made, or `auth` fails or answers otherwise than 401.
pub(super) fn run(args: &Args, setting: &Setting, report: &mut Report) -> Result<()> {
    let (Some(server), true) = (variable("TEST_DATABASE_URL"), setting.has("auth")) else {
        report.note("timing is left out: it needs auth, and TEST_DATABASE_URL to make its accounts.");
        return Ok(());
    };
    let samples = args.invocations.max(SAMPLES_AT_LEAST);
    let slug = format!("timing-{}", process::unix_ms());
    let mut near = Function::start(setting, "auth", Distance::Near)?;
    near.expect(201, &signup(&slug))?;
    add_accounts(&server, &slug, WARM_UP + samples + TRIPS)?;

    let mut times = CLASSES.map(|_| Vec::with_capacity(samples));
    for round in 0..WARM_UP + samples {
        if round % 50 == 0 {
            progress(&format!("timing: {round} of {} rounds", WARM_UP + samples));
        }
        for class in order(round) {
            let answer = near.expect(401, &attempt(&slug, class, round))?.answer;
            if round >= WARM_UP {
                times[class].push(answer);
            }
        }
    }
    let mut away = Function::start(setting, "auth", Distance::Away(args.rtt))?;
    away.expect(401, &attempt("nobody-at-all", 0, 0))?;
    let mut trips = [None; CLASSES.len()];
    for (class, trips) in trips.iter_mut().enumerate() {
        let before = away.trips();
        for number in 0..TRIPS {
            away.expect(401, &attempt(&slug, class, WARM_UP + samples + number))?;
        }
        let counted = away.trips().zip(before).and_then(|(after, before)| u32::try_from(after - before).ok());
        *trips = counted.map(|counted| f64::from(counted) / f64::from(u32::try_from(TRIPS).unwrap_or(1)));
    }
    for (class, name) in CLASSES.iter().enumerate() {
        report.timing_class(name, &times[class].iter().copied().collect::<Times>(), trips[class]);
    }
    for (one, times_of_one) in times.iter().enumerate() {
        for other in one + 1..CLASSES.len() {
            report.timing_pair(CLASSES[one], CLASSES[other], Rank::of(times_of_one, &times[other]));
        }
    }
    Ok(())
}

/// Every order of the classes in its turn, so that none has a place or a
/// neighbour of its own.
fn order(round: usize) -> [usize; CLASSES.len()] {
    let mut left = vec![0, 1, 2, 3];
    let mut number = round;
    [4, 3, 2, 1].map(|choices| {
        let index = number % choices;
        number /= choices;
        left.remove(index)
    })
}

/// An attempt of a class; each number has an account of its own, so that none
/// is locked, and all are written with as many characters.
fn attempt(slug: &str, class: usize, number: usize) -> Vec<u8> {
    let tenant = if class == 0 { slug.replace("timing", "gnimit") } else { slug.to_owned() };
    let password = if class == 3 { PASSWORD.to_owned() } else { PASSWORD.replace('v', "w") };
    let email = format!("{}-{number:05}@example.com", ["tenant", "unseen", "active", "absent"][class]);
    let mut event = Event::new("POST", "/api/v1/auth/login");
    event.body = Some(Body::Json(serde_json::json!({ "tenant": tenant, "email": email, "password": password })));
    event.to_bytes()
}

/// Gives the organization an active and a disabled user for each number, who
/// have the password of its admin.
fn add_accounts(server: &str, slug: &str, count: usize) -> Result<()> {
    let name = variable("DATABASE_NAME").ok_or("DATABASE_NAME is not set")?;
    let options = server.parse::<PgConnectOptions>()?.database(&name).disable_statement_logging();
    let sql = format!(
        "INSERT INTO users (tenant_id, id, email, display_name, role, status, password_hash)
         SELECT u.tenant_id, gen_random_uuid(), format('%s-%s@example.com', kind, lpad(n::text, 5, '0')), 'A User',
                'viewer', CASE kind WHEN 'active' THEN 'active' ELSE 'inactive' END, u.password_hash
           FROM users u JOIN tenants t ON t.id = u.tenant_id AND t.slug = '{slug}',
                generate_series(0, {count}) AS n, unnest(ARRAY['active', 'absent']) AS kind;
         ANALYZE users"
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection: PgConnection = options.connect().await?;
        connection.execute(raw_sql(AssertSqlSafe(sql))).await?;
        Ok(connection.close().await?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_has_its_turn() {
        let orders: std::collections::BTreeSet<_> = (0..24).map(order).collect();
        assert_eq!(orders.len(), 24);
        assert!(orders.iter().all(|order| order.iter().sum::<usize>() == 6));
    }

    #[test]
    fn attempts_differ_in_what_is_wrong_and_in_nothing_else() {
        let lengths: Vec<_> = (0..4).map(|class| attempt("timing-1795255200000", class, 7).len()).collect();
        assert!(lengths.iter().all(|length| *length == lengths[0]), "{lengths:?}");
    }
}
