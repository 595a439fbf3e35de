//! The Lambda Runtime API (version 2018-06-01), played to one process.
//!
//! A thread per connection reads and stamps the times itself and wakes the
//! measuring thread only once an invocation, so that what is measured does not
//! compete with the measurement for a core.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};
use std::{io, thread};

use crate::http1::{Message, answer};
use crate::process::unix_ms;

const VERSION: &str = "/2018-06-01/runtime";
const DEADLINE_MS: u64 = 30_000;

/// What the process has told.
pub(crate) enum Call {
    /// It asks for work, having answered the last invocation if there was one.
    Next(Next),
    /// It could not start; what it says about it.
    InitError(String),
}

/// A process that waits for its next event.
pub(crate) struct Next {
    /// When it asked.
    pub(crate) at: Instant,
    /// Its answer to the event before.
    pub(crate) answered: Option<Answered>,
    stream: TcpStream,
}

/// The answer to an event.
pub(crate) struct Answered {
    /// When it was read to its end.
    pub(crate) at: Instant,
    /// What the function returned, or the error that it reported.
    pub(crate) payload: Result<Vec<u8>, Vec<u8>>,
}

impl Next {
    /// Hands an event over; the time is that just before it is written.
    ///
    /// # Errors
    /// The process is gone.
    pub(crate) fn invoke(mut self, request_id: u64, event: &[u8]) -> io::Result<Instant> {
        let headers = format!(
            "Content-Type: application/json\r\n\
             Lambda-Runtime-Aws-Request-Id: 00000000-0000-4000-8000-{request_id:012}\r\n\
             Lambda-Runtime-Deadline-Ms: {}\r\n\
             Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-west-1:123456789012:function:bench\r\n\
             Lambda-Runtime-Trace-Id: Root=1-00000000-{request_id:024x};Parent=0000000000000001;Sampled=0\r\n",
            unix_ms() + DEADLINE_MS
        );
        let bytes = answer("200 OK", &headers, event);
        let at = Instant::now();
        self.stream.write_all(&bytes)?;
        Ok(at)
    }
}

/// The server, on a loopback port of its own; it ends when dropped.
pub(crate) struct RuntimeApi {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    calls: mpsc::Receiver<Call>,
    closed: Arc<AtomicBool>,
}

impl RuntimeApi {
    /// Starts to listen.
    ///
    /// # Errors
    /// No port or no thread is to be had.
    pub(crate) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let (sender, calls) = mpsc::channel();
        let closed = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&closed);
        thread::Builder::new().name("runtime-api".into()).spawn(move || {
            let answered = Arc::new(Mutex::new(None));
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::Acquire) {
                    break;
                }
                let (sender, answered) = (sender.clone(), Arc::clone(&answered));
                // An error here is the process's end, which shows elsewhere.
                thread::spawn(move || serve(stream, &sender, &answered));
            }
        })?;
        Ok(Self { address, calls, closed })
    }

    /// Waits for the process to say something.
    ///
    /// # Errors
    /// Nothing came within `timeout`.
    pub(crate) fn call(&self, timeout: Duration) -> Result<Call, mpsc::RecvTimeoutError> {
        self.calls.recv_timeout(timeout)
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Release);
        // Wakes the listener, so that it sees the end.
        drop(TcpStream::connect(self.address));
    }
}

/// `answered` is shared because a client may post its answer on one connection
/// and ask for the next event on another.
fn serve(stream: TcpStream, calls: &mpsc::Sender<Call>, answered: &Mutex<Option<Answered>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(message) = Message::read(&mut reader)? {
        let at = Instant::now();
        let path = message.target().strip_prefix(VERSION).unwrap_or_default();
        let mut last = answered.lock().unwrap_or_else(PoisonError::into_inner);
        let call = if path == "/invocation/next" {
            Call::Next(Next { at, answered: last.take(), stream: writer.try_clone()? })
        } else if path == "/init/error" {
            Call::InitError(String::from_utf8_lossy(&message.body).into_owned())
        } else {
            let failed = path.ends_with("/error") || message.header("lambda-runtime-function-error-type").is_some();
            *last = Some(Answered { at, payload: if failed { Err(message.body) } else { Ok(message.body) } });
            writer.write_all(&answer("202 Accepted", "", b""))?;
            continue;
        };
        drop(last);
        if matches!(call, Call::InitError(_)) {
            writer.write_all(&answer("202 Accepted", "", b""))?;
        }
        if calls.send(call).is_err() {
            break;
        }
    }
    Ok(())
}
