//! What the operating system knows of a process; only Linux tells.

use std::fs;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// User and system time of a process and all its threads, those that have
/// ended included. The process's CPU clock counts in nanoseconds, where
/// `/proc/<pid>/stat` counts in ticks of 10 ms.
#[cfg(target_os = "linux")]
pub(crate) fn cpu_time(pid: u32) -> Option<Duration> {
    use nix::{time::clock_getcpuclockid, unistd::Pid};

    let clock = clock_getcpuclockid(Pid::from_raw(pid.try_into().ok()?)).ok()?;
    clock.now().ok().map(Duration::from)
}

/// Not known here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn cpu_time(_: u32) -> Option<Duration> {
    None
}

/// The most memory that a process has had resident, in KiB.
pub(crate) fn peak_memory_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// The time of day, in milliseconds since 1970.
pub(crate) fn unix_ms() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the harness has no clock to be given")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() * 1000 + u64::from(since.subsec_millis()))
}

/// The machine's load over the last minute, or nothing where it is not told.
pub(crate) fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

/// Lets this thread's sleeps end on time; the default is up to 50 µs late.
pub(crate) fn sleep_precisely() {
    // Without it, sleeps are only less precise.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_timerslack(1);
}

/// Waits for a moment: asleep for most of the way, then awake, as a sleep ends
/// late by what it takes to wake up.
pub(crate) fn wait_until(due: Instant) {
    const AWAKE: Duration = Duration::from_micros(40);
    loop {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        match left.checked_sub(AWAKE) {
            Some(asleep) if !asleep.is_zero() => thread::sleep(asleep),
            _ => std::hint::spin_loop(),
        }
    }
}
