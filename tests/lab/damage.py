#!/usr/bin/python3
"""Damages a bundle in many places, one at a time, and has `flatnet bundle verify` look at each.

  damage.py flips FILE [STEP]      a bit of every STEPth (97th) byte, and of what holds the tar together
  damage.py lengths FILE           cut at every block, at some other lengths, and made longer

Every one must end with exit status 4, from a file and through a pipe; where the damage is in an entry, the
message must name it and say where. Prints what is not so, and a line with the number of looks.
"""
import concurrent.futures
import os
import random
import re
import subprocess
import sys
import tempfile

BLOCK = 512
FLATNET = os.environ["FLATNET"]


class Entry:
    def __init__(self, data: bytes, at: int) -> None:
        self.header, self.start = at, at + BLOCK
        self.path = data[at:at + 100].rstrip(b"\0").decode()
        self.end = self.start + int(data[at + 124:at + 135], 8)
        self.next = self.end + -self.end % BLOCK


def entries_of(data: bytes) -> list[Entry]:
    entries, at = [], 0
    while data[at:at + 1] != b"\0":
        entries.append(Entry(data, at))
        at = entries[-1].next
    return entries


def said_of(entries: list[Entry], offset: int) -> str:
    """A regular expression for what must be said of damage at the offset."""
    for entry in entries[1:-1]:
        if entry.header <= offset < entry.start:
            return f"header of entry '{re.escape(entry.path)}' at offset {entry.header} "
        if entry.end <= offset < entry.next:
            return f"padding .*at offset {offset} "
        if entry.start <= offset < entry.end and entry.path.startswith(("blobs/", "addons/", "bin/")):
            return re.escape(entry.path)
    return "."


def structural(entries: list[Entry], size: int) -> set[int]:
    fields = (0, 99, 100, 124, 136, 148, 156, 157, 257, 345, 511)
    found = {entry.header + field for entry in entries for field in fields}
    for entry in entries:
        found |= {entry.start, entry.end - 1, entry.end, entry.next - 1}
    return {offset for offset in found | {size - 2 * BLOCK, size - BLOCK - 1, size - 1} if offset < size}


class Looks:
    def __init__(self) -> None:
        self.pool = concurrent.futures.ThreadPoolExecutor(2)
        self.running: list[concurrent.futures.Future] = []

    def look(self, name: str, data: bytes, said: str) -> None:
        self.running += [self.pool.submit(self.one, name, data, said, piped) for piped in (False, True)]

    @staticmethod
    def one(name: str, data: bytes, said: str, piped: bool) -> str:
        with tempfile.NamedTemporaryFile(dir=".") as file:
            file.write(data)
            file.flush()
            command = [FLATNET, "bundle", "verify", "--jobs", "1", "-q", "-" if piped else file.name]
            with open(file.name, "rb") as source:
                done = subprocess.run(command, stdin=source, capture_output=True, check=False)
        text = done.stderr.decode(errors="replace")
        if done.returncode == 4 and re.search(said, text) and not done.stdout:
            return ""
        return f"{name}, {'pipe' if piped else 'file'}: exit {done.returncode}, expected '{said}': {text}"

    def end(self) -> int:
        bad = [text for text in (look.result() for look in self.running) if text]
        print("\n".join(bad + [f"{len(self.running)} looks"]))
        return 1 if bad else 0


def flips(looks: Looks, data: bytes, step: int) -> None:
    entries, dice = entries_of(data), random.Random(1)
    for offset in sorted(structural(entries, len(data)) | set(range(0, len(data), step))):
        damaged = bytearray(data)
        damaged[offset] ^= 1 << dice.randrange(8)
        looks.look(f"offset {offset}", bytes(damaged), said_of(entries, offset))


def lengths(looks: Looks, data: bytes) -> None:
    dice = random.Random(2)
    cuts = set(range(0, len(data), BLOCK)) | {dice.randrange(len(data)) for _ in range(25)} | {1, 11, 12, 13, 511}
    for cut in sorted(cuts | {len(data) - 1}):
        looks.look(f"cut at {cut}", data[:cut], "." if cut < BLOCK else "cut short")
    for tail in (b"\0", b"x", b"\0" * BLOCK, data):
        looks.look(f"{len(tail)} more", data + tail, f"behind the end of the bundle, from offset {len(data)}")


def main() -> None:
    with open(sys.argv[2], "rb") as file:
        data = file.read()
    looks = Looks()
    if sys.argv[1] == "flips":
        flips(looks, data, int(sys.argv[3]) if len(sys.argv) > 3 else 97)
    else:
        lengths(looks, data)
    sys.exit(looks.end())


if __name__ == "__main__":
    main()
