#!/usr/bin/python3
"""A proxy between a docker client and a real dockerd, both on unix sockets, that can lie and fail.

  docker-proxy.py --listen SOCKET --upstream SOCKET --rules FILE --log FILE

The rules are a JSON object, read anew for each request:
  "ping": {NAME: VALUE}         headers of /_ping to replace
  "info": {NAME: VALUE}         members of /info to replace
  "containerd_store": true      /info tells of containerd's image store, an image's id is the digest
                                of the manifest that the loaded archive named, and an archive must
                                be an OCI layout that lacks nothing
  "load_error": TEXT            a load is answered with 200 and this error inside the stream
  "load_status": [N, TEXT]      a load is answered with this status before its body was read
  "hold": FILE                  a load's body is not read before FILE is there; FILE.held is made then
  "refuse_omitted": true        a load whose archive lacks a layer is answered with an error
  "forget": true                a load is answered as done, and nothing is done
  "wrong_id": true              images that exist are shown with another id

Each request is a JSON line in the log: method, path, query, status, and for a load the bytes of its
body, whether they were all there, and the archive's entries and absent layers.
"""
import argparse
import http.client
import io
import json
import os
import re
import socket
import socketserver
import tarfile
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler

HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class Upstream(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("docker")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class State:
    """What the proxy knows: manifest digests by configuration digest, from archives that passed."""

    def __init__(self, args):
        self.args = args
        self.lock = threading.Lock()
        self.manifest_of = {}

    def rules(self):
        with open(self.args.rules, encoding="utf-8") as file:
            return json.load(file)

    def log(self, entry):
        with self.lock, open(self.args.log, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def read_archive(body):
    """Entries by name, the parsed manifest.json, and the layers that are not in the archive."""
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        files = {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}
    images = json.loads(files["manifest.json"])
    absent = [name for image in images for name in image["Layers"] if name not in files]
    return files, images, absent


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state = None

    def log_message(self, *args):
        pass

    def answer(self, status, headers, body):
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def finish_with(self, entry, status, body, headers=(("Content-Type", "application/json"),)):
        entry["status"] = status
        self.state.log(entry)
        self.answer(status, headers, body)

    def forward(self, body, path=None):
        upstream = Upstream(self.state.args.upstream)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP}
        upstream.request(self.command, path or self.path, body, headers)
        answer = upstream.getresponse()
        return answer.status, answer.getheaders(), answer.read()

    def handle_any(self):
        url = urllib.parse.urlsplit(self.path)
        rules = self.state.rules()
        entry = {"method": self.command, "path": re.sub(r"^/v[0-9.]+", "", url.path), "query": url.query}
        if entry["path"] == "/images/load":
            self.load(entry, rules)
            return
        length = int(self.headers.get("Content-Length") or 0)
        status, headers, body = self.forward(self.rfile.read(length), self.upstream_path(rules))
        if entry["path"] == "/_ping":
            changed = {k.lower() for k in rules.get("ping", {})}
            headers = [h for h in headers if h[0].lower() not in changed] + list(rules.get("ping", {}).items())
        elif status == 200 and body[:1] in b"{[" and body:
            body = json.dumps(self.rewrite(entry["path"], json.loads(body), rules)).encode()
        self.finish_with(entry, status, body, headers)

    def upstream_path(self, rules):
        """The path as dockerd must see it: an id of the pretended store is one of its own there."""
        path = self.path
        if rules.get("containerd_store"):
            for config, manifest in self.state.manifest_of.items():
                path = path.replace(f"/images/{manifest}/", f"/images/{config}/")
        return path

    def rewrite(self, path, tree, rules):
        if path == "/info":
            tree.update(rules.get("info", {}))
            if rules.get("containerd_store"):
                tree["DriverStatus"] = [["driver-type", "io.containerd.snapshotter.v1"]]
                tree["Driver"] = "overlayfs"
        for image in tree if path == "/images/json" else [tree] if path.startswith("/images/") else []:
            if rules.get("containerd_store"):
                image["Id"] = self.state.manifest_of.get(image["Id"], image["Id"])
            if rules.get("wrong_id"):
                image["Id"] = "sha256:" + "0" * 64
        return tree

    def load(self, entry, rules):
        if "load_status" in rules:
            self.close_connection = True
            status, text = rules["load_status"]
            self.finish_with(entry, status, json.dumps({"message": text}).encode())
            # As Go's server does it: the other side may still be writing, and shall read this.
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            time.sleep(0.5)
            return
        if "hold" in rules:
            self.hold(rules["hold"])
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        entry.update(bytes=len(body), whole=len(body) == length)
        if not entry["whole"]:
            self.state.log(entry)
            self.close_connection = True
            return
        files, images, absent = read_archive(body)
        entry.update(entries=list(files), absent=absent)
        error = rules.get("load_error")
        if rules.get("refuse_omitted") and absent:
            error = "a layer is not there"
        if rules.get("containerd_store") and (absent or "oci-layout" not in files):
            error = "the archive is not whole"
        if error:
            stream = json.dumps({"errorDetail": {"message": error}, "error": error}) + "\r\n"
            self.finish_with(entry, 200, stream.encode())
            return
        if rules.get("forget"):
            self.finish_with(entry, 200, b'{"stream":"Loaded image: forgotten"}\r\n')
            return
        self.learn(files, images)
        status, headers, answer = self.forward(body)
        self.finish_with(entry, status, answer, headers)

    def hold(self, path):
        with open(path + ".held", "w", encoding="ascii"):
            pass
        while not os.path.exists(path):
            time.sleep(0.02)

    def learn(self, files, images):
        """docker's list and the OCI index name the images in the same order."""
        if "index.json" not in files:
            return
        for image, manifest in zip(images, json.loads(files["index.json"])["manifests"]):
            self.state.manifest_of["sha256:" + os.path.basename(image["Config"])] = manifest["digest"]

    do_GET = do_POST = do_HEAD = do_DELETE = handle_any


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64

    def get_request(self):
        request, _ = super().get_request()
        return request, ("local", 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("--listen", "--upstream", "--rules", "--log"):
        parser.add_argument(option, required=True)
    args = parser.parse_args()
    Handler.state = State(args)
    Server(args.listen, Handler).serve_forever()


if __name__ == "__main__":
    main()
