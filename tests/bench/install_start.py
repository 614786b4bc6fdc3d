#!/usr/bin/python3
"""Starts a daemon and asks it for /healthz without a pause until it answers.

  install_start.py LOG PIDFILE PROGRAM ARG...      (--listen 127.0.0.1:9479 among them)

Prints the milliseconds from before fork to the answer. The daemon goes on.
"""
import socket
import subprocess
import sys
import time


def answers() -> bool:
    try:
        with socket.create_connection(("127.0.0.1", 9479), timeout=5) as s:
            s.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            return b" 200 " in s.recv(4096)
    except OSError:
        return False


def main() -> int:
    log, pidfile, *command = sys.argv[1:]
    began = time.monotonic()
    with open(log, "ab") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    with open(pidfile, "w", encoding="ascii") as out:
        out.write(f"{process.pid}\n")
    while not answers():
        if process.poll() is not None or time.monotonic() - began > 30:
            sys.exit(f"it does not answer, see {log}")
    print(f"{(time.monotonic() - began) * 1000:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
