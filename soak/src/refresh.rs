//! R2: a refresh token that is sent twenty times at once, to several execution
//! environments, yields one successor and logs nobody out.

use serde_json::{Value, json};
use shared::testing::{EmulatedSecrets, Event, Process, TestDatabase, TestKeys};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Result, progress};

/// Execution environments, and how many requests each takes at once.
const PROCESSES: usize = 5;
const CONCURRENCY: usize = 4;
/// How often a token is sent.
const AT_ONCE: usize = PROCESSES * CONCURRENCY;
/// Sessions that take turns, each with the successor of its last race.
const SESSIONS: usize = 5;
const PASSWORD: &str = "nine-quiet-otters-row-north";

/// A session, and the one token of it that may be used.
struct Session {
    id: Uuid,
    refresh: String,
    generation: i32,
}

/// Runs so many races, one after another.
///
/// # Errors
/// The first race that did not end as it must.
pub(crate) async fn run(races: usize) -> Result<()> {
    let database = TestDatabase::create().await;
    let processes = start(&database).await?;
    progress(&format!("refresh: {races} races, each {AT_ONCE} times at once over {PROCESSES} processes"));
    let mut sessions = begin(&processes[0])?;
    let mut observer = database.superuser().await;
    for race in 0..races {
        let session = &mut sessions[race % SESSIONS];
        let answers = Process::invoke_all(&processes, &refresh(&session.refresh), AT_ONCE)
            .map_err(|payload| format!("race {race}: a function failed: {payload}"))?;
        let access = judge(session, &answers, &mut observer).await.map_err(|error| format!("race {race}: {error}"))?;
        body(&me(&processes[race % PROCESSES], &access)?)
            .map_err(|error| format!("race {race}: an access token of it: {error}"))?;
        if (race + 1) % 100 == 0 {
            progress(&format!("refresh: {} of {races} races", race + 1));
        }
    }
    for session in &sessions {
        pair(&invoke(&processes[0], &refresh(&session.refresh))?)
            .map_err(|error| format!("after the last race, of its successor: {error}"))?;
    }
    Ok(())
}

async fn start(database: &TestDatabase) -> Result<Vec<Process>> {
    let secrets = EmulatedSecrets::usual(&TestKeys::generate("soak"), database).await;
    let mut environment = secrets.environment(database.address());
    for (name, value) in [
        ("AWS_LAMBDA_MAX_CONCURRENCY", CONCURRENCY.to_string()),
        // All of it comes from one address.
        ("AUTH_RATE_LIMIT_PER_MINUTE", "1000000".to_owned()),
    ] {
        environment.push((name.to_owned(), value));
    }
    let binary = crate::binary("auth")?;
    Ok((0..PROCESSES).map(|_| Process::start(&binary, &[], &environment)).collect())
}

/// Signs an organization up, and its admin in until there are enough sessions.
fn begin(process: &Process) -> Result<Vec<Session>> {
    let email = "ada@acme.example";
    let sign_up = json!({
        "organization": { "slug": "acme", "name": "Acme Clinic" }, "email": email, "password": PASSWORD,
    });
    let sign_in = json!({ "tenant": "acme", "email": email, "password": PASSWORD });
    let mut answers = vec![invoke(process, &Event::post("/api/v1/auth/signup", &sign_up).into_json())?];
    while answers.len() < SESSIONS {
        answers.push(invoke(process, &Event::post("/api/v1/auth/login", &sign_in).into_json())?);
    }
    let session = |answer: Value| {
        let (access, refresh) = pair(&answer)?;
        let id = body(&me(process, &access)?)?["session"]["id"].as_str().ok_or("a session without id")?.parse()?;
        Ok(Session { id, refresh, generation: 0 })
    };
    answers.into_iter().map(session).collect()
}

/// Whether a race ended as it must: then one of its access tokens; its
/// successor is the session's next token.
async fn judge(session: &mut Session, answers: &[Value], observer: &mut PgConnection) -> Result<String> {
    let pairs = answers.iter().map(pair).collect::<Result<Vec<_>>>()?;
    let (access, successor) = pairs.last().ok_or("no answer")?;
    if let Some((_, other)) = pairs.iter().find(|(_, other)| other != successor) {
        return Err(format!("two successors: {successor} and {other}").into());
    }
    if *successor == session.refresh {
        return Err("the token is its own successor".into());
    }
    session.refresh.clone_from(successor);
    session.generation += 1;
    let stored: (i32, bool, i64, i64, i64) = sqlx::query_as(
        "SELECT generation, ended_at IS NULL,
                (SELECT count(*) FROM refresh_tokens r WHERE r.session_id = s.id),
                (SELECT count(*) FROM sessions WHERE ended_at IS NULL),
                (SELECT count(*) FROM audit_events WHERE outcome <> 'success')
           FROM sessions s WHERE id = $1",
    )
    .bind(session.id)
    .fetch_one(observer)
    .await?;
    let expected = (session.generation, true, i64::from(session.generation) + 1, i64::try_from(SESSIONS)?, 0);
    if stored != expected {
        let of = "(generation, it lives, its tokens, sessions that live, refusals)";
        return Err(format!("{of} is {stored:?}, not {expected:?}").into());
    }
    Ok(access.clone())
}

fn refresh(token: &str) -> Value {
    Event::post("/api/v1/auth/refresh", &json!({ "refresh_token": token })).into_json()
}

fn me(process: &Process, access: &str) -> Result<Value> {
    invoke(process, &Event::get("/api/v1/auth/me").bearer(access).into_json())
}

fn invoke(process: &Process, event: &Value) -> Result<Value> {
    match process.invoke(event) {
        (kind, answer) if kind == "response" => Ok(answer),
        (_, payload) => Err(format!("a function failed: {payload}").into()),
    }
}

/// The body of an answer that is a success.
fn body(answer: &Value) -> Result<Value> {
    if !matches!(answer["statusCode"].as_u64(), Some(200 | 201)) {
        return Err(format!("it was refused: {answer}").into());
    }
    Ok(serde_json::from_str(answer["body"].as_str().ok_or("an answer without a body")?)?)
}

/// The access and the refresh token of an answer.
fn pair(answer: &Value) -> Result<(String, String)> {
    let body = body(answer)?;
    let token = |name: &str| body[name].as_str().map(str::to_owned).ok_or_else(|| format!("no {name} in {body}"));
    Ok((token("access_token")?, token("refresh_token")?))
}
