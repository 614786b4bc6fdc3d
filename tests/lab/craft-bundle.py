#!/usr/bin/python3
"""Writes bundles that break one rule each, and one that breaks none, from a good bundle.

  craft-bundle.py GOOD DIR

It is a second writer of the format, after docs/bundle-format.md: DIR/same.tar is GOOD again, byte for
byte. In the others everything that the broken rule leaves open is right: checksums of headers, offsets,
the trailer.
"""
import copy
import hashlib
import json
import os
import sys
from collections.abc import Callable

BLOCK = 512
HEX = "0" * 64


def header(path: str, size: int, kind: str = "0", link: str = "", mode: int = 0) -> bytes:
    mode = mode or (0o755 if path.startswith("bin/") else 0o644)
    fields = [path.encode().ljust(100, b"\0"), b"%07o\0" % mode, b"%07o\0" % 0, b"%07o\0" % 0, b"%011o\0" % size,
              b"%011o\0" % 0, b" " * 8, kind.encode(), link.encode().ljust(100, b"\0"), b"ustar\00000",
              b"\0" * 64, b"%07o\0" % 0, b"%07o\0" % 0]
    block = b"".join(fields).ljust(BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % BLOCK)


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


class Bundle:
    """The index as JSON, and what stands in the file: [path, content, header] for each entry."""

    def __init__(self, index: dict, contents: list[bytes]) -> None:
        self.index = index
        self.parts = [[entry["path"], data, None] for entry, data in zip(index["entries"], contents)]
        self.index_text: bytes | None = None
        self.trailer: bytes | None = None
        self.tail = b"\0" * 2 * BLOCK

    def number(self, path: str) -> int:
        return next(n for n, entry in enumerate(self.index["entries"]) if entry["path"].startswith(path))

    def set_content(self, n: int, data: bytes) -> None:
        """New bytes for an entry, and its new size and digest in the index."""
        self.parts[n][1] = data
        entry = self.index["entries"][n]
        entry["size"], entry["sha256"] = len(data), hashlib.sha256(data).hexdigest()

    def insert(self, n: int, path: str, data: bytes) -> None:
        self.parts.insert(n, [path, data, None])
        self.index["entries"].insert(n, {"path": path, "size": len(data),
                                         "sha256": hashlib.sha256(data).hexdigest(), "offset": 0})

    def rename(self, n: int, path: str) -> None:
        self.parts[n][0] = self.index["entries"][n]["path"] = path

    def place(self) -> None:
        at = 0
        for entry in self.index["entries"]:
            entry["offset"] = at + BLOCK
            at += BLOCK + entry["size"] + -entry["size"] % BLOCK

    def write(self, path: str) -> None:
        text = self.index_text or compact(self.index)
        trailer = self.trailer or (b"flatnet-trailer 1\nindex-length %020d\nindex-sha256 %s\n"
                                   % (len(text), hashlib.sha256(text).hexdigest().encode()))
        with open(path, "wb") as out:
            out.write(header("flatnet.json", len(text)) + padded(text))
            for name, data, own in self.parts:
                out.write((own or header(name, len(data))) + padded(data))
            out.write(header("flatnet.trailer", len(trailer)) + padded(trailer) + self.tail)


def read(path: str) -> Bundle:
    with open(path, "rb") as file:
        data = file.read()
    size = int(data[124:135], 8)
    index = json.loads(data[BLOCK:BLOCK + size])
    start = BLOCK + size + -size % BLOCK
    entries = index["entries"]
    return Bundle(index, [data[start + e["offset"]:start + e["offset"] + e["size"]] for e in entries])


BREAKS: dict[str, Callable[[Bundle], None]] = {}


def breaks(function: Callable[[Bundle], None]) -> Callable[[Bundle], None]:
    BREAKS[function.__name__.replace("_", "-")] = function
    return function


@breaks
def entry_not_in_the_index(b: Bundle) -> None:
    b.parts.append(["addons/more.yml", b"more", None])


@breaks
def entry_missing(b: Bundle) -> None:
    del b.parts[b.number("addons/")]


@breaks
def entry_repeated(b: Bundle) -> None:
    n = b.number("addons/")
    b.parts.insert(n, b.parts[n])


@breaks
def entry_repeated_and_listed(b: Bundle) -> None:
    n = b.number("addons/")
    b.insert(n, b.parts[n][0], b.parts[n][1])


@breaks
def entries_swapped(b: Bundle) -> None:
    n = b.number("blobs/")
    b.parts[n], b.parts[n + 1] = b.parts[n + 1], b.parts[n]


@breaks
def addon_behind_blobs(b: Bundle) -> None:
    b.insert(len(b.parts), "addons/late.yml", b"late")


@breaks
def empty_name(b: Bundle) -> None:
    b.rename(b.number("addons/"), "addons/")


@breaks
def absolute_path(b: Bundle) -> None:
    b.rename(b.number("addons/"), "/etc/passwd")


@breaks
def dotted_path(b: Bundle) -> None:
    b.rename(b.number("addons/"), "addons/../../../etc/passwd")


@breaks
def parent_path(b: Bundle) -> None:
    b.rename(b.number("addons/"), "../x")


@breaks
def path_with_a_dot(b: Bundle) -> None:
    b.rename(b.number("addons/"), "addons/./a.yml")


@breaks
def path_of_another_folder(b: Bundle) -> None:
    b.rename(b.number("addons/"), "etc/passwd")


@breaks
def path_with_a_newline(b: Bundle) -> None:
    b.rename(b.number("addons/"), "addons/a\nb")


@breaks
def path_with_an_escape(b: Bundle) -> None:
    b.rename(b.number("addons/"), "addons/\x1b[2Jx")


@breaks
def long_path(b: Bundle) -> None:
    b.rename(b.number("addons/"), "addons/" + "x" * 94)


@breaks
def blob_under_another_name(b: Bundle) -> None:
    b.rename(b.number("blobs/"), "blobs/sha256/" + HEX)


def as_kind(kind: str, **more: object) -> Callable[[Bundle], None]:
    def change(b: Bundle) -> None:
        n = b.number("addons/")
        b.parts[n][2] = header(b.parts[n][0], len(b.parts[n][1]), kind, **more)
    return change


BREAKS |= {"hard-link": as_kind("1", link="manifest.json"), "symbolic-link": as_kind("2", link="../../etc/passwd"),
           "character-device": as_kind("3"), "block-device": as_kind("4"), "folder": as_kind("5"),
           "fifo": as_kind("6"), "old-regular-file": as_kind("\0"), "another-mode": as_kind("0", mode=0o4755)}


@breaks
def size_in_the_header_only(b: Bundle) -> None:
    n = b.number("addons/")
    b.parts[n][2] = header(b.parts[n][0], len(b.parts[n][1]) + 1)


@breaks
def pax_header_before_an_entry(b: Bundle) -> None:
    record = b"16 path=../../x\n"
    b.parts.insert(b.number("addons/"), ["pax", record, header("pax", len(record), "x")])


@breaks
def long_link_before_an_entry(b: Bundle) -> None:
    b.parts.insert(b.number("addons/"), ["././@LongLink", b"../../x\0", header("././@LongLink", 8, "L")])


@breaks
def blob_of_no_image(b: Bundle) -> None:
    data = b"nobody's"
    b.insert(len(b.parts), "blobs/sha256/" + hashlib.sha256(data).hexdigest(), data)


@breaks
def layer_missing(b: Bundle) -> None:
    n = len(b.parts) - 1
    del b.parts[n], b.index["entries"][n]


@breaks
def layer_of_another_size(b: Bundle) -> None:
    n = len(b.parts) - 1
    data = b.parts[n][1] + b"x"
    b.parts[n][1] = data
    b.index["entries"][n]["size"] = len(data)


@breaks
def layer_of_other_bytes(b: Bundle) -> None:
    n = len(b.parts) - 1
    b.parts[n][1] = bytes(len(b.parts[n][1]))


@breaks
def oci_index_with_another_name(b: Bundle) -> None:
    n = b.number("index.json")
    b.set_content(n, b.parts[n][1].replace(b":1", b":2"))


@breaks
def docker_manifest_with_another_name(b: Bundle) -> None:
    n = b.number("manifest.json")
    b.set_content(n, b.parts[n][1].replace(b":1", b":2"))


@breaks
def image_with_another_name(b: Bundle) -> None:
    b.index["images"][0]["reference"] = "docker.io/library/another:1"


@breaks
def image_without_a_platform(b: Bundle) -> None:
    b.index["images"][0]["platforms"] = []


@breaks
def manifest_of_another_size(b: Bundle) -> None:
    b.index["images"][0]["platforms"][0]["manifest"]["size"] += 1


@breaks
def manifest_that_is_none(b: Bundle) -> None:
    platform = b.index["images"][0]["platforms"][0]
    layer = b.index["entries"][-1]
    platform["manifest"] |= {"digest": "sha256:" + layer["sha256"], "size": layer["size"]}


@breaks
def another_format_version(b: Bundle) -> None:
    b.index["formatVersion"] = 2


@breaks
def a_member_more(b: Bundle) -> None:
    b.index["comment"] = "x"


@breaks
def index_with_blanks(b: Bundle) -> None:
    b.index_text = json.dumps(b.index).encode()


@breaks
def trailer_of_another_index(b: Bundle) -> None:
    b.trailer = b"flatnet-trailer 1\nindex-length %020d\nindex-sha256 %s\n" % (len(compact(b.index)), HEX.encode())


@breaks
def sizes_that_do_not_fit(b: Bundle) -> None:
    b.index["entries"][-1]["size"] = 1 << 52


@breaks
def one_zero_block_only(b: Bundle) -> None:
    b.tail = b"\0" * BLOCK


@breaks
def zeros_behind_the_end(b: Bundle) -> None:
    b.tail = b"\0" * 20 * BLOCK


def main() -> None:
    good, folder = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    bundle = read(good)
    bundle.place()
    bundle.write(os.path.join(folder, "same.tar"))
    for name, change in BREAKS.items():
        broken = copy.deepcopy(bundle)
        change(broken)
        broken.place()
        broken.write(os.path.join(folder, name + ".tar"))


if __name__ == "__main__":
    main()
