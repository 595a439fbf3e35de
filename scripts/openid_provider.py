"""An OpenID provider for this machine: a page to sign in with, and people who have no password.

It holds its client to the rules: an exact redirect URI, PKCE with S256, the client's secret, a code
that serves once and for a minute. It names itself in its answers (RFC 9207), issues access tokens
that are JWTs (RFC 9068), and tells its client of sessions that end (Back-Channel Logout 1.0).
"""

import base64
import hashlib
import hmac
import secrets
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

# From .venv, whose Python runs this.
import flask
import joserfc.errors
from joserfc import jwk, jwt
from werkzeug.serving import make_server

PAGES = Path(__file__).parent / "pages"
CODE_SECONDS, TOKEN_SECONDS = 60, 300
PEOPLE = {
    "dana": {"name": "Dana Okafor", "email": "dana@demo.example", "groups": ["clinic-admins"]},
    "lev": {"name": "Lev Marchetti", "email": "lev@demo.example", "groups": ["laboratory"]},
    "vera": {"name": "Vera Lindqvist", "email": "vera@demo.example", "groups": []},
}


@dataclass
class Client:
    """The one application that is registered."""
    id: str
    secret: str
    redirect_uri: str
    post_logout_redirect_uri: str
    backchannel_logout_uri: str
    audience: str
    tenant: str = ""  # known once the demo tenant is there


class Provider:
    def __init__(self, issuer, key, client):
        self.issuer, self.client = issuer, client
        self.key = jwk.ECKey.import_key(key)
        self.codes, self.sessions = {}, {}

    def serve(self, port, api):
        """In a thread of this process, until that ends."""
        server = make_server("127.0.0.1", port, self.app(api), threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def app(self, api):
        app = flask.Flask(__name__, template_folder=PAGES, static_folder=None)
        app.jinja_env.globals |= {"people": PEOPLE, "issuer": self.issuer, "api": api, "client": self.client}
        app.get("/", endpoint="app")(lambda: flask.render_template("app.html"))
        app.get("/.well-known/openid-configuration")(self.configuration)
        app.get("/keys", endpoint="keys")(lambda: {"keys": [self.public_key()]})
        app.get("/authorize")(self.ask)
        app.post("/authorize")(self.answer)
        app.post("/token")(self.token)
        app.get("/logout")(self.logout)
        app.get("/sessions", endpoint="sessions")(lambda: flask.render_template("sessions.html", sessions=self.sessions))
        app.post("/sessions")(self.end_one)
        return app

    def configuration(self):
        return {
            "issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys",
            **{f"{name}_endpoint": f"{self.issuer}/{path}" for name, path in
               (("authorization", "authorize"), ("token", "token"), ("end_session", "logout"))},
            "response_types_supported": ["code"], "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code"], "code_challenge_methods_supported": ["S256"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["ES256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "scopes_supported": ["openid", "profile", "email"],
            "authorization_response_iss_parameter_supported": True,
            "backchannel_logout_supported": True, "backchannel_logout_session_supported": True,
        }

    def public_key(self):
        return self.key.as_dict(private=False) | {"kid": self.key.thumbprint(), "use": "sig", "alg": "ES256"}

    # --- Signing in ---

    def ask(self):
        return self.refused() or flask.render_template("sign_in.html")

    def answer(self):
        if refused := self.refused():
            return refused
        person = flask.request.form.get("person")
        if person not in PEOPLE:
            return self.back({"error": "access_denied"})
        sid, code = secrets.token_urlsafe(16), secrets.token_urlsafe(24)
        self.sessions[sid] = person
        self.codes[code] = {"until": time.monotonic() + CODE_SECONDS, "sid": sid, "person": person,
                            "auth_time": int(time.time()), "asked": flask.request.args.to_dict()}
        answer = self.back({"code": code})
        answer.set_cookie("provider-session", sid, httponly=True, samesite="Lax")
        return answer

    def refused(self):
        """The answer to a request that is not as it must be: to the client, if it is known to be ours."""
        asked = flask.request.args
        if (asked.get("client_id"), asked.get("redirect_uri")) != (self.client.id, self.client.redirect_uri):
            return "Unknown client_id or redirect_uri.", 400
        if asked.get("response_type") != "code":
            return self.back({"error": "unsupported_response_type"})
        if "openid" not in asked.get("scope", "").split():
            return self.back({"error": "invalid_scope"})
        if asked.get("code_challenge_method") != "S256" or len(asked.get("code_challenge", "")) != 43:
            return self.back({"error": "invalid_request", "error_description": "PKCE with S256 is required"})
        return self.back({"error": "login_required"}) if asked.get("prompt") == "none" else None

    def back(self, answer):
        state = {"state": flask.request.args["state"]} if "state" in flask.request.args else {}
        return flask.redirect(with_query(self.client.redirect_uri, answer | state | {"iss": self.issuer}), 303)

    # --- Tokens ---

    def token(self):
        form = flask.request.form
        sent = flask.request.authorization or form
        unquote = urllib.parse.unquote_plus if flask.request.authorization else str  # RFC 6749, 2.3.1
        id = unquote(sent.get("username") or sent.get("client_id") or "")
        secret = unquote(sent.get("password") or sent.get("client_secret") or "")
        if id != self.client.id or not hmac.compare_digest(secret.encode(), self.client.secret.encode()):
            return {"error": "invalid_client"}, 401, {"WWW-Authenticate": "Basic"}
        if form.get("grant_type") != "authorization_code":
            return {"error": "unsupported_grant_type"}, 400
        code = self.codes.pop(form.get("code"), None)
        if not code or code["until"] < time.monotonic() or form.get("redirect_uri") != code["asked"]["redirect_uri"]:
            return {"error": "invalid_grant"}, 400
        challenge = base64url(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if not hmac.compare_digest(challenge, code["asked"]["code_challenge"]):
            return {"error": "invalid_grant"}, 400
        return {"token_type": "Bearer", "expires_in": TOKEN_SECONDS, "scope": code["asked"]["scope"],
                "id_token": self.id_token(code), "access_token": self.access_token(code)}, {"Cache-Control": "no-store"}

    def id_token(self, code):
        nonce = {"nonce": code["asked"]["nonce"]} if "nonce" in code["asked"] else {}
        return self.signed("JWT", code["person"], aud=self.client.id, sid=code["sid"], auth_time=code["auth_time"],
                           email_verified=True, tenant_id=self.client.tenant, **nonce, **PEOPLE[code["person"]])

    def access_token(self, code):
        return self.signed("at+jwt", code["person"], aud=self.client.audience, client_id=self.client.id,
                           scope=code["asked"]["scope"], tenant_id=self.client.tenant,
                           groups=PEOPLE[code["person"]]["groups"])

    def signed(self, typ, person, **claims):
        now = int(time.time())
        times = {"iat": now, "exp": now + TOKEN_SECONDS, "jti": secrets.token_urlsafe(16)}
        header = {"typ": typ, "alg": "ES256", "kid": self.key.thumbprint()}
        return jwt.encode(header, {"iss": self.issuer, "sub": person} | times | claims, self.key)

    # --- Signing out ---

    def logout(self):
        """RP-Initiated Logout 1.0: whose session it is says the hint, or the browser."""
        asked, sid = flask.request.args, flask.request.cookies.get("provider-session")
        if hint := asked.get("id_token_hint"):
            try:
                sid = jwt.decode(hint, self.key, algorithms=["ES256"]).claims.get("sid")
            except (joserfc.errors.JoseError, ValueError):
                return "This id_token_hint is not one of ours.", 400
        elif asked.get("client_id") != self.client.id:
            return "A sign-out needs an id_token_hint or our client_id.", 400
        self.end(sid)
        back = asked.get("post_logout_redirect_uri")
        if back != self.client.post_logout_redirect_uri:
            return "Signed out."
        return flask.redirect(with_query(back, {"state": asked["state"]} if "state" in asked else {}), 303)

    def end_one(self):
        status = self.end(flask.request.form.get("sid"))
        return flask.render_template("sessions.html", sessions=self.sessions, status=status)

    def end(self, sid):
        """Ends the session and tells the client; the status of its answer."""
        person = self.sessions.pop(sid, None)
        if not person:
            return None
        token = self.signed("logout+jwt", person, aud=self.client.id, sid=sid,
                            events={"http://schemas.openid.net/event/backchannel-logout": {}})
        form = urllib.parse.urlencode({"logout_token": token}).encode()
        try:
            with urllib.request.urlopen(self.client.backchannel_logout_uri, form, timeout=5) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError as error:
            return str(error)


def new_key():
    return jwk.ECKey.generate_key("P-256").as_dict(private=True)


def with_query(url, parameters):
    return url + (("&" if "?" in url else "?") + urllib.parse.urlencode(parameters) if parameters else "")


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
