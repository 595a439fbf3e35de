"""A person signs in with the local OpenID provider, in a real browser.

Run by `make test-browser`, which starts the functions and sets DEMO_URL and DEMO_PROVIDER.
"""

import json
import os
import unittest

from chromium import Chromium

API = os.environ["DEMO_URL"] + "/api/v1"
APP = os.environ["DEMO_PROVIDER"] + "/"
SESSIONS = APP + "sessions"


class SignIn(unittest.TestCase):
    def setUp(self):
        self.browser = self.enterContext(Chromium())

    def sign_in(self, person):
        self.browser.open(APP)
        self.browser.click("#sign-in")
        self.browser.click(f"button[value={person}]")
        return json.loads(self.browser.text("#me"))

    def test_from_login_to_me(self):
        me = self.sign_in("dana")
        self.assertEqual((me["user"]["display_name"], me["user"]["email"]), ("Dana Okafor", "dana@demo.example"))
        self.assertEqual((me["user"]["role"], me["tenant"]["slug"]), ("admin", "demo"))
        self.assertEqual(self.browser.address(), APP, "no code and no token stands in the address")

    def test_another_person_has_the_role_of_another_group(self):
        self.assertEqual(self.sign_in("lev")["user"]["role"], "analyst")

    def test_the_refresh_token_is_a_cookie_that_no_script_reads(self):
        self.sign_in("dana")
        self.browser.open(f"{API}/health/live")
        cookie = self.browser.cookies()["__Host-refresh"]
        self.assertEqual((cookie["httpOnly"], cookie["secure"], cookie["sameSite"]), (True, True, "Strict"))
        # Cookies know no ports, so the provider's own is here too.
        self.assertEqual(self.browser.cookies().keys() - {"provider-session"}, {"__Host-refresh"}, "nothing is left of the way")

    def test_who_comes_back_is_still_signed_in_until_the_sign_out(self):
        self.sign_in("dana")
        self.browser.open(APP)
        self.assertEqual(self.browser.text("#name"), "Dana Okafor")
        self.browser.click("#sign-out")
        self.browser.wait("the sign-in", lambda: self.browser.visible("#sign-in"))
        self.browser.open(APP)
        self.browser.wait("the sign-in", lambda: self.browser.visible("#sign-in"))

    def test_a_session_that_ends_at_the_provider_ends_here(self):
        self.sign_in("vera")
        self.browser.open(SESSIONS)
        for _ in range(len(self.browser.find("button"))):
            self.browser.click("button")
            self.assertRegex(self.browser.text("#status"), "answered 20[04]")
        self.browser.open(APP)
        self.browser.wait("the sign-in", lambda: self.browser.visible("#sign-in"))

    def test_who_refuses_at_the_provider_is_told_so(self):
        self.browser.open(APP)
        self.browser.click("#sign-in")
        self.browser.click("button[value='']")
        self.browser.wait("the refusal", lambda: "AUTH_010" in self.browser.source() + self.browser.address())


if __name__ == "__main__":
    unittest.main(verbosity=2)
