//! One process of a function: started, invoked, looked at, ended.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::relay::Relay;
use crate::runtime_api::{Call, Next, RuntimeApi};
use crate::setting::{Distance, Setting};
use crate::{Result, process};

const PATIENCE: Duration = Duration::from_secs(30);
const LOG_TAIL_LINES: usize = 15;

/// A running function that waits for its next event. It ends when dropped.
pub(crate) struct Function {
    /// From just before the spawn to the first `/next`.
    pub(crate) init: Duration,
    name: String,
    child: Child,
    api: RuntimeApi,
    waiting: Option<Next>,
    relay: Option<Relay>,
    log: PathBuf,
    invocations: u64,
}

/// What came of one event.
pub(crate) struct Invocation {
    /// From the event's handing over to the whole answer.
    pub(crate) answer: Duration,
    /// From the event's handing over to the next `/next`.
    pub(crate) ready: Duration,
    /// The HTTP status.
    pub(crate) status: u64,
    /// The HTTP body, as text.
    pub(crate) body: String,
}

impl Function {
    /// Starts the function `name` and waits until it asks for its first event.
    ///
    /// # Errors
    /// It cannot be started, or it ends or says nothing; with the tail of its
    /// log.
    pub(crate) fn start(setting: &Setting, name: &str, distance: Distance) -> Result<Self> {
        let api = RuntimeApi::start()?;
        let relay = match (distance, &setting.database) {
            (Distance::Away(rtt), Some(database)) => Some(Relay::start(database.clone(), rtt)?),
            _ => None,
        };
        let log = setting.log(name);
        let output = File::options().create(true).append(true).open(&log)?;
        let mut command = Command::new(setting.binary(name));
        command
            .env_remove("AWS_LAMBDA_MAX_CONCURRENCY")
            .envs(setting.environment(name))
            .env("AWS_LAMBDA_RUNTIME_API", api.address.to_string())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        if let Some(relay) = &relay {
            command.env("DATABASE_HOST", "127.0.0.1").env("DATABASE_PORT", relay.port.to_string());
        }
        let spawned = Instant::now();
        let child = command.spawn().map_err(|error| format!("{name} does not start: {error}"))?;
        let init = Duration::ZERO;
        let mut function = Self { init, name: name.to_owned(), child, api, waiting: None, relay, log, invocations: 0 };
        let next = function.next()?;
        function.init = next.at - spawned;
        function.waiting = Some(next);
        Ok(function)
    }

    /// Hands over one event and waits until the function asks for the next.
    ///
    /// # Errors
    /// The function ends, says nothing, reports an error, or its answer is not
    /// one of API Gateway's (payload 2.0).
    pub(crate) fn invoke(&mut self, event: &[u8]) -> Result<Invocation> {
        let waiting = self.waiting.take().ok_or("the function is not waiting")?;
        self.invocations += 1;
        let handed = waiting.invoke(self.invocations, event)?;
        let mut next = self.next()?;
        let answered = next.answered.take().ok_or("the function asked for more without an answer")?;
        let ready = next.at - handed;
        self.waiting = Some(next);
        let payload = answered
            .payload
            .map_err(|error| self.failure(&format!("reported: {}", String::from_utf8_lossy(&error))))?;
        let response: Value = serde_json::from_slice(&payload)?;
        Ok(Invocation {
            answer: answered.at - handed,
            ready,
            status: response["statusCode"].as_u64().unwrap_or_default(),
            body: response["body"].as_str().unwrap_or_default().to_owned(),
        })
    }

    /// As [`Self::invoke`], with `status` as the only answer that is right.
    ///
    /// # Errors
    /// As there, and for any other status.
    pub(crate) fn expect(&mut self, status: u64, event: &[u8]) -> Result<Invocation> {
        let invocation = self.invoke(event)?;
        if invocation.status == status {
            return Ok(invocation);
        }
        Err(self.failure(&format!("answered {}, not {status}: {}", invocation.status, invocation.body)).into())
    }

    /// CPU time so far, of all its threads.
    pub(crate) fn cpu_time(&self) -> Option<Duration> {
        process::cpu_time(self.child.id())
    }

    /// The most memory so far, in KiB.
    pub(crate) fn peak_memory_kib(&self) -> Option<u64> {
        process::peak_memory_kib(self.child.id())
    }

    /// Round trips to the database so far; they are counted by a relay only.
    pub(crate) fn trips(&self) -> Option<u64> {
        self.relay.as_ref().map(Relay::trips)
    }

    fn next(&mut self) -> Result<Next> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            match self.api.call(Duration::from_millis(100)) {
                Ok(Call::Next(next)) => return Ok(next),
                Ok(Call::InitError(error)) => return Err(self.failure(&format!("cannot start: {error}")).into()),
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(status) = self.child.try_wait()? {
                        return Err(self.failure(&format!("ended: {status}")).into());
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Err("the Runtime API ended".into()),
            }
        }
        Err(self.failure("says nothing").into())
    }

    fn failure(&self, what: &str) -> String {
        format!("{} {what}\n{}", self.name, tail(&self.log))
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    let from = lines.len().saturating_sub(LOG_TAIL_LINES);
    format!("the end of {}:\n{}", log.display(), lines[from..].join("\n"))
}
