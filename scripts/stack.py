"""The local stack: Postgres, Secrets Manager, KMS, an OpenID provider, and the functions behind one port.

  stack.py run               the development stack, its state in .local/dev, until it is stopped
  stack.py with NAME -- CMD  a throw-away stack in .local/NAME for as long as CMD runs
  stack.py exec -- CMD       CMD with the settings of the running development stack
  stack.py clean             drops the development stack's state
"""

import argparse
import os
import shlex
import shutil
import sys
import time
import tomllib
from pathlib import Path

from demo import banner, http, seed
from process import LOCAL, ROOT, call, fail, free_port, locked, managed, say, server, write_private
from servers import servers, start_provider

BIN = Path(sys.executable).parent
MIGRATE = ["cargo", "run", "--quiet", "--bin", "ops", "--", '{"action":"migrate"}']
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

    for name in REAL_ACCOUNT:
        os.environ.pop(name, None)
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1", "localhost"]))
    os.chdir(ROOT)
    with managed():
        match arguments.action:
            case "run": run()
            case "with": sys.exit(run_with(arguments.name, arguments.command))
            case "exec": execute(arguments.command)
            case "clean": clean()


def run():
    for name in ("PORT", "PGPORT", "MOTO_PORT", "OIDC_PORT"):
        free_port(name)  # before minutes of building
    with locked("dev") as state:
        say("Building the functions")
        if call(["cargo", "build", *(part for name in function_names() for part in ("--bin", name))]):
            fail("the functions do not build")
        say("Starting Postgres, Secrets Manager, KMS and an OpenID provider")
        port, log = free_port("PORT"), state / "functions.log"
        with servers(state, free_port("PGPORT"), free_port("MOTO_PORT"), durable=True) as (environment, postgres):
            write_private(state / "env", "".join(f"{k}={shlex.quote(v)}\n" for k, v in environment.items()))
            provider = start_provider(state)
            say("Migrating the database")
            with (state / "migrate.log").open("wb") as output:
                if call(MIGRATE, environment, stdout=output):
                    fail("the migration failed", state / "migrate.log")
            say("Starting the functions")
            watch = [BIN / "cargo-lambda", "lambda", "watch", "-A", "127.0.0.1", "-P", port]
            with server(watch, log, env=os.environ | environment) as functions, log.open(errors="replace") as lines:
                url = f"http://127.0.0.1:{port}"
                await_ready(url, functions, log)
                seed(url, provider, log)
                lines.seek(0, os.SEEK_END)
                print(banner(url, provider), flush=True)
                while functions.poll() is None and postgres.poll() is None:
                    print(lines.read(), end="", flush=True)
                    time.sleep(0.2)
                if functions.poll() is None:
                    fail("Postgres ended", state / "postgres.log")
                fail("cargo lambda watch ended", log)


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
