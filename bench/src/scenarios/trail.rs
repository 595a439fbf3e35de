//! What the audit record costs: a write with its record and the same without,
//! by turns, and how many writes a second one tenant takes, whose records stand
//! in one chain, and fifty.

use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, raw_sql};

use crate::args::Args;
use crate::report::Report;
use crate::setting::{Setting, variable};
use crate::stats::{Ratio, Times};
use crate::{Result, process, progress};

/// Writes of each kind before those that count.
const WARM_UP: usize = 20;
/// Connections that write at once, as so many execution environments would.
const CONNECTIONS: usize = 16;
/// For so long.
const SPELL: Duration = Duration::from_secs(3);
/// Tenants that share the writes.
const TENANTS: usize = 50;

/// A write as functions write, with its record or without.
#[derive(Clone, Copy, PartialEq)]
enum Write {
    Audited,
    Bare,
}

impl Write {
    fn sql(self) -> &'static str {
        match self {
            Self::Audited => {
                "WITH written AS (
                     INSERT INTO todos (tenant_id, id, owner_id, title, created_at, updated_at)
                     VALUES ($1::uuid, gen_random_uuid(), $2::uuid, 'Check valve', now(), now()) RETURNING id)
                 SELECT app.audit(id) FROM written"
            }
            Self::Bare => {
                "INSERT INTO todos (tenant_id, id, owner_id, title, created_at, updated_at)
                 VALUES ($1::uuid, gen_random_uuid(), $2::uuid, 'Check valve', now(), now()) RETURNING id"
            }
        }
    }
}

/// A tenant's user with a live session.
#[derive(Clone, Debug)]
struct Writer {
    tenant: String,
    user: String,
    session: String,
}

/// Measures it.
///
/// # Errors
/// The database refuses.
pub(super) fn run(args: &Args, setting: &Setting, report: &mut Report) -> Result<()> {
    let (Some(_), Some(server), Some(name)) =
        (&setting.database, variable("TEST_DATABASE_URL"), variable("DATABASE_NAME"))
    else {
        report.note("trail is left out: it needs TEST_DATABASE_URL, and DATABASE_NAME in that server.");
        return Ok(());
    };
    let options = server.parse::<PgConnectOptions>()?.database(&name).disable_statement_logging();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let writers = writers(&options).await?;
        cost(args, &options, &writers[0], report).await?;
        for tenants in [1, TENANTS] {
            progress(&format!("trail: {CONNECTIONS} connections write to {tenants} tenants"));
            let written = at_once(&options, &writers[..tenants]).await?;
            report.written(tenants, CONNECTIONS, f64::from(u32::try_from(written)?) / SPELL.as_secs_f64());
        }
        Ok(())
    })
}

/// Both kinds by turns, on one connection, within blocks.
async fn cost(args: &Args, options: &PgConnectOptions, writer: &Writer, report: &mut Report) -> Result<()> {
    let mut connection = runtime_role(options).await?;
    let mut medians = [Vec::new(), Vec::new()];
    let mut all = [Vec::new(), Vec::new()];
    for block in 1..=args.blocks {
        progress(&format!("trail: block {block} of {}", args.blocks));
        let mut times = [Vec::new(), Vec::new()];
        for number in 0..WARM_UP + args.invocations {
            for (write, times) in [Write::Audited, Write::Bare].into_iter().zip(&mut times) {
                let begun = Instant::now();
                write_one(&mut connection, writer, write).await?;
                if number >= WARM_UP {
                    times.push(begun.elapsed());
                }
            }
        }
        for (kind, times) in times.into_iter().enumerate() {
            let times: Times = times.into_iter().collect();
            medians[kind].push(times.median());
            all[kind].push(times);
        }
    }
    let [audited, bare] = all.each_ref().map(Times::merge);
    report.record_cost(&audited, &bare, Ratio::of(&medians[0], &medians[1]));
    Ok(connection.close().await?)
}

/// How many audited writes all connections together make in a spell.
async fn at_once(options: &PgConnectOptions, writers: &[Writer]) -> Result<usize> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(runtime_role(options).await?);
    }
    let end = Instant::now() + SPELL;
    let tasks: Vec<_> = connections
        .into_iter()
        .enumerate()
        .map(|(first, mut connection)| {
            let writers = writers.to_vec();
            tokio::spawn(async move {
                let mut written = 0;
                while Instant::now() < end {
                    // Each begins elsewhere, so that they do not go round together.
                    let writer = &writers[(first * writers.len() / CONNECTIONS + written) % writers.len()];
                    write_one(&mut connection, writer, Write::Audited).await?;
                    written += 1;
                }
                connection.close().await?;
                Ok::<_, crate::Error>(written)
            })
        })
        .collect();
    let mut written = 0;
    for task in tasks {
        written += task.await??;
    }
    Ok(written)
}

/// A write as functions make it: three round trips.
async fn write_one(connection: &mut PgConnection, writer: &Writer, write: Write) -> Result<()> {
    let Writer { tenant, user, session } = writer;
    let begin = format!(
        "BEGIN; SELECT app.enter('{tenant}', '{session}'); SELECT app.describe_request('todos.create', 'bench', '203.0.113.7')"
    );
    connection.execute(raw_sql(AssertSqlSafe(begin))).await?;
    sqlx::query(write.sql()).bind(tenant).bind(user).execute(&mut *connection).await?;
    connection.execute("COMMIT").await?;
    Ok(())
}

/// A connection that row-level security binds.
async fn runtime_role(options: &PgConnectOptions) -> Result<PgConnection> {
    let mut connection = options.connect().await?;
    connection.execute("SET ROLE tenantry_runtime").await?;
    Ok(connection)
}

/// Tenants with a user and a session each, made in SQL.
async fn writers(options: &PgConnectOptions) -> Result<Vec<Writer>> {
    let stamp = process::unix_ms();
    let sql = format!(
        "WITH made AS MATERIALIZED (
             SELECT gen_random_uuid() AS tenant, gen_random_uuid() AS person, gen_random_uuid() AS session, n
               FROM generate_series(1, {TENANTS}) AS n
         ), tenants AS (
             INSERT INTO tenants (id, slug, name) SELECT tenant, format('trail-{stamp}-%s', n), 'Bench' FROM made
         ), users AS (
             INSERT INTO users (tenant_id, id, email, display_name, role)
             SELECT tenant, person, 'ada@example.com', 'Ada', 'admin' FROM made
         ), sessions AS (
             INSERT INTO sessions (tenant_id, id, user_id, created_at, last_used_at, expires_at)
             SELECT tenant, session, person, now(), now(), now() + interval '1 day' FROM made
         )
         SELECT tenant::text, person::text, session::text FROM made"
    );
    let mut connection = options.connect().await?;
    let rows: Vec<(String, String, String)> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut connection).await?;
    connection.close().await?;
    Ok(rows.into_iter().map(|(tenant, user, session)| Writer { tenant, user, session }).collect())
}
