#!/usr/bin/env python3
"""Verification bombs at line rate: one producer of one edge sends events whose fields all share one large text, 1.4 MB of them in 200 KB,
and small ones of rubbish, as fast as its credit allows, over TLS, with the fuse off so that each is verified. Another edge's p99 to the
delivered ack stands beside that of its run alone, and what either daemon takes in memory.

  scripts/security/bombs [--seconds N] [--rounds N] [--rate N] [--ratio-max R] [--memory-mb-max N] [--io auto|uring|epoll]

The sender of bombs runs at the lowest priority (nice 19), as it shares this machine's cores with everything else. Exit 1 where the
median p99 is above --ratio-max times that alone (0: it is said, not judged), memory grew by more than --memory-mb-max, a bomb was not
refused, or a ledger does not close.
"""
import argparse
import collections
import json
import select
import socket
import ssl
import statistics
import struct
import subprocess
import sys
import time

from bad_input import ACK, EVENT, WELCOME, frame, hello
from cluster import Cluster
from security_flood import memory_mb, run

FIELDS = 9
STRINGS = (0, 1, 2, 3, 6, 7, 8)  # id, type, source, key, trace_id, content_type, payload (schemas/event.fbs)
SHARED_BYTES = 200_000
NO_FUSE = "\n[dead_letters]\nfuse = false\n"
ACCEPTED = 1


def bomb():
    """A FlatBuffer by hand: root offset, identifier, vtable, table, and one text that every field means."""
    vtable_at, table_at = 8, 8 + 4 + 2 * FIELDS + 2
    text_at = table_at + 4 + 4 * FIELDS
    vtable = struct.pack(f"<HH{FIELDS}H", 4 + 2 * FIELDS, 4 + 4 * FIELDS,
                         *(4 + 4 * index if index in STRINGS else 0 for index in range(FIELDS)))
    offsets = [text_at - (table_at + 4 + 4 * index) if index in STRINGS else 0 for index in range(FIELDS)]
    body = struct.pack("<I4s", table_at, b"WEVT") + vtable
    body += b"\0" * (table_at - len(body)) + struct.pack(f"<i{FIELDS}I", table_at - vtable_at, *offsets)
    return body + struct.pack("<I", SHARED_BYTES) + b"x" * SHARED_BYTES + b"\0"


class Bomber:
    """One connection: sends within its credit, and counts what was said of each."""

    def __init__(self, port, trusted):
        context = ssl.create_default_context(cafile=trusted)
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=10), server_hostname="127.0.0.1")
        self.held, self.credit, self.sent, self.statuses = b"", 0, 0, collections.Counter()
        self.socket.sendall(hello())

    def take_frame(self):
        while True:
            if len(self.held) >= 16:
                size, _, kind, _, _ = struct.unpack_from("<IHBBQ", self.held)
                end = 16 + size + (-size % 8)
                if len(self.held) >= end:
                    body, self.held = self.held[16:16 + size], self.held[end:]
                    return kind, body
            more = self.socket.recv(65536)
            if not more:
                raise RuntimeError("the edge ended the connection of one that keeps to its credit")
            self.held += more

    def look(self):
        kind, body = self.take_frame()
        if kind == WELCOME:
            self.credit = struct.unpack_from("<QQ", body)[1]
        elif kind == ACK:
            credit, ranges = struct.unpack_from("<QI", body)
            self.credit = max(self.credit, credit)
            for index in range(ranges):
                _, count, status, _, _ = struct.unpack_from("<QIBBH", body, 16 + 16 * index)
                self.statuses[status] += count

    def fire(self, bodies):
        while self.credit <= self.sent:
            self.look()
        for body in bodies[:self.credit - self.sent]:
            self.socket.sendall(frame(EVENT, body))
            self.sent += 1
        while self.held or self.socket.pending() or select.select([self.socket], [], [], 0)[0]:
            self.look()


def fire(port, trusted):
    """Until it is ended; what was answered so far, a line a second."""
    bodies = [bomb()] + [bytes((seed * 7 + i * 31) & 255 for i in range(300)) for seed in range(15)]
    bomber, said = Bomber(port, trusted), time.monotonic()
    while True:
        bomber.fire(bodies)
        if time.monotonic() - said >= 0.5:
            said = time.monotonic()
            print(json.dumps({"sent": bomber.sent, "statuses": dict(bomber.statuses)}), flush=True)


class Bombs:
    def __init__(self, cluster):
        self.cluster = cluster

    def __enter__(self):
        self.process = subprocess.Popen(
            ["nice", "-n", "19", sys.executable, __file__, "--fire", str(self.cluster.producer_ports[0]), "--trusted",
             self.cluster.certs / "trusted.crt"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.cluster.senders.append(self.process)
        time.sleep(1)
        return self

    def __exit__(self, *_):
        if self.process.poll() is not None:
            raise RuntimeError("the bombs ended by themselves")
        self.process.kill()
        self.said = json.loads(self.process.communicate()[0].splitlines()[-1])
        self.cluster.senders.remove(self.process)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--ratio-max", type=float, default=2.0)
    parser.add_argument("--memory-mb-max", type=float, default=96)
    parser.add_argument("--io", default="auto", choices=("auto", "uring", "epoll"))
    parser.add_argument("--fire", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--trusted", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.fire:
        return fire(args.fire, args.trusted)
    p99 = {"alone": [], "bombs": []}
    statuses, sent = collections.Counter(), 0
    with Cluster(["north", "south"], io=args.io, edge_extra=NO_FUSE, is_tls=True) as cluster:
        daemons = [cluster.central, *cluster.edges]
        run(cluster, args, 1)  # warm
        before = [memory_mb(daemon) for daemon in daemons]
        most = list(before)
        for _ in range(args.rounds):
            p99["alone"].append(run(cluster, args, 1)["p99"])
            with Bombs(cluster) as bombs:
                p99["bombs"].append(run(cluster, args, 1)["p99"])
                most = [max(was, memory_mb(daemon)) for was, daemon in zip(most, daemons)]
            sent += bombs.said["sent"]
            statuses.update({int(status): count for status, count in bombs.said["statuses"].items()})
        cluster.wait_until_delivered()
        ledgers = [edge.ledger() for edge in cluster.edges]
    alone, beside = (statistics.median(p99[kind]) / 1000 for kind in ("alone", "bombs"))
    print(f"  another edge's p99: alone {alone:.2f} ms, beside bombs {beside:.2f} ms: ratio {beside / alone:.2f}")
    print(f"  {sent} bombs and pieces of rubbish sent to the edge {cluster.edges[0].name}; answered, by status: {dict(statuses)}")
    failed = args.ratio_max > 0 and beside > args.ratio_max * alone
    for what, is_so in (("every one of them that was answered was refused", bool(statuses) and statuses[ACCEPTED] == 0),
                        ("the ledgers close", not any(ledger["residue"] for ledger in ledgers))):
        print(f"  {'ok  ' if is_so else 'FAIL'}  {what}")
        failed |= not is_so
    for daemon, was, now in zip(daemons, before, most):
        print(f"  {daemon.name:8} memory {was:.0f} MiB before, {now:.0f} MiB at most, {args.memory_mb_max:.0f} more allowed")
        failed |= now - was > args.memory_mb_max
    print(f"bombs: {'FAIL' if failed else 'PASS'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
