"""A browser without a screen: it keeps cookies, follows redirects and submits forms."""

import re
import urllib.parse
from html.parser import HTMLParser

import requests  # from .venv


class Browser:
    def __init__(self):
        self.session = requests.Session()

    def request(self, method, url, **options):
        answer = self.session.request(method, url, allow_redirects=False, timeout=20, **options)
        for cookie in self.session.cookies:
            cookie.secure = False  # they travel on loopback too, as in Chromium
        return answer

    def get(self, url, until=None):
        """The answer at the end of the redirects, or the URL that begins with `until`, which is not opened."""
        return self.follow(self.request("GET", url), until)

    def submit(self, page, until=None, **fields):
        """Fills the page's form in and sends it."""
        form = Form(page.text)
        url = urllib.parse.urljoin(page.url, form.action)
        return self.follow(self.request("POST", url, data=form.fields | fields), until)

    def follow(self, answer, until):
        for _ in range(20):
            if not answer.is_redirect:
                return answer
            url = urllib.parse.urljoin(answer.url, answer.headers["location"])
            if until and url.startswith(until):
                return url
            answer = self.request("GET", url)
        raise AssertionError(f"redirects without end: {answer.url}")


class Form(HTMLParser):
    """The first form of a page: where it goes, and the fields that are filled in."""

    def __init__(self, html):
        super().__init__()
        self.action, self.fields = None, {}
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form" and self.action is None:
            self.action = attributes.get("action") or ""
        if tag == "input" and attributes.get("name") and "value" in attributes:
            self.fields[attributes["name"]] = attributes["value"]


def link(answer, relation):
    """The target of the `Link` header with this relation (RFC 8288)."""
    found = re.search(rf'<([^>]+)>\s*;\s*rel="{relation}"', answer.headers.get("link", ""))
    return found and found[1]


def query(url):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
