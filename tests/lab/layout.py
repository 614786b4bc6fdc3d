"""OCI layout folders for the lab: layers, manifests and indexes with content that follows from a seed."""
import gzip
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import tarfile

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
MEDIA = {
    "oci": {
        "manifest": OCI + "manifest.v1+json",
        "index": OCI + "index.v1+json",
        "config": OCI + "config.v1+json",
        "gzip": OCI + "layer.v1.tar+gzip",
        "zstd": OCI + "layer.v1.tar+zstd",
        "none": OCI + "layer.v1.tar",
    },
    "docker": {
        "manifest": DOCKER + "distribution.manifest.v2+json",
        "index": DOCKER + "distribution.manifest.list.v2+json",
        "config": DOCKER + "container.image.v1+json",
        "gzip": DOCKER + "image.rootfs.diff.tar.gzip",
        "none": DOCKER + "image.rootfs.diff.tar",
    },
}
SCHEMA1 = DOCKER + "distribution.manifest.v1+prettyjws"
INDEXES = {MEDIA["oci"]["index"], MEDIA["docker"]["index"]}
CREATED = "2024-01-01T00:00:00Z"


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def as_json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def tar(files: dict[str, bytes]) -> bytes:
    """A tar with fixed owners and times; a value that starts with b'-> ' is a symbolic link."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.mtime, info.mode = 1704067200, 0o755
            if data.startswith(b"-> "):
                info.type, info.linkname = tarfile.SYMTYPE, data[3:].decode()
                archive.addfile(info)
            else:
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def noise(seed: str, size: int) -> bytes:
    """Bytes that follow from the seed and compress to about a half, as programs do."""
    source, out, half = random.Random(seed), bytearray(), 32768
    while len(out) < size:
        out += source.randbytes(half)
        out += source.randbytes(64) * (half // 64)
    return bytes(out[:size])


def compress(data: bytes, how: str, level: int = 6) -> bytes:
    if how == "gzip":
        return gzip.compress(data, level, mtime=0)
    if how == "zstd":
        return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return data


def rootfs(note: str) -> dict[str, bytes]:
    """A root that runs: static busybox with a few names, and a file that tells images apart."""
    with open("/bin/busybox", "rb") as program:
        files = {"bin/busybox": program.read()}
    for name in ("sh", "sleep", "cat", "ls", "true"):
        files["bin/" + name] = b"-> busybox"
    files["etc/note"] = note.encode() + b"\n"
    return files


class Layout:
    """An OCI layout folder that grows."""

    def __init__(self, path: str) -> None:
        self.path = path
        os.makedirs(os.path.join(path, "blobs/sha256"), exist_ok=True)
        with open(os.path.join(path, "oci-layout"), "w", encoding="ascii") as out:
            out.write('{"imageLayoutVersion":"1.0.0"}')
        self.index = {"schemaVersion": 2, "manifests": []}
        if os.path.exists(os.path.join(path, "index.json")):
            with open(os.path.join(path, "index.json"), "rb") as old:
                self.index = json.load(old)

    def blob_path(self, digest: str) -> str:
        return os.path.join(self.path, "blobs", *digest.split(":"))

    def read(self, digest: str) -> bytes:
        with open(self.blob_path(digest), "rb") as blob:
            return blob.read()

    def add(self, data: bytes, media: str, **more: object) -> dict:
        digest = sha256(data)
        with open(self.blob_path(digest), "wb") as out:
            out.write(data)
        return {"mediaType": media, "digest": digest, "size": len(data), **more}

    def layer(self, files: dict[str, bytes], form: str, how: str, level: int = 6) -> tuple[dict, str]:
        """Adds a layer and returns (descriptor, diffID)."""
        plain = tar(files)
        return self.add(compress(plain, how, level), MEDIA[form][how]), sha256(plain)

    def image(self, layers: list[tuple[dict, str]], form: str, platform: dict, **more: object) -> dict:
        """Adds configuration and manifest and returns the manifest's descriptor."""
        config = {
            "created": CREATED,
            **platform,
            "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in layers]},
            "history": [{"created": CREATED, "created_by": f"layer {n}"} for n in range(len(layers))],
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MEDIA[form]["manifest"],
            "config": self.add(as_json(config), MEDIA[form]["config"]),
            "layers": [descriptor for descriptor, _ in layers],
        }
        return self.add(as_json(manifest), MEDIA[form]["manifest"], platform=platform, **more)

    def list_of(self, children: list[dict], form: str) -> dict:
        media = MEDIA[form]["index"]
        return self.add(as_json({"schemaVersion": 2, "mediaType": media, "manifests": children}), media)

    def tag(self, ref: str, descriptor: dict) -> None:
        descriptor = {**descriptor, "annotations": {"org.opencontainers.image.ref.name": ref}}
        others = [m for m in self.index["manifests"] if m.get("annotations") != descriptor["annotations"]]
        self.index["manifests"] = [*others, descriptor]
        with open(os.path.join(self.path, "index.json"), "wb") as out:
            out.write(as_json(self.index))

    def find(self, ref: str) -> dict:
        for entry in self.index["manifests"]:
            if entry.get("annotations", {}).get("org.opencontainers.image.ref.name") == ref:
                return entry
        sys.exit(f"make-image.py: '{ref}' is not in '{self.path}'")
