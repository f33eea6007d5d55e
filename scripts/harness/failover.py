#!/usr/bin/env python3
"""Measures how long an edge is without a central when the one in use goes: two independent centrals as real processes, under load.

  scripts/chaos/failover [--kills N] [--io auto|uring|epoll] [--seed S] [--tls] [--json FILE]

Each round takes the central in use away: killed (kill -9: its peers see resets and refusals) and, in every second round, stopped
(SIGSTOP: it stays silent). The time runs from the signal to the moment when the edge has agreed a session with the other one, as
its /metrics say, looked at every 5 ms. Then the lost one comes back, and the next round begins. At the end every event is in one
of the two journals, none of them twice in one, nothing is a GAP, and the audit of either central accounts for all.
Bounds: p95 of the killed 1 s, of the silent 3 s. Exit 1 if one is missed.
"""
import argparse
import collections
import gzip
import itertools
import json
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from cluster import BIN, ROOT, Daemon, free_ports, input_file, tokens
from secured import Secured

BOUND_S = {"killed": 1.0, "silent": 3.0}
POLL_S = 0.005
GIVE_UP_S = 30
RATE = 400


def percentile(values, share):
    """The smallest value that `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * share // 100) - 1))]


def await_session(edge, wanted, since):
    """Seconds from `since` until the edge is connected to central number `wanted`."""
    while time.monotonic() - since < GIVE_UP_S:
        now = edge.metrics()
        if now["weir_edge_uplink_connected"] == 1 and now["weir_edge_uplink_endpoint"] == wanted:
            return time.monotonic() - since
        time.sleep(POLL_S)
    raise RuntimeError(f"no session with central {wanted} within {GIVE_UP_S} s; the edge's log:\n{edge.log.read_text()}")


def sequences(central):
    """Of the events in its journal: (lane, sequence), and how often."""
    out = subprocess.run([BIN / "weir-central", "journal", "cat", central.data_dir, "--json"], stdout=subprocess.PIPE, check=True)
    events = map(json.loads, out.stdout.splitlines())
    return collections.Counter((event["lane"], event["sequence"]) for event in events)


def set_up(directory, io, secured=None):
    """Two centrals, one edge, its producers' port; `secured`: with TLS and roles."""
    ports = free_ports(6)

    def tables(name):
        return secured.tables(name, "producers = true\n" if name == "north" else "") if secured else ""

    if secured:
        tokens.update({ports[2]: secured.token, ports[3]: secured.token, ports[5]: secured.token})
    centrals = [Daemon(f"central-{name}", "weir-central", (
        'data_dir = "DATA_DIR"\nlog_level = "info"\n[listen]\n'
        f'edges = "127.0.0.1:{ports[index]}"\nadmin = "127.0.0.1:{ports[2 + index]}"\n' + tables(f"central-{name}")), directory, ports[2 + index], io)
        for index, name in enumerate("ab")]
    edge = Daemon("north", "weir-edge", (
        'edge_id = "north"\ndata_dir = "DATA_DIR"\nlog_level = "info"\n[listen]\n'
        f'producers = ["127.0.0.1:{ports[4]}"]\nadmin = "127.0.0.1:{ports[5]}"\n[uplink]\n'
        f'centrals = ["127.0.0.1:{ports[0]}", "127.0.0.1:{ports[1]}"]\n'
        # Each round is one switch-over: nothing goes back by itself.
        'return_ms = 86400000\n' + tables("north")), directory, ports[5], io)
    return centrals, edge, ports[4]


def secure(directory):
    return Secured(ROOT, BIN, directory / "certs", ["north"], ("central-a", "central-b"), has_roles=True)


def run_rounds(centrals, edge, kills, seed):
    dice = random.Random(seed)
    times = {"killed": [], "silent": []}
    in_use = int(edge.metrics()["weir_edge_uplink_endpoint"])
    for number in range(kills):
        how = "silent" if number % 2 else "killed"
        time.sleep(dice.uniform(0.3, 1.2))  # at any moment of a batch, a checkpoint, a ping
        lost, other = centrals[in_use], 1 - in_use
        began = time.monotonic()
        if how == "killed":
            lost.process.kill()
        else:
            lost.process.send_signal(signal.SIGSTOP)
        seconds = await_session(edge, other, began)
        times[how].append(seconds)
        print(f"{number + 1:3} central-{'ab'[in_use]} {how}: {seconds * 1000:7.1f} ms", flush=True)
        if how == "killed":
            lost.process.wait()
            lost.start()
        else:
            lost.process.send_signal(signal.SIGCONT)
        in_use = other
    return times


def is_complete(centrals, accepted):
    """Every sequence that the edge gave is in one of the journals, and in none of them twice."""
    found = [sequences(central) for central in centrals]
    union = set(found[0]) | set(found[1])
    missing = accepted - len(union)
    twice = [sum(1 for count in one.values() if count > 1) for one in found]
    print(f"journals: {len(found[0])} and {len(found[1])} events, {len(set(found[0]) & set(found[1]))} of them in both, "
          f"{missing} in neither, {twice[0]} and {twice[1]} twice", flush=True)
    return missing == 0 and not any(twice) and accepted > 0


def is_accounted(central, edge):
    """Central's own audit: what only the other one has is ELSEWHERE, nothing is missing."""
    done = subprocess.run([BIN / "weir-central", "audit", "--config", central.config, "--edge-dir", edge.data_dir],
                          capture_output=True, text=True, check=False)
    print(f"audit of {central.name}: {(done.stdout.strip().splitlines() or [done.stderr])[-1]}", flush=True)
    return done.returncode == 0


def is_closed(centrals, edge, sender):
    """Ends the load, lets everything arrive, stops the daemons: nothing is held, a GAP, missing or twice."""
    # What is offered from here on does not matter: a producer that was ended has no promise for what was not acked.
    sender.terminate()
    sender.wait()
    give_up = time.monotonic() + 60
    while edge.ledger()["held"] and time.monotonic() < give_up:
        time.sleep(0.05)
    ledger = edge.ledger()
    for daemon in [edge, *centrals]:
        daemon.stop()
    print(f"edge: accepted {ledger['accepted']}, delivered {ledger['delivered']}, held {ledger['held']}, gap {ledger['gap']}")
    good = ledger["held"] == 0 and ledger["gap"] == 0 and is_complete(centrals, ledger["accepted"])
    return all([good, *(is_accounted(central, edge) for central in centrals)])


def end_all(daemons, sender, directory):
    if sender is not None and sender.poll() is None:
        sender.kill()
        sender.wait()
    for daemon in daemons:
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.process.send_signal(signal.SIGCONT)
            daemon.kill()
    shutil.rmtree(directory, ignore_errors=True)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--kills", type=int, default=50)
    args.add_argument("--io", default="auto")
    args.add_argument("--seed", type=int, default=1)
    args.add_argument("--tls", action="store_true", help="TLS 1.3 on every connection, and tokens on the admin ports")
    args.add_argument("--json", type=pathlib.Path)
    args = args.parse_args()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="weir-failover-"))
    secured = secure(directory) if args.tls else None
    centrals, edge, producers = set_up(directory, args.io, secured)
    sender = None
    try:
        # The edge first: it takes events whether a central is there or not.
        edge.start()
        for central in centrals:
            central.start()
        await_session(edge, 0, time.monotonic())
        lines = directory / "input.ndjson"
        with (gzip.open if str(input_file()).endswith(".gz") else open)(input_file(), "rb") as source:
            chosen = list(itertools.islice(source, args.kills * RATE * 3))
        lines.write_bytes(b"".join(chosen))
        sender = subprocess.Popen([BIN / "weir-bench", "send", "--to", f"127.0.0.1:{producers}", "--ndjson", lines, "--ack",
                                   "spooled", "--json", "--rate", str(RATE),
                                   *(secured.sender() if secured else [])], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        times = run_rounds(centrals, edge, args.kills, args.seed)
        good = is_closed(centrals, edge, sender)
        report = {}
        for how, seconds in times.items():
            if not seconds:
                continue
            row = {"count": len(seconds), "p50_s": percentile(seconds, 50), "p95_s": percentile(seconds, 95), "max_s": max(seconds),
                   "bound_s": BOUND_S[how]}
            report[how] = row
            held = row["p95_s"] <= row["bound_s"]
            good &= held
            print(f"{how}: {row['count']} switch-overs, p50 {row['p50_s']:.3f} s, p95 {row['p95_s']:.3f} s, max {row['max_s']:.3f} s; "
                  f"p95 at most {row['bound_s']:.1f} s: {'held' if held else 'MISSED'}")
        if args.json:
            args.json.write_text(json.dumps(report, indent=1) + "\n")
        print(f"failover: {'PASS' if good else 'FAIL'}")
        return 0 if good else 1
    finally:
        end_all([edge, *centrals], sender, directory)


if __name__ == "__main__":
    sys.exit(main())
