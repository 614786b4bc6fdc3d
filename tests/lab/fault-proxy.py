#!/usr/bin/python3
"""HTTP/1.1 proxy in front of a registry that injects faults, and logs every request.

With --upstream URL it is a reverse proxy. Without, it is a forward proxy (absolute URLs and CONNECT)
that reaches loopback addresses only, and the names given by --map HOST:PORT=ADDR.

The rules are a JSON array in a file; a new file under that name counts from the next request on, with
all counters at zero. The first rule that takes effect decides; without one the request passes.
  {"method": "GET", "path": "/blobs/", "nth": 2, "times": 1, "do": {"cut": 1000}}
  method     regular expression for the whole method (default: any)
  path       regular expression searched in path and query (default: any)
  has, lacks names of headers that the request must (must not) have, e.g. ["Range"]
  nth        the first matching request that it takes effect on (default 1)
  times      how often it takes effect (default: always)
  do         actions, which may be combined:
    delay S            wait S seconds before anything else
    status N           answer N without asking upstream, with `headers` and `body` or `body_file`
    endless TEXT       answer 200 with TEXT repeated for ever (chunked), with `headers`
    redirect URL       answer 307 (or `status`) to URL plus the request's path and query
    cut_upload N       read N bytes of the request's body, then close the connection
    ignore_range true  ask upstream without the Range header: 200 and the whole body
    headers {K: V}     set headers of the answer; null removes one
    relative true      make the answer's Location relative
    flip N             flip a bit of byte N of the body (negative: from the end)
    length N           Content-Length is wrong by N; the whole body follows, then the end
    chunked true       Transfer-Encoding: chunked instead of Content-Length
    gzip true          body compressed, with Content-Encoding: gzip (and chunked)
    slow N             N bytes a second
    stall N            after N bytes of the body nothing more comes, until the client hangs up
    cut N              after N bytes of the body close the connection; with `reset` true by a RST

A line of the log: time, method, path, host, range, auth (scheme of the Authorization header or null),
auth_id (tells credentials apart without showing them), accept, accept_encoding, agent, rule (the index
or null), status, length (declared, or null), sent (bytes of body), aborted (the client hung up). It is
written before the last bytes go out, so a client that has its answer finds the line.
"""
import argparse
import hashlib
import http.client
import http.server
import json
import os
import re
import select
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.parse
import zlib
from collections.abc import Iterable, Iterator

sys.dont_write_bytecode = True
from tls_handler import TlsHandler  # noqa: E402

RULE_KEYS = {"method", "path", "has", "lacks", "nth", "times", "do"}
ACTIONS = {"delay", "status", "endless", "redirect", "cut_upload", "ignore_range", "headers", "relative", "flip",
           "length", "chunked", "gzip", "slow", "stall", "cut", "reset", "body", "body_file"}
PIECE = 65536
HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-connection",
       "proxy-authorization"}


def check_rules(rules: object) -> None:
    """A rule that cannot take effect is a mistake in a test."""
    if not isinstance(rules, list):
        raise ValueError("rules are no array")
    for rule in rules:
        unknown = set(rule) - RULE_KEYS | set(rule.get("do", {})) - ACTIONS
        if unknown or "do" not in rule:
            raise ValueError(f"bad rule {json.dumps(rule)}: {', '.join(sorted(unknown)) or 'no do'}")


class Rules:
    """The rules file and how often each of its rules has matched."""

    def __init__(self, path: str) -> None:
        self.path, self.lock = path, threading.Lock()
        self.seen: tuple[int, int] | None = None
        self.rules: list[dict] = []
        self.counts: list[int] = []

    def pick(self, method: str, path: str, headers: http.client.HTTPMessage) -> tuple[int | None, dict]:
        with self.lock:
            self.load()
            for index, rule in enumerate(self.rules):
                if self.matches(rule, method, path, headers):
                    self.counts[index] += 1
                    turn = self.counts[index] - rule.get("nth", 1)
                    if 0 <= turn < rule.get("times", sys.maxsize):
                        return index, rule["do"]
        return None, {}

    def load(self) -> None:
        stat = os.stat(self.path)
        if self.seen != (stat.st_ino, stat.st_mtime_ns):
            with open(self.path, encoding="utf-8") as file:
                self.rules = json.load(file)
            check_rules(self.rules)
            self.seen, self.counts = (stat.st_ino, stat.st_mtime_ns), [0] * len(self.rules)

    @staticmethod
    def matches(rule: dict, method: str, path: str, headers: http.client.HTTPMessage) -> bool:
        return (re.fullmatch(rule.get("method", ".*"), method) is not None
                and re.search(rule.get("path", ""), path) is not None
                and all(name in headers for name in rule.get("has", []))
                and not any(name in headers for name in rule.get("lacks", [])))


class Answer:
    """Status, headers and body on the way to the client. The length is None when it is not known."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: Iterable[bytes], length: int | None):
        self.status, self.body, self.length = status, iter(body), length
        self.headers = [(k, v) for k, v in headers if k.lower() not in HOP | {"content-length"}]

    def set(self, name: str, value: str | None) -> None:
        self.headers = [(k, v) for k, v in self.headers if k.lower() != name.lower()]
        if value is not None:
            self.headers.append((name, value))


def pieces_of(file, size: int = PIECE) -> Iterator[bytes]:
    while piece := file.read(size):
        yield piece


def flipped(body: Iterable[bytes], offset: int) -> Iterator[bytes]:
    for piece in body:
        if 0 <= offset < len(piece):
            piece = piece[:offset] + bytes([piece[offset] ^ 1]) + piece[offset + 1:]
        offset -= len(piece)
        yield piece


def gzipped(body: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    for piece in body:
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()


def first(body: Iterable[bytes], size: int) -> Iterator[bytes]:
    for piece in body:
        yield piece[:size]
        size -= len(piece)
        if size <= 0:
            return


def slowed(body: Iterable[bytes], rate: int) -> Iterator[bytes]:
    step = max(1, rate // 20)
    for piece in body:
        for at in range(0, len(piece), step):
            yield piece[at:at + step]
            time.sleep(step / rate)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.args, self.rules, self.lock = args, Rules(args.rules), threading.Lock()
        self.map = dict(entry.split("=", 1) for entry in args.map)
        self.tls = self.upstream_tls = None
        if args.tls_cert:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(args.tls_cert, args.tls_key)
        if args.upstream_ca:
            self.upstream_tls = ssl.create_default_context(cafile=args.upstream_ca)

    def log(self, entry: dict) -> None:
        with self.lock, open(self.args.log, "a", encoding="utf-8") as out:
            out.write(json.dumps(entry) + "\n")

    def shutdown_request(self, request) -> None:
        self.close_request(request)  # a shutdown first would make a FIN of every RST

    def reachable(self, host: str, port: int) -> tuple[str, int]:
        """Where a forward proxy goes for HOST:PORT; nowhere but to loopback."""
        mapped = self.map.get(f"{host}:{port}")
        if mapped:
            host, port = mapped.rsplit(":", 1)[0], int(mapped.rsplit(":", 1)[1])
        if host not in ("127.0.0.1", "localhost"):
            raise ConnectionError(f"{host} is not on loopback")
        return host, port


class Handler(TlsHandler):
    server: Server

    def serve(self) -> None:
        rule, do = self.server.rules.pick(self.command, self.path, self.headers)
        auth = self.headers.get("Authorization")
        self.body_left = int(self.headers.get("Content-Length") or 0)
        self.entry = {
            "time": round(time.time(), 3), "method": self.command, "path": self.path,
            "host": self.headers.get("Host"), "range": self.headers.get("Range"),
            "auth": auth.split(" ")[0] if auth else None,
            "auth_id": hashlib.sha256(auth.encode()).hexdigest()[:8] if auth else None,
            "accept": ", ".join(self.headers.get_all("Accept") or []) or None,
            "accept_encoding": self.headers.get("Accept-Encoding"), "agent": self.headers.get("User-Agent"),
            "rule": rule, "status": None, "length": None, "sent": 0, "aborted": False,
        }
        self.logged = False
        try:
            time.sleep(do.get("delay", 0))
            self.reply(do)
        except OSError as error:
            self.close_connection = True
            self.entry.update(aborted=True, error=str(error))
        finally:
            self.log_once()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = serve

    def log_once(self) -> None:
        if not self.logged:
            self.logged = True
            self.server.log(self.entry)

    def reply(self, do: dict) -> None:
        if "cut_upload" in do:
            self.close_connection = True
            for _ in first(self.upload(), do["cut_upload"]):
                pass
        elif "redirect" in do:
            self.drain()
            path = self.path if self.path.startswith("/") else urllib.parse.urlsplit(self.path).path
            to = [("Location", do["redirect"] + path)]
            self.send(Answer(do.get("status", 307), to, [], 0), do)
        elif "endless" in do:
            self.drain()
            self.send(Answer(200, [], iter(lambda: do["endless"].encode() * 64, b""), None), do)
        elif "status" in do:
            self.drain()
            self.send(self.own(do), do)
        else:
            self.forward(do)

    def own(self, do: dict) -> Answer:
        body = do.get("body", "").encode()
        if "body_file" in do:
            with open(do["body_file"], "rb") as file:
                body = file.read()
        return Answer(do["status"], [], [body] if body else [], len(body))

    def upload(self) -> Iterator[bytes]:
        """The request's body, decoded."""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
        while self.body_left > 0:
            piece = self.rfile.read(min(PIECE, self.body_left))
            if not piece:
                raise ConnectionError("the client hung up")
            self.body_left -= len(piece)
            yield piece

    def drain(self) -> None:
        for _ in self.upload():
            pass

    def connect(self) -> tuple[http.client.HTTPConnection, str]:
        """A connection to whoever answers this request, and the path to ask there."""
        url = urllib.parse.urlsplit(self.server.args.upstream or self.path)
        if url.scheme == "https":
            return http.client.HTTPSConnection(url.netloc, context=self.server.upstream_tls), self.path
        if self.server.args.upstream:
            return http.client.HTTPConnection(url.netloc), self.path
        path = url.path + ("?" + url.query if url.query else "")
        return http.client.HTTPConnection(*self.server.reachable(url.hostname or "", url.port or 80)), path

    def forward(self, do: dict) -> None:
        try:
            upstream, path = self.connect()
            upstream.connect()
        except OSError as error:
            self.entry.update(error=str(error))
            self.drain()
            self.send(self.own({"status": 502, "body": str(error)}), do)
            return
        try:
            upstream.putrequest(self.command, path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in HOP | {"expect"} and not (name.lower() == "range" and do.get("ignore_range")):
                    upstream.putheader(name, value)
            if self.server.tls:
                upstream.putheader("X-Forwarded-Proto", "https")
            chunked = "chunked" in self.headers.get("Transfer-Encoding", "")
            if chunked:
                upstream.putheader("Transfer-Encoding", "chunked")
            upstream.endheaders(self.upload(), encode_chunked=chunked)
            got = upstream.getresponse()
            length = got.getheader("Content-Length")
            self.send(Answer(got.status, got.getheaders(), pieces_of(got), int(length) if length else None), do)
        finally:
            upstream.close()

    def send(self, answer: Answer, do: dict) -> None:
        self.spoil(answer, do)
        bare = self.command == "HEAD" or answer.status in (204, 304)
        length = answer.length
        if length is not None and "length" in do:
            length += do["length"]
            self.close_connection = True
        chunked = length is None and not bare
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.entry.update(status=answer.status, length=length)
        if bare:
            self.log_once()
            self.end_headers()
            return
        self.end_headers()
        self.send_body(self.limited(answer.body, do), chunked, ended="stall" not in do and "cut" not in do)
        if "stall" in do:
            self.wait_for_client()
        if do.get("reset"):
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    @staticmethod
    def spoil(answer: Answer, do: dict) -> None:
        """Applies what changes headers and bytes."""
        if do.get("relative"):
            for name, value in answer.headers:
                if name.lower() == "location":
                    answer.set(name, urllib.parse.urlunsplit(("", "", *urllib.parse.urlsplit(value)[2:])))
        if "flip" in do:
            offset = do["flip"]
            answer.body = flipped(answer.body, offset if offset >= 0 else offset + (answer.length or 0))
        if do.get("gzip"):
            answer.body = gzipped(answer.body)
            answer.set("Content-Encoding", "gzip")
        if do.get("gzip") or do.get("chunked"):
            answer.length = None
        for name, value in do.get("headers", {}).items():
            answer.set(name, value)

    @staticmethod
    def limited(body: Iterable[bytes], do: dict) -> Iterable[bytes]:
        """Applies what stops or slows the body."""
        for key in ("cut", "stall"):
            if key in do:
                body = first(body, do[key]) if do[key] > 0 else []
        return slowed(body, do["slow"]) if "slow" in do else body

    def send_body(self, body: Iterable[bytes], chunked: bool, ended: bool) -> None:
        """Writes the body; without `ended` it is not brought to its end, and neither is the connection."""
        held = b""
        for piece in body:
            self.put(held, chunked)
            held = piece
            self.entry["sent"] += len(piece)
        self.log_once()
        self.put(held, chunked)
        if chunked and ended:
            self.wfile.write(b"0\r\n\r\n")
        if not ended:
            self.close_connection = True

    def put(self, piece: bytes, chunked: bool) -> None:
        if piece:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)

    def wait_for_client(self) -> None:
        select.select([self.request], [], [], 600)

    def do_CONNECT(self) -> None:
        """A tunnel to a TLS server; rules do not reach inside it."""
        host, _, port = self.path.rpartition(":")
        entry = {"time": round(time.time(), 3), "method": "CONNECT", "path": self.path,
                 "auth": self.headers.get("Proxy-Authorization", "").split(" ")[0] or None}
        self.close_connection = True
        try:
            with socket.create_connection(self.server.reachable(host, int(port))) as other:
                self.server.log({**entry, "status": 200})
                self.send_response_only(200)
                self.end_headers()
                self.relay(other)
        except OSError as error:
            self.server.log({**entry, "status": 502, "error": str(error)})
            self.send_error(502)

    def relay(self, other: socket.socket) -> None:
        ends = {self.request: other, other: self.request}
        while True:
            for end in select.select(list(ends), [], [])[0]:
                data = end.recv(PIECE)
                if not data:
                    return
                ends[end].sendall(data)

    def log_message(self, *_: object) -> None:
        """The JSON log says it all."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", metavar="JSON", help="only check that these rules are well formed")
    parser.add_argument("--map", action="append", default=[])
    for name in ("addr-file", "rules", "log", "upstream", "upstream-ca", "tls-cert", "tls-key"):
        parser.add_argument("--" + name)
    args = parser.parse_args()
    if args.check is not None:
        try:
            check_rules(json.loads(args.check))
        except ValueError as error:
            sys.exit(f"fault-proxy.py: {error}")
        return
    server = Server(args)
    with open(args.addr_file + ".new", "w", encoding="ascii") as out:
        out.write(f"127.0.0.1:{server.server_port}\n")
    os.rename(args.addr_file + ".new", args.addr_file)
    server.serve_forever()


if __name__ == "__main__":
    main()
