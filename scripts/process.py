"""Processes, ports, locks and settings of the local stack."""

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil  # from .venv

ROOT = Path(__file__).resolve().parent.parent
LOCAL = ROOT / ".local"
DEFAULTS = {"PORT": "9000"}


@contextlib.contextmanager
def managed():
    """Whatever ends this process, every process that came from it ends too."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    adopt_orphans()
    threading.Thread(target=follow_parent, daemon=True).start()
    try:
        yield
    finally:
        end_children()


@contextlib.contextmanager
def server(command, log, prefix=(), how=signal.SIGTERM, **options):
    """Runs in a session of its own, so that Ctrl-C reaches only us and we end things in order."""
    if shutil.which("setpriv"):  # should we be killed outright, the server ends too
        prefix = [*(prefix or ["setpriv"]), "--pdeathsig", how.name]
    with log.open("wb") as output:
        process = subprocess.Popen([*prefix, *command], stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=subprocess.STDOUT, start_new_session=True, **options)
    with ended(process, how):
        yield process


def call(command, environment={}, **options):
    """Runs to its end; the exit status."""
    if not shutil.which(command[0]):
        fail(f"{command[0]} is not installed" + (": see https://rustup.rs" if command[0] == "cargo" else ""))
    with ended(subprocess.Popen(command, env=os.environ | environment, **options)) as process:
        return process.wait()


@contextlib.contextmanager
def ended(process, how=signal.SIGTERM):
    try:
        yield process
    finally:
        process.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)


def end(number, _frame):
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)  # the end must not be interrupted
    say("Stopping")
    sys.exit(128 + number)


def follow_parent():
    """Ends us when make has been ended outright, or interrupted: it passes SIGTERM on, but not SIGINT."""
    def state():
        with contextlib.suppress(OSError, StopIteration):  # /proc is Linux's
            lines = Path(f"/proc/{os.getppid()}/status").read_text().splitlines()
            caught = next(line for line in lines if line.startswith("SigCgt:"))
            return os.getppid(), int(caught.split()[1], 16) >> (signal.SIGINT - 1) & 1
        return os.getppid(), 0

    first = state()
    while state() == first:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)


def adopt_orphans():
    """Children of our children become ours when their parent ends (Linux): `end_children` sees them all."""
    if sys.platform == "linux":
        pr_set_child_subreaper = 36
        ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0)


def end_children():
    left = psutil.Process().children(recursive=True)
    for act in (psutil.Process.terminate, psutil.Process.kill):
        for process in left:
            with contextlib.suppress(psutil.Error):
                act(process)
        left = psutil.wait_procs(left, timeout=5)[1]


@contextlib.contextmanager
def locked(name, quiet=False):
    """The folder .local/NAME, to one process at a time."""
    state = LOCAL / name
    state.mkdir(parents=True, exist_ok=True)
    if state.stat().st_uid != os.geteuid():
        fail(f"{state} belongs to another user")
    with open(LOCAL / f"{name}.lock", "a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if quiet:
                raise
            lock.seek(0)
            fail(f"the stack in {state.relative_to(ROOT)} is running already (process {lock.read().strip()}); stop it first")
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield state


def setting(name):
    """From the environment, else from .env, else the default."""
    values = DEFAULTS
    if (ROOT / ".env").exists():
        lines = (line.partition("=") for line in (ROOT / ".env").read_text().splitlines())
        values = values | {key.strip(): value.strip().strip("\"'") for key, _, value in lines}
    value = os.environ.get(name) or values.get(name)
    # Not any free one: users are known by their provider's issuer, which has to stay.
    return str(int(setting("PORT")) + 400) if name == "OIDC_PORT" and not value else value


def free_port(name=""):
    """The port that setting `name` asks for, which must be free, or any."""
    wanted = setting(name) or "0"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(wanted)))
        except OSError as error:
            fail(f"port {wanted}: {error.strerror}; choose another with {name}=")
        except (ValueError, OverflowError):
            fail(f"{name}={wanted} is not a port")
        return str(probe.getsockname()[1])


def write_private(path, text):
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)


def say(text):
    print(f"==> {text}", flush=True)


def fail(text, log=None):
    if log and log.exists():
        end_of_log = log.read_text(errors="replace").splitlines()[-25:]
        print(f"--- {log.relative_to(ROOT)}", *end_of_log, "---", sep="\n", file=sys.stderr)
    sys.exit(f"error: {text}")
