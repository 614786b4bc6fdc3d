#!/usr/bin/env python3
"""A DNS server for tests: it knows the A records of its command line, nothing else.

    dns-server.py ADDRESS LOG NAME=IP...

It serves UDP on port 53 of ADDRESS and writes each question as "TYPE NAME" to LOG.
"""

import socket
import struct
import sys

TYPE_A = 1
NXDOMAIN = 3


def parse_question(packet):
    """The name, the type and the bytes of the one question of a query."""
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1 : at + 1 + packet[at]].decode("ascii"))
        at += 1 + packet[at]
    (kind,) = struct.unpack_from("!H", packet, at + 1)
    return ".".join(labels).lower(), kind, packet[12 : at + 5]


def answer(packet, records):
    """The reply to a query, and the line for the log."""
    name, kind, question = parse_question(packet)
    found = [records[name]] if name in records and kind == TYPE_A else []
    status = 0 if name in records else NXDOMAIN
    reply = packet[:2] + struct.pack("!HHHHH", 0x8180 | status, 1, len(found), 0, 0) + question
    for ip in found:
        reply += struct.pack("!HHHIH", 0xC00C, TYPE_A, 1, 60, 4) + socket.inet_aton(ip)
    return reply, f"{kind} {name}\n"


def main():
    address, log_path, *pairs = sys.argv[1:]
    records = dict(pair.split("=", 1) for pair in pairs)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 53))
    with open(log_path, "w", encoding="ascii") as log:
        while True:
            packet, peer = server.recvfrom(512)
            try:
                reply, line = answer(packet, records)
            except (IndexError, struct.error, UnicodeDecodeError):
                continue
            log.write(line)
            log.flush()
            server.sendto(reply, peer)


if __name__ == "__main__":
    main()
