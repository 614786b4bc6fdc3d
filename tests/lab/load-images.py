#!/usr/bin/python3
"""Makes OCI layouts for the tests of `images load`, one for each name, below a folder.

  load-images.py DIR [--big-mb N]

  one      two layers: a root that runs, and data
  two      the same root, other data
  three    all layers of one, and a third
  twice    the same layer two times in a row, and another between
  zstd     zstd layers
  lie      zstd layers whose media type says gzip
  wrong    zstd layers, of which one is not what its diff id says
  junk     a layer that is no tar
  multi    linux/amd64 and linux/arm64
  arm      linux/arm64 alone
  big      one layer of N (64) MiB
"""
import argparse
import os
import sys

sys.dont_write_bytecode = True
from layout import MEDIA, Layout, compress, noise, rootfs, sha256, tar  # noqa: E402

AMD64 = {"architecture": "amd64", "os": "linux"}
ARM64 = {"architecture": "arm64", "os": "linux"}


class Maker:
    def __init__(self, folder: str) -> None:
        self.folder = folder

    def layout(self, name: str) -> Layout:
        return Layout(os.path.join(self.folder, name))

    def image(self, name: str, layers: list[tuple[bytes, str]], platform: dict = AMD64) -> None:
        """Layers are plain bytes and how they are compressed ("lie": zstd called gzip)."""
        layout = self.layout(name)
        made = []
        for plain, how in layers:
            media = MEDIA["oci"]["gzip" if how == "lie" else how]
            data = compress(plain, "zstd" if how == "lie" else how)
            made.append((layout.add(data, media), sha256(plain)))
        layout.tag(f"load/{name}:1", layout.image(made, "oci", platform))


def data(name: str, kb: int = 200) -> bytes:
    return tar({f"data/{name}": noise(name, kb << 10)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir")
    parser.add_argument("--big-mb", type=int, default=64)
    args = parser.parse_args()
    make = Maker(args.dir)
    root = tar(rootfs("load"))
    make.image("one", [(root, "gzip"), (data("one"), "gzip")])
    make.image("two", [(root, "gzip"), (data("two"), "gzip")])
    make.image("three", [(root, "gzip"), (data("one"), "gzip"), (data("three"), "gzip")])
    make.image("twice", [(root, "gzip"), (data("t"), "gzip"), (data("u"), "none"), (data("t"), "gzip")])
    make.image("zstd", [(root, "zstd"), (data("zstd", 3000), "zstd")])
    make.image("lie", [(root, "gzip"), (data("lie"), "lie")])
    make.image("junk", [(root, "gzip"), (b"this is no archive" * 100, "gzip")])
    make.image("arm", [(root, "gzip"), (data("arm"), "gzip")], ARM64)
    make.image("big", [(root, "gzip"), (data("big", args.big_mb << 10), "none")])
    layout = make.layout("wrong")
    layers = [(layout.add(compress(root, "zstd"), MEDIA["oci"]["zstd"]), sha256(root)),
              (layout.add(compress(data("wrong"), "zstd"), MEDIA["oci"]["zstd"]), sha256(b"something else"))]
    layout.tag("load/wrong:1", layout.image(layers, "oci", AMD64))
    layout = make.layout("multi")
    children = []
    for platform in (AMD64, ARM64):
        layers = [layout.layer(rootfs(platform["architecture"]), "oci", "gzip")]
        children.append(layout.image(layers, "oci", platform))
    layout.tag("load/multi:1", layout.list_of(children, "oci"))


if __name__ == "__main__":
    main()
