"""Signed schema-1 manifests, as registries before docker 1.10 hold them.

A manifest is a JSON text with one or more JWS signatures inside it: the signed payload is the text
without them, and each signature's protected header says where they were put in (formatLength bytes of
the text, then formatTail). Its digest is that of the payload.
"""
import base64
import hashlib
import json
import os
import subprocess
import tempfile

from layout import CREATED, MEDIA, SCHEMA1, Layout, noise, rootfs

# The gzip of an empty tar that docker wrote for every step without files, bit for bit.
EMPTY_LAYER = bytes.fromhex("1f8b080000096e8800ff621805a360148c5800080000ffff2eafb5ef00040000")


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*args: str, data: bytes | None = None) -> bytes:
    return subprocess.run(["openssl", *args], input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          check=True).stdout


def raw_signature(der: bytes) -> bytes:
    """ECDSA signature SEQUENCE { INTEGER r, INTEGER s } as the 64 bytes that JWS wants."""
    out, at = b"", 2
    for _ in range(2):
        size = der[at + 1]
        out += int.from_bytes(der[at + 2:at + 2 + size]).to_bytes(32)
        at += 2 + size
    return out


def sign(payload: bytes) -> bytes:
    """Puts a signature by a new P-256 key into the payload, which ends in '\\n}'."""
    with tempfile.TemporaryDirectory() as folder:
        key = os.path.join(folder, "key")
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
        public = openssl("ec", "-in", key, "-pubout", "-outform", "DER")
        length = len(payload) - 2
        protected = b64url(json.dumps(
            {"formatLength": length, "formatTail": b64url(payload[length:]), "time": CREATED}).encode())
        text = protected + "." + b64url(payload)
        signature = raw_signature(openssl("dgst", "-sha256", "-sign", key, data=text.encode()))
    name = base64.b32encode(hashlib.sha256(public).digest()[:30]).decode()
    jwk = {
        "crv": "P-256", "kid": ":".join(name[at:at + 4] for at in range(0, 48, 4)), "kty": "EC",
        "x": b64url(public[-64:-32]), "y": b64url(public[-32:]),
    }
    entry = {"header": {"jwk": jwk, "alg": "ES256"}, "signature": b64url(signature), "protected": protected}
    signed = json.dumps([entry], indent=3).replace("\n", "\n   ")
    return payload[:length] + b',\n   "signatures": ' + signed.encode() + payload[length:]


def history(steps: list[tuple[str, bool]], flagged: bool) -> list[str]:
    """The v1Compatibility texts of (command, is empty) steps, the oldest first."""
    entries: list[dict] = []
    for command, is_empty in steps:
        entry: dict = {"created": CREATED, "container_config": {"Cmd": ["/bin/sh", "-c", command]}}
        if entries:
            entry["parent"] = entries[-1]["id"]
        if is_empty and flagged:
            entry["throwaway"] = True
        entry["id"] = hashlib.sha256(json.dumps(entry).encode()).hexdigest()
        entries.append(entry)
    entries[-1] |= {
        "architecture": "amd64", "os": "linux", "docker_version": "1.9.1", "author": "lab",
        "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"], "Image": "", "Hostname": "lab"},
    }
    return [json.dumps(entry) for entry in entries]


def make(layout: Layout, ref: str, layer_kb: int, flagged: bool = True, signed: bool = True) -> None:
    """Adds the image REPO:TAG: two layers with files between three steps without. With flagged false the
    empty steps are not marked as throwaway, as before docker 1.10. With signed false it is the bare
    payload (media type v1+json)."""
    repo, tag = ref.rsplit(":", 1)
    empty = layout.add(EMPTY_LAYER, MEDIA["docker"]["gzip"])
    base, _ = layout.layer(rootfs(ref), "docker", "gzip")
    data, _ = layout.layer({"data/1": noise(ref, layer_kb * 1024)}, "docker", "gzip")
    layers = [base, empty, data, empty, empty]
    steps = [("#(nop) ADD rootfs in /", False), ("#(nop) ENV PATH=/bin", True), ("make-data", False),
             ("#(nop) EXPOSE 80/tcp", True), ('#(nop) CMD ["/bin/sh"]', True)]
    payload = json.dumps({
        "schemaVersion": 1, "name": repo, "tag": tag, "architecture": "amd64",
        "fsLayers": [{"blobSum": layer["digest"]} for layer in reversed(layers)],
        "history": [{"v1Compatibility": text} for text in reversed(history(steps, flagged))],
    }, indent=3).encode()
    if signed:
        layout.tag(ref, layout.add(sign(payload), SCHEMA1))
    else:
        layout.tag(ref, layout.add(payload, SCHEMA1.replace("prettyjws", "json")))
