#!/usr/bin/env python3
"""Bad input costs its sender a clear refusal, a reject or its connection, and nobody else anything.

Cut, oversized, zero-length, unknown and malformed frames, wrong magic and version, numbers left out, broken FlatBuffers, events
that break a rule, lines that are no JSON; and rubbish on central's port. A good producer sends beside them all the time.
"""
import argparse
import collections
import json
import random
import socket
import struct
import subprocess
import sys

import multiset
from cluster import BIN, ROOT, Cluster, input_file

MALFORMED = ROOT.parent / "shared/data/malformed"
EVENT, HELLO, WELCOME, ACK, REFUSAL, BATCH, EDGE_HELLO = 1, 16, 17, 18, 19, 34, 32
MAGIC = 0x52494557
RULES = """
[[rules]]
types = ["rule.*"]
require = ["key", "data.fine"]
ranges = [{ path = "data.fine", min = 0, max = 1000 }]
"""


def frame(kind, body, number=0, declared=None):
    padded = body + b"\0" * (-len(body) % 8)
    return struct.pack("<IHBBQ", len(body) if declared is None else declared, 0, kind, 0, number) + padded


def hello(name=b"", level=2, magic=MAGIC, version=1):
    return frame(HELLO, struct.pack("<IHBB64s", magic, version, level, 0, name))


class Peer:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.held = b""

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass  # refused and closed already: the answer is still to be read
        return self

    def next_frame(self):
        """(kind, body), or None when the other side has closed."""
        while True:
            if len(self.held) >= 16:
                size, _, kind, _, _ = struct.unpack_from("<IHBBQ", self.held)
                whole = 16 + size + (-size % 8)
                if len(self.held) >= whole:
                    body, self.held = self.held[16:16 + size], self.held[whole:]
                    return kind, body
            try:
                more = self.socket.recv(65536)
            except ConnectionError:
                return None
            if not more:
                return None
            self.held += more

    def refusal(self):
        """The number of the reason, and the detail, of the refusal that must end this connection."""
        reason = None
        while (got := self.next_frame()) is not None:
            if got[0] == REFUSAL:
                reason = (got[1][0], got[1][8:].split(b"\0")[0].decode())
        return reason


def expect(what, good, said):
    print(f"  {'ok  ' if good else 'FAIL'} {what}: {said}", flush=True)
    if not good:
        raise RuntimeError(what)


def refusals(port):
    """Streams that must be refused, with the reason's number (core/wire/control.hpp)."""
    for what, stream, reason in (
            ("wrong magic", hello(magic=0x12345678), 1),
            ("wrong version", hello(version=999), 2),
            ("an event before the hello", frame(EVENT, b"x" * 64), 1),
            ("a name that is not allowed", hello(name=b"No Such Name!"), 4),
            ("a body of 2^32-1 bytes", hello() + frame(EVENT, b"", declared=0xFFFFFFFF), 3),
            ("more than 16 KiB before the hello", frame(HELLO, b"x" * 20000), 3),
            ("an unknown kind of frame", hello() + frame(200, b"12345678"), 1),
            ("a second hello", hello() + hello(), 1),
            ("numbers that leave one out", hello(name=b"gappy") + frame(EVENT, b"junk", number=2), 5),
            ("rubbish", random.Random(7).randbytes(4096), None)):
        got = Peer(port).send(stream).refusal()
        expect(what, got is not None and (reason is None or got[0] == reason), got)


def dead_letters(port):
    """Well-framed events with bodies that are no event: each is acked as dead-lettered (3) or rejected (4), with a reason."""
    bodies = [b"", b"\0" * 8, b"\xff" * 200, b"WEVT" * 50]
    if (MALFORMED / "flatbuffers").exists():
        bodies += [path.read_bytes() for path in sorted((MALFORMED / "flatbuffers").glob("*.bin"))]
    else:
        print("  skipped: ../shared/data/malformed is not here")
    rng = random.Random(1)
    bodies += [rng.randbytes(rng.randrange(1, 300)) for _ in range(50)]
    peer = Peer(port).send(hello() + b"".join(frame(EVENT, body) for body in bodies))
    answers = {}
    while len(answers) < len(bodies):
        got = peer.next_frame()
        expect("the connection stays", got is not None, "closed") if got is None else None
        kind, body = got
        if kind != ACK:
            continue
        _, ranges, _ = struct.unpack_from("<QII", body)
        for index in range(ranges):
            first, count, status, reason, _ = struct.unpack_from("<QIBBH", body, 16 + 16 * index)
            answers.update({ordinal: (status, reason) for ordinal in range(first, first + count)})
    expect(f"{len(bodies)} malformed events", all(status in (3, 4) and reason for status, reason in answers.values()),
           collections.Counter(answers.values()).most_common(4))
    return sum(1 for status, _ in answers.values() if status == 3)


def broken_lines(cluster, port):
    """Lines that are no event, among good ones: named by line, the rest goes on, exit 1."""
    path = cluster.directory / "broken.ndjson"
    good = {"id": "ok-1", "type": "line.test", "source": "lines", "time": "2017-12-01T00:00:00Z", "key": "k", "data": {}}
    broken = {**good, "id": "rule-1", "type": "rule.test", "data": {"fine": 5000}}
    path.write_text("\n".join([json.dumps(good), "{not json", json.dumps({"id": "x"}), "", "<<<<<<< HEAD",
                               json.dumps(broken), json.dumps({**good, "id": "ok-2"})]) + "\n")
    done = subprocess.run([BIN / "weir-bench", "send", "--to", f"127.0.0.1:{port}", "--ndjson", path, "--json"],
                          capture_output=True, text=True, check=False, timeout=60)
    named = [f"broken.ndjson:{line}:" in done.stderr for line in (2, 3, 5)]
    expect("lines 2, 3 and 5 are named and the exit is 1", done.returncode == 1 and all(named), done.stderr.splitlines()[:3])
    said = json.loads(done.stdout.strip().splitlines()[-1])
    expect("the good lines went through", said["acked"] - said["rejected"] >= 2 or said["accepted"] == 2, said)
    if (MALFORMED / "chicago-red-light-with-conflict-markers.csv").exists():
        done = subprocess.run([BIN / "weir-bench", "send", "--to", f"127.0.0.1:{port}", "--ndjson",
                               MALFORMED / "chicago-red-light-with-conflict-markers.csv", "--json"],
                              capture_output=True, text=True, check=False, timeout=60)
        said = json.loads(done.stdout.strip().splitlines()[-1])
        expect("a file that is no NDJSON at all", done.returncode == 1 and said["accepted"] == 0, said["rejected"])


def rubbish_at_central(cluster):
    port = int(cluster.central.config.read_text().split('edges = "127.0.0.1:')[1].split('"')[0])
    rng = random.Random(3)
    edge_hello = struct.pack("<IHH32sQQQQ", MAGIC, 1, 0, b"ghost", 1, 1, 0, 0)
    for what, stream in (("rubbish", rng.randbytes(5000)), ("a batch before the hello", frame(BATCH, b"x" * 300)),
                         ("wrong magic", frame(EDGE_HELLO, b"\0" * 72)),
                         ("a batch of rubbish", frame(EDGE_HELLO, edge_hello) + frame(BATCH, rng.randbytes(4000))),
                         ("2^32-1 bytes", frame(EDGE_HELLO, edge_hello) + frame(BATCH, b"", declared=0xFFFFFFFF))):
        got = Peer(port).send(stream).refusal()
        expect(f"central: {what}", got is not None, got)


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--io", default="auto")
    args = args.parse_args()
    with Cluster(["north"], io=args.io, edge_extra=RULES) as cluster:
        port = cluster.producer_ports[0]
        parts = cluster.split_input(input_file(), 6000)
        beside = cluster.send(0, parts[0], rate=2000)
        refusals(port)
        cut = Peer(port).send(hello() + frame(EVENT, b"y" * 500)[:100])  # cut in the middle, then gone
        cut.socket.close()
        letters = dead_letters(port) + 1  # and one event that broke a rule, below
        broken_lines(cluster, port)
        rubbish_at_central(cluster)
        cluster.finish([beside])
        cluster.wait_until_delivered()
        listed = subprocess.run([BIN / "weir-central", "dead-letters", "ls", cluster.central.data_dir, "--json"],
                                capture_output=True, text=True, check=True).stdout.splitlines()
        reasons = collections.Counter(json.loads(line)["reason"] for line in listed)
        expect("each dead letter is listed at central with its reason", len(listed) == letters and "none" not in reasons,
               dict(reasons))
        lines = cluster.directory / "good-lines.ndjson"
        lines.write_text("".join(line + "\n" for line in (cluster.directory / "broken.ndjson").read_text().splitlines()
                                 if '"ok-' in line))
        same = multiset.report(multiset.compare([*parts, lines], [cluster.central_events()]))
        expect("the good producer lost nothing", same, "multisets compared")
        ledger = cluster.edges[0].ledger()
        expect("offered = accepted + duplicates + rejected",
               ledger["offered"] == ledger["accepted"] + ledger["duplicates"] + ledger["rejected"], ledger)
        for daemon in [*cluster.edges, cluster.central]:
            daemon.stop()
        cluster.audit()
    print("bad-input: PASS")
    return 0


if __name__ == "__main__":
    sys.exit(main())
