"""Pushes an image of an OCI layout to a registry, byte for byte, children before their index."""
import base64
import json
import os
import re
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request

from layout import INDEXES, SCHEMA1, Layout


class Registry:
    """Pushes to one repository; every request may be challenged once."""

    def __init__(self, host: str, repo: str, tls: bool) -> None:
        self.base = f"{'https' if tls else 'http'}://{host}/v2/{repo}"
        self.context = ssl._create_unverified_context()  # loopback only
        basic = f"{os.environ.get('LAB_USER', '')}:{os.environ.get('LAB_PASSWORD', '')}"
        self.basic = "Basic " + base64.b64encode(basic.encode()).decode()
        self.auth = ""

    def call(self, method: str, url: str, body: bytes | None = None, media: str = "") -> tuple[int, dict]:
        for again in (True, False):
            request = urllib.request.Request(url, data=body, method=method)
            request.add_header("Content-Type", media or "application/octet-stream")
            if self.auth:
                request.add_header("Authorization", self.auth)
            try:
                with urllib.request.urlopen(request, context=self.context) as answer:
                    return answer.status, dict(answer.headers)
            except urllib.error.HTTPError as error:
                if error.code != 401 or not again:
                    return error.code, {"body": error.read().decode(errors="replace")}
                self.auth = self.answer(error.headers["WWW-Authenticate"])
        raise AssertionError

    def answer(self, challenge: str) -> str:
        """The Authorization header that answers a challenge."""
        if not challenge.startswith("Bearer "):
            return self.basic
        fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        repo = self.base.split("/v2/")[1]
        query = {"service": fields["service"], "scope": f"repository:{repo}:pull,push"}
        request = urllib.request.Request(fields["realm"] + "?" + urllib.parse.urlencode(query))
        request.add_header("Authorization", self.basic)
        with urllib.request.urlopen(request, context=self.context) as answer:
            return "Bearer " + json.load(answer)["token"]

    def must(self, method: str, url: str, body: bytes, media: str = "") -> dict:
        status, headers = self.call(method, url, body, media)
        if status not in (201, 202):
            sys.exit(f"make-image.py: {method} {url}: {status} {headers.get('body', '')}")
        return headers

    def blob(self, digest: str, data: bytes) -> None:
        if self.call("HEAD", f"{self.base}/blobs/{digest}")[0] == 200:
            return
        place = urllib.parse.urljoin(self.base, self.must("POST", self.base + "/blobs/uploads/", b"")["Location"])
        self.must("PUT", f"{place}{'&' if '?' in place else '?'}digest={digest}", data)

    def manifest(self, name: str, data: bytes, media: str) -> None:
        self.must("PUT", f"{self.base}/manifests/{name}", data, media)


def blobs_of(manifest: dict, media: str) -> list[str]:
    if media == SCHEMA1:
        return [layer["blobSum"] for layer in manifest["fsLayers"]]
    return [blob["digest"] for blob in (manifest["config"], *manifest["layers"])]


def send(layout: Layout, to: Registry, entry: dict, name: str) -> None:
    data, media = layout.read(entry["digest"]), entry["mediaType"]
    value = json.loads(data)
    if media in INDEXES:
        for child in value["manifests"]:
            send(layout, to, child, child["digest"])
    else:
        for digest in blobs_of(value, media):
            to.blob(digest, layout.read(digest))
    to.manifest(name, data, media)


def push(layout: Layout, ref: str, to: str, tls: bool) -> None:
    """Pushes what the layout calls `ref` to HOST:PORT/REPO:TAG."""
    host, path = to.split("/", 1)
    repo, tag = path.rsplit(":", 1)
    send(layout, Registry(host, repo, tls), layout.find(ref), tag)
