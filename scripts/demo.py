"""The demo tenant of the development stack, made through the API like any other."""

import json
import urllib.error
import urllib.request

from process import fail, say

ADMIN = {"tenant": "demo", "email": "admin@demo.example", "password": "correct-horse-battery-staple"}
PROVIDERS = "/tenants/current/identity-providers"


def seed(url, provider, log):
    """The tenant, its admin, and `provider` to sign in with; what is there already stays."""
    status, answer = http(f"{url}/api/v1/auth/signup", {
        "organization": {"slug": ADMIN["tenant"], "name": "Demo Clinic"}, "email": ADMIN["email"],
        "password": ADMIN["password"], "display_name": "Demo Admin"})
    if status not in (201, 409):  # 409: it is there from an earlier run
        fail(f"the demo tenant could not be made: {status} {answer}", log)
    status, answer = http(f"{url}/api/v1/auth/login", ADMIN)
    if status != 200:
        return say(f"The demo admin has another password by now: the OpenID provider is left as it was ({status})")
    token = json.loads(answer)["access_token"]

    def api(path, body=None, **options):
        status, answer = http(f"{url}/api/v1{path}", body, token, **options)
        if status not in (200, 201, 204):
            fail(f"the OpenID provider could not be registered: {status} {answer}", log)
        return json.loads(answer or "null")

    provider.client.tenant = api("/tenants/current")["id"]
    wanted = registration(provider)
    there = next((each for each in api(f"{PROVIDERS}?limit=100")["items"] if each["name"] == wanted["name"]), None)
    if not there:
        api(PROVIDERS, wanted)
    elif any(there[field] != value for field, value in wanted.items() if field != "client_secret"):
        api(f"{PROVIDERS}/{there['id']}", wanted, method="PATCH", headers={"If-Match": f'"{there["version"]}"'})
    api("/auth/logout", method="POST")


def registration(provider):
    return {
        "name": "local", "issuer": provider.issuer, "audiences": [provider.client.audience],
        "client_id": provider.client.id, "client_secret": provider.client.secret, "tenant_claim": "tenant_id",
        "role_claim": "groups", "role_map": {"clinic-admins": "admin", "laboratory": "analyst"},
        "default_role": "viewer", "jit_provisioning": True, "allowed_algorithms": ["ES256"],
    }


def http(url, body=None, token=None, method=None, headers={}):
    headers = {"content-type": "application/json"} | headers | ({"authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, body and json.dumps(body).encode(), headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return None, str(error)


def banner(url, provider):
    return f"""
Tenantry is running at {url}

  Documentation  README.md and docs/
  Tenant         {ADMIN["tenant"]}
  E-mail         {ADMIN["email"]}
  Password       {ADMIN["password"]}
  Or sign in with the OpenID provider: open {provider.issuer}/

Paste these into another terminal:

  curl -sSi {url}/api/v1/health/ready
  TOKEN=$(curl -sS {url}/api/v1/auth/login -H 'Content-Type: application/json' -d '{json.dumps(ADMIN)}' | sed -E 's/.*"access_token":"([^"]+)".*/\\1/')
  curl -sSi {url}/api/v1/todos -H "Authorization: Bearer $TOKEN"

Code is rebuilt when it changes. Ctrl-C stops everything; the data stay (`make clean-data` drops them).
The functions' log follows.
"""
