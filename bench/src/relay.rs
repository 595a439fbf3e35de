//! A TCP relay that puts the database a chosen time away and counts round
//! trips: a burst of client bytes followed by server bytes is one.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::{sleep_precisely, wait_until};

/// The relay; it accepts no more when dropped.
pub(crate) struct Relay {
    /// The loopback port where it listens.
    pub(crate) port: u16,
    trips: Arc<AtomicU64>,
    closed: Arc<AtomicBool>,
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Client,
    Server,
}

impl Relay {
    /// Starts to relay to `upstream`, half of `rtt` away in each direction.
    ///
    /// # Errors
    /// No port or no thread is to be had.
    pub(crate) fn start(upstream: (String, u16), rtt: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let (trips, closed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counter, stop) = (Arc::clone(&trips), Arc::clone(&closed));
        thread::Builder::new().name("relay".into()).spawn(move || {
            for client in listener.incoming().flatten() {
                if stop.load(Ordering::Acquire) {
                    break;
                }
                // A refused connection reaches the client as a closed one.
                drop(connect(&client, &upstream, rtt / 2, &counter));
            }
        })?;
        Ok(Self { port, trips, closed })
    }

    /// Round trips so far, over all connections.
    pub(crate) fn trips(&self) -> u64 {
        self.trips.load(Ordering::Acquire)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Release);
        // Wakes the listener, so that it sees the end.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn connect(client: &TcpStream, upstream: &(String, u16), delay: Duration, trips: &Arc<AtomicU64>) -> io::Result<()> {
    let server = TcpStream::connect(upstream)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let waiting = Arc::new(AtomicBool::new(false));
    for (side, from, to) in [(Side::Client, client, &server), (Side::Server, &server, client)] {
        let (from, to) = (from.try_clone()?, to.try_clone()?);
        let (sender, receiver) = mpsc::channel();
        let (trips, waiting) = (Arc::clone(trips), Arc::clone(&waiting));
        thread::spawn(move || read(from, side, delay, &sender, &trips, &waiting));
        thread::spawn(move || write(to, &receiver));
    }
    Ok(())
}

/// Stamps bytes with the time at which they are due at the other end. Reader
/// and writer are apart so that bytes on their way do not hold up later ones:
/// distance costs time, not throughput.
fn read(
    mut from: TcpStream,
    side: Side,
    delay: Duration,
    sender: &Sender<(Instant, Vec<u8>)>,
    trips: &AtomicU64,
    waiting: &AtomicBool,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let due = Instant::now() + delay;
        // Before the bytes go on, so that the count stands when they arrive.
        if waiting.swap(side == Side::Client, Ordering::AcqRel) && side == Side::Server {
            trips.fetch_add(1, Ordering::AcqRel);
        }
        if sender.send((due, buffer[..length].to_vec())).is_err() {
            break;
        }
    }
}

fn write(mut to: TcpStream, receiver: &Receiver<(Instant, Vec<u8>)>) {
    sleep_precisely();
    while let Ok((due, bytes)) = receiver.recv() {
        wait_until(due);
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    // The other end learns that no more comes; it may be gone already.
    drop(to.shutdown(Shutdown::Write));
}

/// The median time of one byte to an echo and back through a relay: what
/// `rtt` is in truth on this machine.
///
/// # Errors
/// No port is to be had.
pub(crate) fn measured_rtt(rtt: Duration, count: usize) -> io::Result<Duration> {
    let echo = TcpListener::bind(("127.0.0.1", 0))?;
    let port = echo.local_addr()?.port();
    thread::spawn(move || -> io::Result<()> {
        let (mut stream, _) = echo.accept()?;
        stream.set_nodelay(true)?;
        let mut byte = [0];
        while stream.read(&mut byte)? > 0 {
            stream.write_all(&byte)?;
        }
        Ok(())
    });
    let relay = Relay::start(("127.0.0.1".into(), port), rtt)?;
    let mut stream = TcpStream::connect(("127.0.0.1", relay.port))?;
    stream.set_nodelay(true)?;
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        stream.write_all(&[0])?;
        stream.read_exact(&mut [0])?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times[count / 2])
}
