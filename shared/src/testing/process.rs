//! A function as Lambda runs it: its real process, a runtime API that hands it
//! events, and Secrets Manager as the development stack emulates it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::Value;

/// No start and no answer may take longer.
const PATIENCE: Duration = Duration::from_secs(20);
const PREFIX: &str = "/2018-06-01/runtime/";

/// A running function.
pub struct Process {
    child: Child,
    started: Instant,
    events: mpsc::Sender<String>,
    answers: mpsc::Receiver<(String, String)>,
    /// What read its two streams; a pipe that nobody reads would stop it.
    output: Vec<JoinHandle<String>>,
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// Whether it called that a success.
    pub success: bool,
    /// How long it ran.
    pub elapsed: Duration,
    /// All that it wrote, to either stream.
    pub output: String,
}

impl Process {
    /// Starts `binary` with these arguments, in this environment and no other.
    #[must_use]
    pub fn start(binary: &str, arguments: &[&str], environment: &[(String, String)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (events, to_hand_out) = mpsc::channel();
        let (to_collect, answers) = mpsc::channel();
        let to_hand_out = Arc::new(Mutex::new(to_hand_out));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (events, answers) = (to_hand_out.clone(), to_collect.clone());
                thread::spawn(move || serve(stream, &events, &answers));
            }
        });
        let mut command = Command::new(binary);
        command.args(arguments).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.envs(environment.iter().cloned()).env("AWS_LAMBDA_RUNTIME_API", address);
        for (name, value) in [("NAME", "test"), ("MEMORY_SIZE", "1769"), ("VERSION", "$LATEST")] {
            command.env(format!("AWS_LAMBDA_FUNCTION_{name}"), value);
        }
        let started = Instant::now();
        let mut child = command.spawn().unwrap();
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        let output = streams.map(|mut stream| {
            thread::spawn(move || {
                let mut text = String::new();
                stream.read_to_string(&mut text).unwrap();
                text
            })
        });
        Self { child, started, events, answers, output: output.into() }
    }

    /// Hands an event over and waits for what comes of it: `response` or
    /// `error`, and the payload.
    #[must_use]
    pub fn invoke(&self, event: &Value) -> (String, Value) {
        self.hand_over(event);
        self.answer()
    }

    /// Hands the same event `times` times to these functions by turns, all at
    /// once, and waits for every answer. They take as many together as their
    /// `AWS_LAMBDA_MAX_CONCURRENCY` says; the rest wait for them.
    ///
    /// # Errors
    /// The first payload that was no response.
    pub fn invoke_all(processes: &[Self], event: &Value, times: usize) -> Result<Vec<Value>, Value> {
        for process in processes.iter().cycle().take(times) {
            process.hand_over(event);
        }
        let answers: Vec<_> = processes.iter().cycle().take(times).map(Self::answer).collect();
        answers.into_iter().map(|(kind, payload)| if kind == "response" { Ok(payload) } else { Err(payload) }).collect()
    }

    /// Hands an event over and waits for nothing.
    pub fn hand_over(&self, event: &Value) {
        self.events.send(event.to_string()).unwrap();
    }

    fn answer(&self) -> (String, Value) {
        let (kind, payload) = self.answers.recv_timeout(PATIENCE).expect("the function answers");
        (kind, serde_json::from_str(&payload).unwrap())
    }

    /// Waits until it has ended by itself.
    #[must_use]
    pub fn ended(mut self) -> Ended {
        while self.child.try_wait().unwrap().is_none() && self.started.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(5));
        }
        let elapsed = self.started.elapsed();
        assert!(elapsed < PATIENCE, "the process does not end");
        let success = self.child.wait().unwrap().success();
        Ended { success, elapsed, output: self.output() }
    }

    /// Ends it, and returns all that it wrote.
    #[must_use]
    pub fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.output()
    }

    fn output(&mut self) -> String {
        self.output.drain(..).map(|stream| stream.join().unwrap()).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// The one line that it wrote, as JSON.
    #[must_use]
    pub fn line(&self) -> Value {
        assert_eq!(self.output.lines().count(), 1, "{}", self.output);
        serde_json::from_str(&self.output).unwrap()
    }
}

/// Answers the requests of one connection until it is closed.
fn serve(stream: TcpStream, events: &Mutex<mpsc::Receiver<String>>, answers: &mpsc::Sender<(String, String)>) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    while let Some((path, body)) = read(&mut reader) {
        let answer = match path.strip_prefix(PREFIX).unwrap_or_default().rsplit('/').next().unwrap_or_default() {
            "next" => {
                let Ok(event) = events.lock().unwrap().recv() else { return };
                let deadline_ms = crate::clock::Clock::now(&crate::clock::SystemClock).unix_timestamp() * 1000 + 15_000;
                format!(
                    "HTTP/1.1 200 OK\r\nlambda-runtime-aws-request-id: 1\r\nlambda-runtime-deadline-ms: {deadline_ms}\r\n\
                     lambda-runtime-invoked-function-arn: arn\r\nlambda-runtime-trace-id: Root=1\r\n\
                     content-length: {}\r\n\r\n{event}",
                    event.len()
                )
            }
            kind => {
                let _ = answers.send((kind.to_owned(), body));
                "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_owned()
            }
        };
        if writer.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// A request's path and body.
fn read(reader: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        length = header.strip_prefix("content-length: ").map_or(length, |text| text.parse().unwrap());
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path, String::from_utf8(body).unwrap()))
}
