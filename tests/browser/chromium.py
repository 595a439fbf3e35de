"""Chromium without a screen, driven by its own driver (W3C WebDriver)."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import requests  # from .venv

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Quiet, and nothing that calls home.
FLAGS = ("--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def programs():
    """The browser and its driver; installs Debian's where there are none and that is possible."""
    for attempt in range(2):
        browser = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
        driver = os.environ.get("CHROMEDRIVER") or shutil.which("chromedriver")
        if browser and driver:
            return browser, driver
        if attempt or os.geteuid() != 0 or not shutil.which("apt-get"):
            sys.exit("error: the browser test needs Chromium and its chromedriver, of one version (Debian: `apt-get install "
                     "chromium chromium-driver`); CHROMIUM= and CHROMEDRIVER= name them where they are not on the PATH")
        print("==> Installing chromium and chromium-driver", flush=True)
        subprocess.run(["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "chromium", "chromium-driver"])


class Chromium:
    """A window of a new profile; as a context, it is closed at the end."""

    def __enter__(self):
        browser, driver = programs()
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.driver = subprocess.Popen([driver, f"--port={port}", "--log-level=SEVERE"], stdout=subprocess.DEVNULL)
        self.url = f"http://127.0.0.1:{port}"
        flags = [*FLAGS, f"--user-data-dir={self.profile.name}", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        options = {"browserName": "chrome", "goog:chromeOptions": {"binary": browser, "args": flags}}
        self.wait("chromedriver", self.is_ready)
        session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": options}})
        self.url += f"/session/{session['sessionId']}"
        return self

    def __exit__(self, *_):
        try:
            self.call("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait(10)
            self.profile.cleanup()

    def is_ready(self):
        try:
            return self.call("GET", "/status")["ready"]
        except requests.ConnectionError:
            return False

    def call(self, method, path, body=None):
        answer = requests.request(method, self.url + path, json=body if method != "POST" else body or {}, timeout=60)
        value = answer.json()["value"]
        if not answer.ok:
            raise AssertionError(f"{method} {path}: {value['error']}: {value['message']}")
        return value

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def address(self):
        return self.call("GET", "/url")

    def find(self, selector):
        found = self.call("POST", "/elements", {"using": "css selector", "value": selector})
        return [element[ELEMENT] for element in found]

    def click(self, selector):
        [element] = self.wait(selector, lambda: self.visible(selector))
        self.call("POST", f"/element/{element}/click")

    def visible(self, selector):
        return [element for element in self.find(selector) if self.call("GET", f"/element/{element}/displayed")]

    def text(self, selector):
        """The text of the one element, once it is shown."""
        [element] = self.wait(selector, lambda: self.visible(selector))
        return self.call("GET", f"/element/{element}/text")

    def source(self):
        return self.call("GET", "/source")

    def cookies(self):
        return {cookie["name"]: cookie for cookie in self.call("GET", "/cookie")}

    def wait(self, what, condition, seconds=20):
        end = time.monotonic() + seconds
        while not (found := condition()):
            if time.monotonic() > end:
                raise AssertionError(f"{what} did not come within {seconds} seconds")
            time.sleep(0.1)
        return found
