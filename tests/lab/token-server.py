#!/usr/bin/python3
"""Token server for a docker-registry with auth.token, as the distribution documentation describes it.

GET /token?service=S&scope=repository:NAME:ACTIONS (several scopes allowed), with Basic or anonymous.
POST /token with grant_type=password or refresh_token. Anonymous callers may pull only where the
settings say so. Every request is a JSON line in the log: method, grant, user, scopes, status.

Settings (a JSON file, read anew for each request; all optional):
  expires_in    seconds the token lives, and what the answer says (default 300)
  omit_expires  true: the answer does not say how long it lives
  backdate      seconds by which the token is older than the answer says (to hand out expired ones;
                the registry allows 60 s of clock difference)
  field         name of the token's field: "token" (default), "access_token" or "both"
  anonymous     true: anyone may pull
  status, headers   answer with this status and these headers, and no token
The key is RSA; tokens are RS256 with the certificate in x5c, which the registry has as its root.
"""
import argparse
import base64
import http.server
import json
import os
import secrets
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse

sys.dont_write_bytecode = True
from tls_handler import TlsHandler  # noqa: E402

USER, PASSWORD = os.environ.get("LAB_USER", ""), os.environ.get("LAB_PASSWORD", "")


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def parse_scopes(texts: list[str]) -> list[dict]:
    """'repository:a/b:pull,push' (several in one text, apart by spaces) as access entries."""
    access = []
    for scope in " ".join(texts).split():
        kind, name, actions = scope.split(":", 1)[0], scope.split(":", 1)[1].rsplit(":", 1)[0], scope.rsplit(":", 1)[1]
        access.append({"type": kind, "name": name, "actions": actions.split(",")})
    return access


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.args = args
        self.lock = threading.Lock()
        self.refresh: dict[str, str] = {}
        pem = open(args.cert, encoding="ascii").read()
        self.x5c = "".join(line for line in pem.splitlines() if "-----" not in line)
        self.tls = None
        if args.tls_cert:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(args.tls_cert, args.tls_key)

    def settings(self) -> dict:
        with open(self.args.config, encoding="utf-8") as file:
            return json.load(file)

    def log(self, **entry: object) -> None:
        with self.lock, open(self.args.log, "a", encoding="utf-8") as out:
            out.write(json.dumps({"time": round(time.time(), 3), **entry}) + "\n")

    def sign(self, claims: dict) -> str:
        head = {"typ": "JWT", "alg": "RS256", "x5c": [self.x5c]}
        text = b64url(json.dumps(head).encode()) + "." + b64url(json.dumps(claims).encode())
        command = ["openssl", "dgst", "-sha256", "-sign", self.args.key]
        made = subprocess.run(command, input=text.encode(), stdout=subprocess.PIPE, check=True)
        return text + "." + b64url(made.stdout)


class Handler(TlsHandler):
    server: Server

    def do_GET(self) -> None:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        user, good = "", True
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        if kind:
            user, _, password = base64.b64decode(value).decode().partition(":")
            good = kind == "Basic" and (user, password) == (USER, PASSWORD)
        self.grant("basic" if kind else "anonymous", user, good, query)

    def do_POST(self) -> None:
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
        grant = form.get("grant_type", [""])[0]
        if grant == "refresh_token":
            user = self.server.refresh.get(form.get("refresh_token", [""])[0], "")
            self.grant(grant, user, user != "", form)
        else:
            given = (form.get("username", [""])[0], form.get("password", [""])[0])
            self.grant(grant, given[0], grant == "password" and given == (USER, PASSWORD), form)

    def grant(self, grant: str, user: str, good: bool, query: dict[str, list[str]]) -> None:
        """Answers one request: a token, or a refusal."""
        settings = self.server.settings()
        scopes = query.get("scope", [])
        status = settings.get("status", 200 if good else 401)
        self.server.log(method=self.command, grant=grant, user=user, scopes=scopes, status=status)
        if status != 200:
            return self.answer(status, {"errors": [{"code": "DENIED", "message": "no token"}]}, settings)
        access = parse_scopes(scopes)
        if not user:
            may = {"pull"} if settings.get("anonymous") else set()
            access = [{**a, "actions": sorted(may & set(a["actions"]))} for a in access]
        now = int(time.time()) - settings.get("backdate", 0)
        life = settings.get("expires_in", 300)
        claims = {
            "iss": self.server.args.issuer, "aud": self.server.args.service, "sub": user,
            "iat": now, "nbf": now - 10, "exp": now + life, "jti": secrets.token_hex(8), "access": access,
        }
        body: dict[str, object] = {"issued_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        field = settings.get("field", "access_token" if self.command == "POST" else "token")
        for name in ("token", "access_token") if field == "both" else (field,):
            body[name] = self.server.sign(claims)
        if not settings.get("omit_expires"):
            body["expires_in"] = life
        wants = query.get("offline_token", [""])[0] == "true" or query.get("access_type", [""])[0] == "offline"
        if user and (wants or grant == "refresh_token"):
            body["refresh_token"] = secrets.token_hex(16)
            self.server.refresh[str(body["refresh_token"])] = user
        return self.answer(200, body, {})

    def answer(self, status: int, body: dict, settings: dict) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in settings.get("headers", {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """The JSON log says it all."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("addr-file", "key", "cert", "service", "issuer", "config", "log"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--tls-cert")
    parser.add_argument("--tls-key")
    args = parser.parse_args()
    server = Server(args)
    with open(args.addr_file + ".new", "w", encoding="ascii") as out:
        out.write(f"127.0.0.1:{server.server_port}\n")
    os.rename(args.addr_file + ".new", args.addr_file)
    server.serve_forever()


if __name__ == "__main__":
    main()
