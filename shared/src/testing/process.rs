//! A function as Lambda runs it: its real process, a runtime API that hands it
//! events, and Secrets Manager as the development stack emulates it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
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
        Self { child: command.spawn().unwrap(), started, events, answers }
    }

    /// Hands an event over and waits for what comes of it: `response` or
    /// `error`, and the payload.
    #[must_use]
    pub fn invoke(&self, event: &Value) -> (String, Value) {
        self.events.send(event.to_string()).unwrap();
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
        let mut output = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut output).unwrap();
        output
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
