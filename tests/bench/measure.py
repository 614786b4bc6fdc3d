#!/usr/bin/env python3
"""Runs a command and writes "SECONDS PEAK_RSS_KIB PEAK_DISK_BYTES" to a file.

usage: measure.py RESULT [--disk FOLDER] COMMAND...

The time includes `sync -f` of FOLDER (default: the working directory), so that whoever leaves
data in the page cache has no advantage. The peak of the resident memory is that of the largest
process of the command. The peak of the disk is sampled every 10 ms below FOLDER.
"""

import os
import resource
import subprocess
import sys
import threading
import time


def allocated(folder: str) -> int:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_blocks * 512
            except FileNotFoundError:
                pass  # renamed between the two calls; the next sample has it
    return total


def watch(folder: str, stop: threading.Event, peak: list[int]) -> None:
    while not stop.wait(0.01):
        peak[0] = max(peak[0], allocated(folder))


def main() -> int:
    result, args, folder, watcher = sys.argv[1], sys.argv[2:], ".", None
    stop, peak = threading.Event(), [0]
    if args[0] == "--disk":
        folder, args = args[1], args[2:]
        watcher = threading.Thread(target=watch, args=(folder, stop, peak))
        watcher.start()
    start = time.monotonic()
    status = subprocess.run(args).returncode
    subprocess.run(["sync", "-f", folder], check=True)
    seconds = time.monotonic() - start
    if watcher:
        stop.set()
        watcher.join()
        peak[0] = max(peak[0], allocated(folder))
    rss = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    with open(result, "w", encoding="ascii") as out:
        out.write(f"{seconds:.3f} {rss} {peak[0]}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
