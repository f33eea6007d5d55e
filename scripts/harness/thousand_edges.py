#!/usr/bin/env python3
"""What happens when very many edges come back to one central at once, each with a backlog.

  scripts/chaos/thousand-edges [--edges N] [--few N] [--events N] [--rounds N] [--link-mbit N] [--io auto|uring|epoll] [--ratio-min R]
                               [--json FILE]

In each round a new central drains the same events twice: from `--edges` edges at once (`weir-bench edges`), and from `--few`. They share a
link of --link-mbit, from the first connection on. PASS when every event is in central's journal exactly once and the audit finds nothing,
central's largest resident memory is at most what `weir-central check` says, and the many are drained at no less than `--ratio-min` of what the
link allows: from the first connect to the last ack so many bytes of batches a second (median of all rounds; `--ratio-min 0`:
only said). With --link-mbit 0 nothing bounds them but this machine, and the many's rate is held against the few's.
"""
import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys

from cluster import BIN, Cluster

BATCH_EVENTS = 100
SECONDS_MAX = 120
UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def stated_bytes(cluster):
    """The memory that `weir-central check` says central may use in all."""
    said = subprocess.run([BIN / "weir-central", "check", cluster.central.config], capture_output=True, text=True, check=True).stdout
    number, unit = re.search(r"^memory +([0-9.]+) (KiB|MiB|GiB)  in all$", said, re.MULTILINE).groups()
    return int(float(number) * UNITS[unit])


def drain(io, edges, events, payload_bytes, link_mbit):
    """One central, so many edges, and what came of it; raises if an event is lost, stored twice or not accounted for."""
    central_extra = f"connections_max = {max(64, edges + 24)}\n[limits]\ncredit_bytes_total = 4294967296\n"
    with Cluster([], io=io, central_extra=central_extra) as cluster:
        port = re.search(r'^edges = "127.0.0.1:(\d+)"', cluster.central.config.read_text(), re.MULTILINE).group(1)
        batches = max(1, events // edges // BATCH_EVENTS)
        done = subprocess.run([BIN / "weir-bench", "edges", "--to", f"127.0.0.1:{port}", "--count", str(edges), "--batches", str(batches),
                               "--events", str(BATCH_EVENTS), "--payload-bytes", str(payload_bytes), "--pid",
                               str(cluster.central.process.pid), "--timeout-s", str(SECONDS_MAX), "--link-mbit", str(link_mbit), "--json"],
                              stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"weir-bench edges ended with {done.returncode}: {done.stdout}")
        report = json.loads(done.stdout)
        report["offered"] = edges * batches * BATCH_EVENTS
        report["io"] = cluster.central.io_in_use()
        sent = edges * batches + report["resent_batches"]
        report["mbit_per_second"] = report["batch_bytes"] * edges * batches / sent * 8e-6 / report["seconds"]  # what was sent twice once
        report["stated_bytes"] = stated_bytes(cluster)
        ledger = cluster.central.ledger()["totals"]
        cluster.central.stop()
        cluster.verify_journals()
        cluster.audit()
        report["missing"], report["repeated"] = count_stored(cluster, report["offered"])
        report["residue"] = ledger["received"] - ledger["appended"] - ledger["duplicates"] - ledger["rejected"]
        return report


def count_stored(cluster, offered):
    """How many of the events 0 .. offered - 1 are missing in central's journal, and how many are there more than once."""
    seen = bytearray(offered)
    repeated = 0
    path = pathlib.Path(cluster.central_events())
    number = re.compile(rb'"id":"load-[0-9a-f]{8}-(\d{12})"')
    with path.open("rb") as lines:
        for line in lines:
            index = int(number.search(line).group(1))
            repeated += seen[index]
            seen[index] = 1
    path.unlink()
    return offered - sum(seen), repeated


def judge(rounds, few_rounds, link_mbit, ratio_min):
    """What the many reach, what they should, and what is wrong."""
    faults = []
    for report in [*rounds, *few_rounds]:
        for what in ("missing", "repeated", "residue"):
            if report[what] != 0:
                faults.append(f"{report['edges']} edges: {what}: {report[what]} events")
        if report["central_rss_bytes_max"] > report["stated_bytes"]:
            faults.append(f"{report['edges']} edges: central had {report['central_rss_bytes_max']} bytes in memory, more than the "
                          f"{report['stated_bytes']} of its check")
        if report["central_rss_bytes_max"] == 0:
            faults.append("central's memory could not be read")
    measure = "mbit_per_second" if link_mbit else "events_per_second"
    many, few = (statistics.median(report[measure] for report in of) for of in (rounds, few_rounds))
    allowed = link_mbit or few
    if many < ratio_min * allowed:
        faults.append(f"the many were drained at {many / allowed:.2f} of what could be, less than {ratio_min}")
    return many, few, allowed, faults


def say(report):
    print(f"{report['edges']:5} edges  {report['io']}  {report['acked']} events in {report['seconds']:.2f} s, "
          f"{report['events_per_second']:.0f}/s, {report['mbit_per_second']:.0f} Mbit/s  refused {report['refused']}, lost {report['lost']}, retries {report['retries']}  "
          f"RSS {report['central_rss_bytes_max'] / 2**20:.1f} of {report['stated_bytes'] / 2**20:.1f} MiB", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edges", type=int, default=1000)
    parser.add_argument("--few", type=int, default=4)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--payload-bytes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--link-mbit", type=int, default=1000)
    parser.add_argument("--io", default="auto")
    parser.add_argument("--ratio-min", type=float, default=0.9)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    rounds, few_rounds = [], []
    for _ in range(args.rounds):
        for edges, into in ((args.edges, rounds), (args.few, few_rounds)):
            into.append(drain(args.io, edges, args.events, args.payload_bytes, args.link_mbit))
            say(into[-1])
    many, few, allowed, faults = judge(rounds, few_rounds, args.link_mbit, args.ratio_min)
    unit, limit = ("Mbit/s", f"the link's {allowed}") if args.link_mbit else ("events/s", f"the few's {allowed:.0f}")
    print(f"median of {args.rounds}: {args.edges} edges {many:.0f} {unit}, {args.few} edges {few:.0f}: {many / allowed:.2f} of {limit}")
    if args.json:
        args.json.write_text(json.dumps({"many": rounds, "few": few_rounds, "ratio": many / allowed, "faults": faults}))
    for fault in faults:
        print(f"FAIL  {fault}")
    print("FAIL" if faults else "PASS")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
