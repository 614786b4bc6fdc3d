#!/usr/bin/python3
"""TLS proxy in front of an API server that injects faults, at random and by a seed.

  api-proxy.py --addr-file FILE --faults FILE --log FILE --upstream HOST:PORT --ca FILE
               --tls-cert FILE --tls-key FILE [--seed N]

Each connection of a client has one of its own to the server. The faults are a JSON object in a file; a
new file under that name counts from the next request on. Shares are from 0 to 1, and of one request:

  refuse   {"429": SHARE, ...}  answered with that status, and never passed on: 409 (AlreadyExists for a
           POST), 410, 429 (with Retry-After: 1), 500, 503
  lose     {"500": SHARE, ...}  passed on, and then answered with that status instead of the answer
  hang_up  SHARE   the connection is closed instead of passing the request on
  forget   SHARE   passed on, and then the connection is closed instead of an answer
  cut      SHARE   half of the answer's body comes, then the connection is closed
  late     SHARE   passed on after up to `late_s` (2) seconds
  slow     SHARE   the answer's body comes in pieces, over up to `slow_s` (2) seconds
  watch_s  N       watches are cut after up to N seconds, half of them in the middle of a line
  expire   SHARE   watches that end with an ERROR event of 410 at once
  no_watch true    watches that are open are cut, new ones are answered 503, after which clients list
  no_watch "hang_up"   in the place of 503 the connection is closed, and clients go on from their version
  only     TEXT    all this only where the path has TEXT in it

The log has one line for each fault: time, method, path and what was done.
"""
import argparse
import asyncio
import json
import os
import random
import ssl
import sys
import time

REASONS = {409: "Conflict", 410: "Expired", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}
SHARES = {"hang_up", "forget", "cut", "late", "slow", "expire"}
KEYS = SHARES | {"refuse", "lose", "late_s", "slow_s", "watch_s", "no_watch", "only"}
CLOSED = (OSError, EOFError, ssl.SSLError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError)


class HungUp(Exception):
    """The connection is to be closed now."""


class Faults:
    """The faults file."""

    def __init__(self, path: str) -> None:
        self.path, self.seen, self.now = path, None, {}

    def get(self, path: str) -> dict:
        """Those for a request of this path."""
        stat = os.stat(self.path)
        if self.seen != (stat.st_ino, stat.st_mtime_ns):
            with open(self.path, encoding="utf-8") as file:
                self.now = json.load(file)
            if set(self.now) - KEYS:
                sys.exit(f"api-proxy.py: no such fault: {set(self.now) - KEYS}")
            self.seen = (stat.st_ino, stat.st_mtime_ns)
        return self.now if self.now.get("only", "") in path else {}


def status_object(code: int, method: str) -> bytes:
    reason = "AlreadyExists" if code == 409 and method == "POST" else REASONS[code]
    return json.dumps({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                       "message": "the proxy says so", "reason": reason, "code": code}).encode()


def own_answer(code: int, method: str) -> bytes:
    body = status_object(code, method)
    head = f"HTTP/1.1 {code} {REASONS[code]}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + (b"Retry-After: 1\r\n" if code == 429 else b"") + b"\r\n" + body


async def read_head(reader: asyncio.StreamReader) -> tuple[bytes, dict[bytes, bytes]]:
    """The head as it is, and its headers by names in lower case."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.split(b"\r\n")[1:-2]
    return head, {k.strip().lower(): v.strip() for k, v in (line.split(b":", 1) for line in lines)}


async def read_body(reader: asyncio.StreamReader, headers: dict[bytes, bytes]):
    """Pieces of the body as they are on the wire, chunk heads and all."""
    if b"chunked" in headers.get(b"transfer-encoding", b""):
        while True:
            line = await reader.readuntil(b"\r\n")
            rest = await reader.readexactly(int(line.split(b";")[0], 16) + 2)
            yield line + rest
            if line.strip() == b"0":
                return
    left = int(headers.get(b"content-length", b"0"))
    while left > 0:
        piece = await reader.read(min(left, 65536))
        if not piece:
            raise EOFError
        left -= len(piece)
        yield piece


class Proxy:
    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.faults, self.random = args, Faults(args.faults), random.Random(args.seed)
        self.host, self.port = args.upstream.split(":")
        self.tls = ssl.create_default_context(cafile=args.ca)

    def log(self, request: "Request", what: str) -> None:
        with open(self.args.log, "a", encoding="utf-8") as out:
            out.write(f"{time.time():.3f} {what} {request.method} {request.path}\n")

    def happens(self, share: float) -> bool:
        return self.random.random() < share

    def pick(self, shares: dict[str, float]) -> int | None:
        """One of the statuses, or none."""
        dice = self.random.random()
        for status, share in shares.items():
            dice -= share
            if dice < 0:
                return int(status)
        return None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Client(self, reader, writer)
        try:
            while True:
                await client.one()
        except (HungUp, *CLOSED):
            pass
        finally:
            client.close()


class Request:
    def __init__(self, head: bytes, body: bytes) -> None:
        self.head, self.body = head, body
        self.method, self.path = head.split(b"\r\n", 1)[0].decode().split(" ")[:2]
        self.is_watch = "watch=" in self.path


class Client:
    def __init__(self, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.proxy, self.reader, self.writer = proxy, reader, writer
        self.upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def close(self) -> None:
        for writer in (self.writer, self.upstream and self.upstream[1]):
            if writer:
                writer.transport.abort()

    async def one(self) -> None:
        head, headers = await read_head(self.reader)
        body = b"".join([piece async for piece in read_body(self.reader, headers)])
        request = Request(head, body)
        faults = self.proxy.faults.get(request.path)
        if request.is_watch and await self.watch_faults(request, faults):
            return
        status = self.proxy.pick(faults.get("refuse", {}))
        if status:
            await self.answer(request, status, "refuse")
            return
        if self.proxy.happens(faults.get("hang_up", 0)):
            self.proxy.log(request, "hang_up")
            raise HungUp
        if self.proxy.happens(faults.get("late", 0)):
            self.proxy.log(request, "late")
            await asyncio.sleep(self.proxy.random.uniform(0, faults.get("late_s", 2)))
        await self.forward(request, faults)

    async def answer(self, request: Request, status: int, what: str) -> None:
        self.proxy.log(request, f"{what}-{status}")
        self.writer.write(own_answer(status, request.method))
        await self.writer.drain()

    async def watch_faults(self, request: Request, faults: dict) -> bool:
        """True: it is answered."""
        if faults.get("no_watch") == "hang_up":
            self.proxy.log(request, "no_watch-hang_up")
            raise HungUp
        if faults.get("no_watch"):
            await self.answer(request, 503, "no_watch")
            return True
        if not self.proxy.happens(faults.get("expire", 0)):
            return False
        self.proxy.log(request, "expire")
        line = b'{"type":"ERROR","object":' + status_object(410, "GET") + b"}\n"
        self.writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                          % (len(line), line))
        await self.writer.drain()
        return True

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if not self.upstream or self.upstream[0].at_eof():
            self.upstream = await asyncio.open_connection(self.proxy.host, int(self.proxy.port), ssl=self.proxy.tls,
                                                          limit=1 << 20)
        return self.upstream

    async def forward(self, request: Request, faults: dict) -> None:
        reader, writer = await self.connect()
        writer.write(request.head + request.body)
        await writer.drain()
        head, headers = await read_head(reader)
        if request.is_watch and b" 200 " in head.split(b"\r\n", 1)[0]:
            await self.stream(request, head, reader, faults)
            raise HungUp
        pieces = [piece async for piece in read_body(reader, headers)]
        status = self.proxy.pick(faults.get("lose", {}))
        if status:
            await self.answer(request, status, "lose")
        elif self.proxy.happens(faults.get("forget", 0)):
            self.proxy.log(request, "forget")
            raise HungUp
        else:
            await self.send(request, head, b"".join(pieces), faults)

    async def send(self, request: Request, head: bytes, body: bytes, faults: dict) -> None:
        self.writer.write(head)
        if self.proxy.happens(faults.get("cut", 0)):
            self.proxy.log(request, "cut")
            self.writer.write(body[:len(body) // 2])
            await self.writer.drain()
            raise HungUp
        if self.proxy.happens(faults.get("slow", 0)):
            self.proxy.log(request, "slow")
            step, pause = max(1, len(body) // 20), self.proxy.random.uniform(0, faults.get("slow_s", 2)) / 20
            for at in range(0, len(body), step):
                self.writer.write(body[at:at + step])
                await self.writer.drain()
                await asyncio.sleep(pause)
        else:
            self.writer.write(body)
        await self.writer.drain()

    async def stream(self, request: Request, head: bytes, reader: asyncio.StreamReader, faults: dict) -> None:
        """A watch, until it ends, is cut, or is not to be there any more."""
        self.writer.write(head)
        limit = faults.get("watch_s")
        until = time.monotonic() + (self.proxy.random.uniform(0, limit) if limit else 1e9)
        gone = asyncio.ensure_future(self.reader.read(1))
        more = asyncio.ensure_future(reader.read(65536))
        try:
            while time.monotonic() < until and not gone.done():
                if self.proxy.faults.get(request.path).get("no_watch"):
                    break
                await asyncio.wait({gone, more}, timeout=min(0.2, max(0.01, until - time.monotonic())),
                                   return_when=asyncio.FIRST_COMPLETED)
                if not more.done():
                    continue
                piece = more.result()
                self.writer.write(piece)
                await self.writer.drain()
                if not piece or piece.endswith(b"\r\n0\r\n\r\n"):
                    return
                more = asyncio.ensure_future(reader.read(65536))
            self.proxy.log(request, "watch_s")
            if self.proxy.happens(0.5):
                self.writer.write(b'20\r\n{"type":"ADDED","o')
                await self.writer.drain()
        finally:
            gone.cancel()
            more.cancel()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("addr-file", "faults", "log", "upstream", "ca", "tls-cert", "tls-key"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--seed", type=int)
    args = parser.parse_args()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(args.tls_cert, args.tls_key)
    server = await asyncio.start_server(Proxy(args).serve, "127.0.0.1", 0, ssl=tls, limit=1 << 20, backlog=128)
    with open(args.addr_file + ".new", "w", encoding="ascii") as out:
        out.write(f"127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    os.rename(args.addr_file + ".new", args.addr_file)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
