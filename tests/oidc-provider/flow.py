"""The sign-in flow and bearer tokens against a certified OpenID provider (npm `oidc-provider`).

Run by `make test-oidc`, which starts the functions and sets DEMO_URL.
"""

import base64
import hashlib
import json
import os
import secrets
import socket
import subprocess
import sys
import unittest
import urllib.parse
from pathlib import Path

import requests  # from .venv

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from browser import Browser, link, query
from demo import ADMIN

API = os.environ["DEMO_URL"] + "/api/v1"
APP = os.environ["DEMO_PROVIDER"]  # an origin that ALLOWED_ORIGINS names
BACK = f"{APP}/"
AUDIENCE = "https://api.demo.example"
FOREIGN_TENANT = "01a1fc41-df99-7f23-9e62-0894bb898607"


class Flow:
    algorithm = None

    @classmethod
    def setUpClass(cls):
        cls.name = f"certified-{cls.algorithm.lower()}"
        admin = requests.post(f"{API}/auth/login", json=ADMIN, timeout=20).json()["access_token"]
        cls.admin = {"Authorization": f"Bearer {admin}"}
        tenant = requests.get(f"{API}/tenants/current", headers=cls.admin, timeout=20).json()["id"]
        cls.start_provider(tenant)
        answer = requests.post(f"{API}/tenants/current/identity-providers", headers=cls.admin, timeout=20, json={
            "name": cls.name, "issuer": cls.issuer, "audiences": [AUDIENCE], "client_id": "tenantry",
            "client_secret": cls.secret, "role_claim": "groups", "jit_provisioning": True,
            "role_map": {"clinic-admins": "admin", "laboratory": "analyst"}, "allowed_algorithms": [cls.algorithm]})
        assert answer.status_code == 201, answer.text
        found = requests.post(f"{API}/tenants/current/identity-providers/{answer.json()['id']}/test",
                              headers=cls.admin, timeout=20)
        assert found.json()["findings"] == [], found.text

    @classmethod
    def start_provider(cls, tenant):
        port, cls.secret = free_port(), secrets.token_urlsafe(32)
        cls.issuer, cls.callback = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{free_port()}/callback"
        ours = f"{API}/auth/oidc/{cls.name}"
        member = {"email_verified": True, "tenant_id": tenant}
        settings = {
            "port": port, "algorithm": cls.algorithm, "audience": AUDIENCE,
            "clients": [
                {"client_id": "tenantry", "client_secret": cls.secret, "redirect_uris": [f"{ours}/callback?tenant=demo"],
                 "post_logout_redirect_uris": [BACK], "backchannel_logout_uri": f"{ours}/backchannel-logout?tenant=demo",
                 "backchannel_logout_session_required": True},
                {"client_id": "script", "token_endpoint_auth_method": "none", "redirect_uris": [cls.callback],
                 "application_type": "native"},
            ],
            "people": {
                "ada": {"name": "Ada Byron", "email": f"ada@{cls.name}.example", "groups": ["clinic-admins"], **member},
                "lin": {"name": "Lin Wei", "email": f"lin@{cls.name}.example", "groups": ["laboratory"], **member},
                "eve": {"name": "Eve", "email": f"eve@{cls.name}.example", "groups": ["clinic-admins"],
                        "email_verified": True, "tenant_id": FOREIGN_TENANT},
                "nemo": {"name": "Nemo", "email": f"nemo@{cls.name}.example", "groups": [], "email_verified": True},
            },
        }
        cls.provider = subprocess.Popen(["node", "provider.js", json.dumps(settings)], cwd=Path(__file__).parent,
                                        stdout=subprocess.PIPE, text=True)
        cls.addClassCleanup(cls.stop_provider)
        for line in cls.provider.stdout:
            if line.startswith("ready"):
                return
        raise AssertionError("the provider did not start")

    @classmethod
    def stop_provider(cls):
        cls.provider.terminate()
        cls.provider.wait(10)
        cls.provider.stdout.close()

    def sign_in(self, browser, person):
        """Walks from login through the provider's pages back to the application: where it ends, and the tokens."""
        page = browser.get(login(self.name), until=BACK)
        end = page if isinstance(page, str) else self.through(browser, page, person, until=BACK)
        return end, self.refreshed(browser)

    def through(self, browser, page, person, until):
        if "password" in page.text:
            page = browser.submit(page, until=until, login=person, password="any")
        return page if isinstance(page, str) else browser.submit(page, until=until)  # consent, the first time

    def refreshed(self, browser):
        answer = browser.request("POST", f"{API}/auth/refresh", headers={"Origin": APP})
        self.assertEqual(answer.status_code, 200, answer.text)
        return answer.json()["access_token"]

    def me(self, token):
        answer = requests.get(f"{API}/auth/me", headers={"Authorization": f"Bearer {token}"}, timeout=20)
        return answer.status_code, answer.json()

    def access_token(self, person):
        """An access token of the provider for the API, as a program of the customer gets it."""
        verifier = secrets.token_urlsafe(32)
        asked = {"client_id": "script", "response_type": "code", "redirect_uri": self.callback, "scope": "openid api",
                 "resource": AUDIENCE, "code_challenge_method": "S256", "state": "s",
                 "code_challenge": base64url(hashlib.sha256(verifier.encode()).digest())}
        browser = Browser()
        page = browser.get(f"{self.issuer}/auth?{urllib.parse.urlencode(asked)}")
        answer = query(self.through(browser, page, person, until=self.callback))
        tokens = requests.post(f"{self.issuer}/token", timeout=20, data={
            "grant_type": "authorization_code", "code": answer["code"], "redirect_uri": self.callback,
            "client_id": "script", "code_verifier": verifier, "resource": AUDIENCE})
        self.assertEqual(tokens.status_code, 200, tokens.text)
        return tokens.json()["access_token"]

    def code(self, answer):
        return answer.status_code, answer.json()["error"]["code"]

    # --- Signing in ---

    def test_a_person_signs_in_and_is_who_the_provider_says(self):
        for person, name, role in (("ada", "Ada Byron", "admin"), ("lin", "Lin Wei", "analyst")):
            end, token = self.sign_in(Browser(), person)
            self.assertNotIn("error", query(end))
            status, me = self.me(token)
            self.assertEqual((status, me["user"]["display_name"], me["user"]["role"]), (200, name, role))
            self.assertEqual((me["user"]["email"], me["tenant"]["slug"]), (f"{person}@{self.name}.example", "demo"))

    def test_who_signs_in_again_is_the_same_user(self):
        first, second = (self.me(self.sign_in(Browser(), "lin")[1])[1]["user"]["id"] for _ in range(2))
        self.assertEqual(first, second)

    def test_who_cancels_at_the_provider_is_not_signed_in(self):
        browser = Browser()
        page = browser.get(login(self.name))
        end = browser.get(f"{page.url}/abort")
        self.assertEqual(self.code(end), (400, "AUTH_010"))

    def test_another_tenants_person_is_refused(self):
        browser = Browser()
        end = self.through(browser, browser.get(login(self.name)), "eve", until=BACK)
        self.assertEqual(self.code(end), (403, "TEN_003"))

    # --- Signing out ---

    def test_a_sign_out_leads_to_the_providers_own(self):
        browser = Browser()
        _, token = self.sign_in(browser, "ada")
        answer = browser.request("POST", f"{API}/auth/logout", headers={"Authorization": f"Bearer {token}"})
        self.assertEqual(answer.status_code, 204, answer.text)
        self.assertEqual(self.me(token)[1]["error"]["code"], "AUTH_006")
        target = link(answer, "end-session")
        self.assertTrue(target and target.startswith(f"{self.issuer}/session/end"), answer.headers)
        page = browser.get(target, until=BACK)
        if not isinstance(page, str):
            browser.submit(page, until=BACK, logout="yes")
        self.assertIn("password", browser.get(login(self.name)).text, "the provider asks who it is again")

    def test_a_session_that_ends_at_the_provider_ends_here(self):
        browser, other = Browser(), Browser()
        (_, ended), (_, kept) = self.sign_in(browser, "lin"), self.sign_in(other, "lin")
        page = browser.get(f"{self.issuer}/session/end?client_id=tenantry")
        browser.submit(page, logout="yes")
        self.assertEqual(self.me(ended)[1]["error"]["code"], "AUTH_006")
        self.assertEqual(self.me(kept)[0], 200, "the same person's session in another browser stays")

    # --- Bearer tokens ---

    def test_an_access_token_of_the_provider_is_taken(self):
        token = self.access_token("lin")
        answer = requests.get(f"{API}/todos", headers={"Authorization": f"Bearer {token}"}, timeout=20)
        self.assertEqual(answer.status_code, 200, answer.text)
        answer = requests.get(f"{API}/users", headers={"Authorization": f"Bearer {token}"}, timeout=20)
        self.assertIn(answer.status_code, (403, 404), "an analyst is no admin")

    def test_a_token_is_for_the_tenant_that_it_names_and_no_other(self):
        for person, expected in (("eve", (403, "TEN_003")), ("nemo", (403, "TEN_001"))):
            headers = {"Authorization": f"Bearer {self.access_token(person)}"}
            self.assertEqual(self.code(requests.get(f"{API}/todos", headers=headers, timeout=20)), expected, person)


class WithRS256(Flow, unittest.TestCase):
    algorithm = "RS256"


class WithES256(Flow, unittest.TestCase):
    algorithm = "ES256"


def login(provider):
    parameters = urllib.parse.urlencode({"tenant": "demo", "redirect_uri": BACK})
    return f"{API}/auth/oidc/{provider}/login?{parameters}"


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    unittest.main(verbosity=2)
