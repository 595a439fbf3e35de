"""The local stack: Postgres, Secrets Manager, KMS, an OpenID provider, and the functions behind one port.

  stack.py run               the development stack, its state in .local/dev, until it is stopped
  stack.py with NAME -- CMD  a throw-away stack in .local/NAME for as long as CMD runs; the functions too
                             with --functions, at DEMO_URL
  stack.py exec -- CMD       CMD with the settings of the running development stack
  stack.py clean             drops the development stack's state
"""

import argparse
import contextlib
import os
import shlex
import shutil
import sys
import time
import tomllib
from pathlib import Path
from types import SimpleNamespace

from demo import banner, http, seed
from process import LOCAL, ROOT, call, fail, free_port, locked, managed, say, server, write_private
from servers import servers, start_provider

BIN = Path(sys.executable).parent
MIGRATE = ["cargo", "run", "--quiet", "--bin", "ops", "--", '{"action":"migrate"}']
PORTS = ("PORT", "PGPORT", "MOTO_PORT", "OIDC_PORT")
# Taken away, so that a developer's own account is never reached by accident.
REAL_ACCOUNT = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("run")
    actions.add_parser("clean")
    actions.add_parser("exec").add_argument("command", nargs="+")
    with_ = actions.add_parser("with")
    with_.add_argument("--functions", action="store_true")
    with_.add_argument("name")
    with_.add_argument("command", nargs="+")
    arguments = parser.parse_args()

    for name in REAL_ACCOUNT:
        os.environ.pop(name, None)
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1", "localhost"]))
    os.chdir(ROOT)
    with managed():
        match arguments.action:
            case "run": run()
            case "with": sys.exit(run_with(arguments.name, arguments.command, arguments.functions))
            case "exec": execute(arguments.command)
            case "clean": clean()


def run():
    for name in PORTS:
        free_port(name)  # before minutes of building
    with locked("dev") as state, everything(state, durable=True) as up, up.log.open(errors="replace") as lines:
        lines.seek(0, os.SEEK_END)
        print(banner(up.url, up.provider), flush=True)
        while up.functions.poll() is None and up.postgres.poll() is None:
            print(lines.read(), end="", flush=True)
            time.sleep(0.2)
        if up.functions.poll() is None:
            fail("Postgres ended", state / "postgres.log")
        fail("cargo lambda watch ended", up.log)


def run_with(name, command, functions):
    with locked(name) as state:
        shutil.rmtree(state)
        state.mkdir()
        if functions:
            os.environ.update({"PORT": free_port(), "OIDC_PORT": free_port(), "AUTH_RATE_LIMIT_PER_MINUTE": "10000"})
            with everything(state, durable=False) as up:
                status = call(command, up.environment | {"DEMO_URL": up.url, "DEMO_PROVIDER": up.provider.issuer})
        else:
            with servers(state, free_port(), free_port(), durable=False) as (environment, _):
                status = call(command, environment)
        shutil.rmtree(state)
        return status


@contextlib.contextmanager
def everything(state, durable):
    """The servers and the functions, with the demo tenant."""
    say("Building the functions")
    if call(["cargo", "build", *(part for name in function_names() for part in ("--bin", name))]):
        fail("the functions do not build")
    say("Starting Postgres, Secrets Manager, KMS and an OpenID provider")
    port, log = free_port("PORT"), state / "functions.log"
    with servers(state, free_port("PGPORT"), free_port("MOTO_PORT"), durable) as (environment, postgres):
        write_private(state / "env", "".join(f"{k}={shlex.quote(v)}\n" for k, v in environment.items()))
        provider = start_provider(state)
        say("Migrating the database")
        with (state / "migrate.log").open("wb") as output:
            if call(MIGRATE, environment, stdout=output):
                fail("the migration failed", state / "migrate.log")
        say("Starting the functions")
        watch = [BIN / "cargo-lambda", "lambda", "watch", "-A", "127.0.0.1", "-P", port]
        with server(watch, log, env=os.environ | environment) as functions:
            url = f"http://127.0.0.1:{port}"
            await_ready(url, functions, log)
            seed(url, provider, log)
            yield SimpleNamespace(url=url, provider=provider, environment=environment, log=log,
                                  functions=functions, postgres=postgres)


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


if __name__ == "__main__":
    main()
