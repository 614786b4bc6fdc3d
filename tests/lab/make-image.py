#!/usr/bin/python3
"""Makes OCI layouts that the usual tools do not make, and pushes layouts as they are.

  make-image.py image DIR REF [--layers N] [--layer-kb K] [--format oci|docker] [--compression C]
  make-image.py multi DIR REF [--variant oci|docker|nested|attestation] [--layer-kb K]
  make-image.py schema1 DIR REF [--unflagged] [--unsigned] [--layer-kb K]
  make-image.py bench DIR
  make-image.py push DIR REF HOST:PORT/REPO:TAG [--tls]
  make-image.py archive DIR REF OUT.tar

The content follows from REF alone, so a second run gives the same digests (schema 1 apart, whose
signature is new each time). Compression is gzip, zstd or none. `push` sends blobs and manifests byte
for byte, children first, and answers Basic and Bearer challenges with $LAB_USER and $LAB_PASSWORD.
`archive` writes what `docker save` of docker 25 and later writes; make the image with compression none.
"""
import argparse
import concurrent.futures
import io
import json
import sys
import tarfile

sys.dont_write_bytecode = True
import push_layout  # noqa: E402
import schema1  # noqa: E402
from layout import Layout, as_json, noise, rootfs, sha256  # noqa: E402

def make_image(args: argparse.Namespace) -> None:
    layout = Layout(args.dir)
    layers = [layout.layer(rootfs(args.ref), args.format, args.compression)]
    for n in range(args.layers):
        files = {f"data/{n}": noise(f"{args.ref} {n}", args.layer_kb * 1024)}
        layers.append(layout.layer(files, args.format, args.compression))
    layout.tag(args.ref, layout.image(layers, args.format, {"architecture": "amd64", "os": "linux"}))


def make_multi(args: argparse.Namespace) -> None:
    layout = Layout(args.dir)
    form = "docker" if args.variant == "docker" else "oci"

    def child(arch: str, **more: str) -> dict:
        note = f"{args.ref} {arch}"
        files = {"data/all": noise(note, args.layer_kb * 1024)}
        layers = [layout.layer(rootfs(note), form, "gzip"), layout.layer(files, form, "gzip")]
        return layout.image(layers, form, {"architecture": arch, "os": "linux", **more})

    children = [child("amd64"), child("arm64")]
    if args.variant == "nested":
        children = [children[0], layout.list_of([children[1], child("arm", variant="v7")], form)]
    if args.variant == "attestation":
        children.append(attestation(layout, children[0]))
    layout.tag(args.ref, layout.list_of(children, form))


def attestation(layout: Layout, about: dict) -> dict:
    """What buildkit puts beside an image: a manifest for no platform with an in-toto statement."""
    statement = as_json({"_type": "https://in-toto.io/Statement/v0.1", "subject": []})
    blob = layout.add(statement, "application/vnd.in-toto+json")
    notes = {
        "vnd.docker.reference.digest": about["digest"],
        "vnd.docker.reference.type": "attestation-manifest",
    }
    platform = {"architecture": "unknown", "os": "unknown"}
    return layout.image([(blob, sha256(statement))], "oci", platform, annotations=notes)


def bench_layer(job: tuple[str, str, int]) -> tuple[dict, str]:
    path, seed, mib = job
    files = {f"data/{seed}/{n}": noise(f"{seed} {n}", 1 << 20) for n in range(mib)}
    return Layout(path).layer(files, "oci", "gzip", 1)


def make_bench(args: argparse.Namespace) -> None:
    """Five images over one base; each unpacked MiB is about half a MiB in its layer."""
    names = ["base-a", "base-b"] + [f"app{n}-{part}" for n in range(1, 6) for part in "abc"]
    sizes = {"base-a": 200, "base-b": 100, "a": 120, "b": 50, "c": 10}
    layout = Layout(args.dir)
    jobs = [(args.dir, name, sizes.get(name, sizes.get(name[-1], 0))) for name in names]
    with concurrent.futures.ProcessPoolExecutor() as pool:
        made = dict(zip(names, pool.map(bench_layer, jobs)))
    for n in range(1, 6):
        base = layout.layer(rootfs("bench"), "oci", "gzip")
        layers = [base, made["base-a"], made["base-b"], *(made[f"app{n}-{part}"] for part in "abc")]
        layout.tag(f"bench/app{n}:1", layout.image(layers, "oci", {"architecture": "amd64", "os": "linux"}))


def make_schema1(args: argparse.Namespace) -> None:
    schema1.make(Layout(args.dir), args.ref, args.layer_kb, not args.unflagged, not args.unsigned)


def push(args: argparse.Namespace) -> None:
    push_layout.push(Layout(args.dir), args.ref, args.to, args.tls)


def make_archive(args: argparse.Namespace) -> None:
    """Both formats in one tar, layers not compressed, folders as entries, the name in both places."""
    layout = Layout(args.dir)
    entry = layout.find(args.ref)
    manifest = json.loads(layout.read(entry["digest"]))
    names = [manifest["config"]["digest"], *(layer["digest"] for layer in manifest["layers"])]
    notes = {"io.containerd.image.name": "docker.io/" + args.ref,
             "org.opencontainers.image.ref.name": args.ref.rsplit(":", 1)[1]}
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
             "manifests": [{key: entry[key] for key in ("mediaType", "digest", "size")} | {"annotations": notes}]}
    paths = ["blobs/" + name.replace(":", "/") for name in names]
    sources = {layer["digest"]: layer for layer in manifest["layers"]}
    docker = [{"Config": paths[0], "RepoTags": [args.ref], "Layers": paths[1:], "LayerSources": sources}]
    files = {"blobs/" + name.replace(":", "/"): layout.read(name) for name in {*names, entry["digest"]}}
    files |= {"index.json": as_json(index), "manifest.json": as_json(docker),
              "oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
    with tarfile.open(args.out, "w", format=tarfile.PAX_FORMAT) as out:
        for name in ("blobs", "blobs/sha256", *sorted(files)):
            info = tarfile.TarInfo(name)
            info.mtime, info.mode = 1704067200, 0o644
            if name in files:
                info.size = len(files[name])
                out.addfile(info, io.BytesIO(files[name]))
            else:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                out.addfile(info)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    functions = {"image": make_image, "multi": make_multi, "schema1": make_schema1, "bench": make_bench,
                 "push": push, "archive": make_archive}
    for name, function in functions.items():
        verb = verbs.add_parser(name)
        verb.set_defaults(function=function)
        verb.add_argument("dir")
        if name != "bench":
            verb.add_argument("ref")
        if name in ("image", "multi", "schema1"):
            verb.add_argument("--layer-kb", type=int, default=64)
    image = verbs.choices["image"]
    image.add_argument("--layers", type=int, default=1)
    image.add_argument("--format", choices=("oci", "docker"), default="oci")
    image.add_argument("--compression", choices=("gzip", "zstd", "none"), default="gzip")
    variants = ("oci", "docker", "nested", "attestation")
    verbs.choices["multi"].add_argument("--variant", choices=variants, default="oci")
    verbs.choices["schema1"].add_argument("--unflagged", action="store_true")
    verbs.choices["schema1"].add_argument("--unsigned", action="store_true")
    verbs.choices["push"].add_argument("to")
    verbs.choices["push"].add_argument("--tls", action="store_true")
    verbs.choices["archive"].add_argument("out")
    return parser.parse_args()


if __name__ == "__main__":
    ARGS = arguments()
    ARGS.function(ARGS)
