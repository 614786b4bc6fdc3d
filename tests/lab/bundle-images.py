#!/usr/bin/python3
"""Makes many small images in one go, for the tests of the bundle.

  bundle-images.py DIR [--to HOST:PORT] [--format oci|docker] REPO:TAG=LAYER[,LAYER]...

Each image is for linux/amd64 and has the layers that are named, the lowest first. A layer is "root" (a
root that runs) or NAME:KB, a file of that many KiB that do not compress. The same name and size is the
same layer in every image, and in every run. The images go into the OCI layout DIR, and with --to also to
a registry on loopback, byte for byte.
"""
import argparse
import random
import sys

sys.dont_write_bytecode = True
import push_layout  # noqa: E402
from layout import Layout, rootfs  # noqa: E402

AMD64 = {"architecture": "amd64", "os": "linux"}


def files_of(layer: str) -> dict[str, bytes]:
    if layer == "root":
        return rootfs("bundle")
    name, kib = layer.split(":")
    return {"data/" + name: random.Random(layer).randbytes(int(kib) * 1024)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir")
    parser.add_argument("images", nargs="+", metavar="REPO:TAG=LAYER[,LAYER]...")
    parser.add_argument("--to", metavar="HOST:PORT")
    parser.add_argument("--format", choices=("oci", "docker"), default="docker")
    args = parser.parse_args()
    layout = Layout(args.dir)
    made: dict[str, tuple[dict, str]] = {}
    for text in args.images:
        ref, layers = text.split("=")
        for layer in layers.split(","):
            if layer not in made:
                made[layer] = layout.layer(files_of(layer), args.format, "gzip", 1)
        layout.tag(ref, layout.image([made[layer] for layer in layers.split(",")], args.format, AMD64))
        if args.to:
            push_layout.push(layout, ref, f"{args.to}/{ref}", False)


if __name__ == "__main__":
    main()
