#!/usr/bin/env python3
"""Events that break a rule become dead letters; the rule is mended, the edges restart, the letters are replayed: each is applied once.

Replays are killed (kill -9) with part of their letters sent, with their acks lost, and together with the edge; they are repeated from
the edge's copy, from central's, and without the marks of earlier ones. Real events, an unnumbered and a numbered producer, letters
that an unnumbered producer's retry made twice, and bytes that are no event. Ends with the multiset of central's journal, the ledgers
and weir-central audit.
"""
import argparse
import collections
import gzip
import itertools
import json
import random
import selectors
import socket
import subprocess
import sys
import threading
import time

import multiset
from bad_input import EVENT, MALFORMED, Peer, expect, frame, hello
from cluster import BIN, Cluster, input_file

RULES = """
[[rules]]
types = ["broken.*"]
require = ["data.never"]
"""
GOODBYE = 20
WELCOME_BYTES = 16 + 24  # frame header and body
SETTLED_S = 0.3          # the ledger stands still for so long: what was let through is judged
AGAIN = 20               # letters that a retry makes twice
FORGETFUL = "[cache]\nlifetime_s = 1\nids_max = 1024\n"


class Gate:
    """Before an edge: lets so many bytes of one connection up to it, then no more; acks come back only if asked for."""

    def __init__(self, to_port, up_bytes, passes_acks):
        self.to_port, self.up_bytes, self.passes_acks = to_port, up_bytes, passes_acks
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def close(self):
        self.listener.close()
        self.thread.join(10)

    def _run(self):
        with self.listener.accept()[0] as near, socket.create_connection(("127.0.0.1", self.to_port)) as far:
            selector = selectors.DefaultSelector()
            selector.register(near, selectors.EVENT_READ)
            selector.register(far, selectors.EVENT_READ)
            down = 0
            while True:
                for key, _ in selector.select():
                    try:
                        data = key.fileobj.recv(65536)
                        if not data:
                            return
                        if key.fileobj is near:
                            far.sendall(data[:self.up_bytes])
                            self.up_bytes -= min(len(data), self.up_bytes)
                        else:
                            near.sendall(data if self.passes_acks else data[:max(0, WELCOME_BYTES - down)])
                            down += len(data)
                    except OSError:
                        return


class Letters:
    """The tools over one daemon's copy of the letters."""

    def __init__(self, daemon, edge):
        self.program, self.directory, self.edge = BIN / daemon.program, daemon.data_dir, edge

    def command(self, verb, *options):
        return [self.program, "dead-letters", verb, self.directory, "--json", "--edge", self.edge, *options]

    def run(self, verb, *options):
        """(exit code, objects, what it said on stderr)."""
        done = subprocess.run(self.command(verb, *options), capture_output=True, text=True, check=False, timeout=120)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr

    def replay(self, port, *options):
        code, rows, said = self.run("replay", "--to", f"127.0.0.1:{port}", "--reason-text", "the rule was wrong", *options)
        return code, collections.Counter(row["outcome"] for row in rows), said

    def forget(self):
        (self.directory / "dead-letter-marks").unlink(missing_ok=True)


def deal(cluster, count):
    """Real events, every third of a type that breaks the rule: for each edge (all, broken)."""
    source = input_file()
    parts = []
    with (gzip.open if str(source).endswith(".gz") else open)(source, "rt", encoding="utf-8") as lines:
        for edge in cluster.edges:
            events = [json.loads(line) for line in itertools.islice(lines, count)]
            for index, event in enumerate(events):
                if index % 3 == 0:
                    event["type"] = "broken." + event["type"]
            path = cluster.directory / f"{edge.name}.ndjson"
            path.write_text("".join(json.dumps(event) + "\n" for event in events))
            parts.append((path, [event for event in events if event["type"].startswith("broken.")]))
    return parts


def send(cluster, index, path, producer=None):
    """Everything is answered; what breaks the rule is said to be rejected, so the exit is 1."""
    sender = cluster.send(index, path, ack="delivered", producer=producer)
    out, _ = sender.communicate(timeout=120)
    return json.loads(out.strip().splitlines()[-1])


def send_malformed(port):
    bodies = [b"", b"\0" * 8, b"\xff" * 200, b"WEVT" * 50]
    if (MALFORMED / "flatbuffers").exists():
        bodies += [path.read_bytes() for path in sorted((MALFORMED / "flatbuffers").glob("*.bin"))]
    else:
        print("  skipped: ../shared/data/malformed is not here")
    rng = random.Random(2)
    bodies += [rng.randbytes(rng.randrange(1, 300)) for _ in range(50)]
    Peer(port).send(hello() + b"".join(frame(EVENT, body) for body in bodies) + frame(GOODBYE, b"")).refusal()
    return len(bodies)


def await_letters(letters, count):
    give_up = time.monotonic() + 30
    while len(rows := letters.run("ls")[1]) != count:
        if time.monotonic() > give_up:
            raise RuntimeError(f"{len(rows)} letters at {letters.directory}, expected {count}")
        time.sleep(0.1)
    return rows


def accepted(edge):
    return edge.ledger()["accepted"]


def await_standstill(edge):
    last, since = accepted(edge), time.monotonic()
    while time.monotonic() - since < SETTLED_S:
        time.sleep(0.02)
        if (now := accepted(edge)) != last:
            last, since = now, time.monotonic()
    return last


def killed_replays(cluster, letters, kills, before, total):
    """Kills replays in the middle; what the edge had taken then stays taken."""
    edge, port = cluster.edges[0], cluster.producer_ports[0]
    bytes_all = sum(row["bytes"] + 24 for row in letters.run("ls", "--type", "broken.*")[1])
    counts = []
    for kill in range(1, kills + 1):
        letters.forget()  # each one begins from nothing but what the edge knows
        gate = Gate(port, bytes_all * kill // (kills + 1), passes_acks=kill % 2 == 1)
        replay = subprocess.Popen(letters.command("replay", "--to", f"127.0.0.1:{gate.port}", "--type", "broken.*",
                                                  "--reason-text", "the rule was wrong"),
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cluster.senders.append(replay)
        give_up = time.monotonic() + 20
        while accepted(edge) <= (counts[-1] if counts else before) and time.monotonic() < give_up:
            time.sleep(0.01)
        counts.append(await_standstill(edge))
        expect(f"replay {kill} stands in the middle", replay.poll() is None, f"applied {counts[-1] - before} of {total}")
        if kill == kills:
            edge.kill()
        replay.kill()
        replay.wait()
        gate.close()
        if kill == kills:
            edge.start()
            counts.append(accepted(edge))
    applied = [count - before for count in counts]
    expect("each kill left more applied, none all; the edge's kill -9 lost none",
           all(0 < a < b for a, b in zip(applied, applied[1:-1])) and applied[-1] == applied[-2] < total, applied)


def mend(cluster):
    for edge in cluster.edges:
        edge.stop()
        edge.config.write_text(edge.config.read_text().replace(RULES, ""))
        edge.start()


def forget_ids(edge):
    """The duplicate filter knows nothing any more: what is known of letters then, is known for ever."""
    edge.stop()
    edge.config.write_text(edge.config.read_text() + FORGETFUL)
    edge.start()
    time.sleep(2.2)


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--io", default="auto")
    args.add_argument("--events", type=int, default=6000, help="for each of two edges")
    args.add_argument("--kills", type=int, default=4)
    args = args.parse_args()
    with Cluster(["north", "south"], io=args.io, edge_extra=RULES) as cluster:
        north, south = cluster.edges
        parts = deal(cluster, args.events)
        broken = len(parts[0][1])
        reports = [send(cluster, 0, parts[0][0]), send(cluster, 1, parts[1][0], producer="cam-1")]
        expect("everything was answered", all(one["acked"] == args.events for one in reports),
               [one["reasons"] if "reasons" in one else one["rejected"] for one in reports])
        again = cluster.directory / "again.ndjson"
        again.write_text("".join(json.dumps(event) + "\n" for event in parts[0][1][:AGAIN]))
        send(cluster, 0, again)
        malformed = send_malformed(cluster.producer_ports[0])
        at_edge, at_central = Letters(north, "north"), Letters(cluster.central, "north")
        of_south = Letters(cluster.central, "south")
        letters = broken + AGAIN + malformed
        rows = await_letters(at_central, letters)
        expect("central has every letter with its reason", all(row["reason"] != "none" for row in rows),
               dict(collections.Counter(row["reason"] for row in rows)))
        expect("the edge's copy has the same", len(await_letters(at_edge, letters)) == letters, letters)
        expect("and south's, of a numbered producer", len(await_letters(of_south, len(parts[1][1]))) > 0, len(parts[1][1]))

        # The rule still stands: nothing moves, and no letter becomes two.
        before = north.ledger()
        code, outcomes, _ = at_central.replay(cluster.producer_ports[0], "--type", "broken.*")
        ledger = north.ledger()
        expect("what still fails is rejected and stays the letter it was",
               code == 1 and outcomes == {"rejected": broken + AGAIN} and ledger["accepted"] == before["accepted"]
               and ledger["rejected"] == before["rejected"] + broken + AGAIN
               and len(await_letters(at_central, letters)) == letters, outcomes)

        mend(cluster)
        before = accepted(north)
        killed_replays(cluster, at_edge, args.kills, before, broken)
        at_edge.forget()
        code, outcomes, said = at_edge.replay(cluster.producer_ports[0], "--type", "broken.*")
        expect("a whole replay applies the rest", code == 0 and accepted(north) == before + broken
               and sum(outcomes.values()) == broken + AGAIN and outcomes["duplicate"] > AGAIN, (outcomes, said))
        for what, copy in (("with its marks", at_edge), ("from central's copy", at_central)):
            code, outcomes, said = copy.replay(cluster.producer_ports[0], "--type", "broken.*")
            expect(f"again, {what}: nothing new", code == 0 and accepted(north) == before + broken
                   and outcomes["accepted"] == 0 and sum(outcomes.values()) == (0 if copy is at_edge else broken + AGAIN), outcomes)
        at_edge.forget()
        code, outcomes, said = at_edge.replay(cluster.producer_ports[0], "--type", "broken.*")
        expect("again, without marks: nothing new", code == 0 and outcomes == {"duplicate": broken + AGAIN}, outcomes)

        forget_ids(north)
        at_edge.forget()
        code, outcomes, said = at_edge.replay(cluster.producer_ports[0], "--type", "broken.*")
        expect("again, when every id is forgotten: nothing new", code == 0 and outcomes == {"duplicate": broken + AGAIN}, outcomes)

        code, outcomes, said = of_south.replay(cluster.producer_ports[0])
        expect("another edge takes none", code == 1 and outcomes == {"refused": len(parts[1][1])} and "another edge" in said, said.strip())
        code, outcomes, said = of_south.replay(cluster.producer_ports[1], "--limit", "10")
        expect("south takes ten of its own", code == 0 and outcomes == {"accepted": 10}, outcomes)
        code, outcomes, said = of_south.replay(cluster.producer_ports[1])
        expect("and the rest", code == 0 and outcomes == {"accepted": len(parts[1][1]) - 10}, outcomes)

        code, outcomes, _ = at_central.replay(cluster.producer_ports[0])
        expect("what is no event cannot be replayed, and that is said", code == 1 and outcomes == {"not_an_event": malformed}, outcomes)
        code, rows, said = at_central.run("purge", "--stage", "decode", "--reason-text", "rubbish of a test")
        expect("it is purged", code == 0 and at_central.run("ls")[1] == []
               and len(at_central.run("ls", "--all")[1]) == letters, said or rows[0])

        cluster.wait_until_delivered()
        same = multiset.report(multiset.compare([path for path, _ in parts], [cluster.central_events()]))
        expect("each event is in central's journal once", same, "multisets compared")
        for edge in cluster.edges:
            ledger = edge.ledger()
            expect(f"{edge.name}'s ledger closes", ledger["residue"] == 0, ledger)
        total = cluster.central.ledger()["totals"]
        expect("central's ledger closes, its dead letters as many as before", total["residue"] == 0
               and total["dead_lettered"] == letters + len(parts[1][1]), total)
        for daemon in [*cluster.edges, cluster.central]:
            daemon.stop()
        cluster.verify_journals()
        cluster.audit()
    print("dead-letters: PASS")
    return 0


if __name__ == "__main__":
    sys.exit(main())
