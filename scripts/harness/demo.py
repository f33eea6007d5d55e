#!/usr/bin/env python3
"""The demo: a month of real events from twelve edges in three regions to one central, with its dashboard, within a minute.

  scripts/demo [--no-faults] [--stay] [--tls] [--rate EVENTS_PER_SECOND] [--io auto|uring|epoll]

An edge is killed and an uplink is cut, both are healed; a source goes mad; a wrong rule is mended and what it set aside is replayed.
The ledger closes in the end: exit 0 only then. --stay: the dashboard stays until Enter or Ctrl-C.
"""
import argparse
import gzip
import sys
import time

import demo_story
import multiset
from cluster import Cluster, input_file

BAR_CELLS = 24
SECONDS = 45  # over which the events are sent, unless --rate says otherwise
COLUMNS = ("offered", "accepted", "duplicates", "rejected", "spooled", "delivered", "dead_lettered", "shed", "expired", "gap", "held")


class Totals:
    """Sums over the edges; of one that is away, what it last said."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.last = {}

    def now(self):
        for edge in self.cluster.edges:
            if edge.process is not None:
                self.last[edge.name] = edge.ledger()
        return {name: sum(row[name] for row in self.last.values()) for name in COLUMNS}


class Progress:
    """A bar on a terminal, a line every few seconds elsewhere; what happens beside it goes above it."""

    def __init__(self, total):
        self.total, self.is_terminal = total, sys.stdout.isatty()
        self.last, self.last_at, self.shown_at = 0, time.monotonic(), 0.0

    def show(self, sums):
        now = time.monotonic()
        rate = (sums["delivered"] - self.last) / max(now - self.last_at, 0.001)
        self.last, self.last_at = sums["delivered"], now
        if not self.is_terminal and now - self.shown_at < 5:
            return
        self.shown_at = now
        cells = min(BAR_CELLS, BAR_CELLS * sums["delivered"] // max(self.total, 1))
        line = (f"  [{'#' * cells}{'.' * (BAR_CELLS - cells)}] {sums['delivered']:>7} of {self.total} delivered  {rate:>7,.0f}/s"
                f"  held at the edges {sums['held']:>6}")
        print(f"\r{line}" if self.is_terminal else line, end="" if self.is_terminal else "\n", flush=True)

    def say(self, text):
        print(f"\r{'':<100}\r* {text}" if self.is_terminal else f"* {text}", flush=True)


def run_story(story, senders, totals, progress):
    """Until everything is sent and every step of the story is over."""
    while any(sender.poll() is None for sender in senders) or not story.is_over():
        is_sent = all(sender.poll() is not None for sender in senders)
        sums = totals.now()
        story.go_on(1.0 if is_sent else sums["delivered"] / max(progress.total, 1))
        progress.show(sums)
        time.sleep(0.5)
    if progress.is_terminal:
        print()


def print_latencies(cluster, reports):
    print("\n  from the producer's write to `delivered` (on the edge's disk and on central's), faults and all:")
    for edge, report in zip(cluster.edges, reports):
        latency = report["latency_us"]
        print(f"  {edge.name:<9} {report['acked']:>7} acked   p50 {latency['p50'] / 1000:8.2f} ms   "
              f"p99 {latency['p99'] / 1000:8.2f} ms   max {latency['max'] / 1000:8.2f} ms")


def print_ledger(cluster, sums):
    rows = cluster.central.ledger()["lanes"]
    stored = sum(row["appended"] for row in rows if row["lane"] != "dead-letters")
    letters = sum(row["appended"] for row in rows if row["lane"] == "dead-letters")
    # Across processes: what the edges were offered must be what central has on its disk, or stand in another column.
    residue = (sums["offered"] - sums["duplicates"] - sums["rejected"] - sums["shed"] - sums["expired"] - sums["gap"]
               - sums["held"] - stored - letters)
    print("\n  ledger                     edges   central's disk")
    for name, there in (("offered", ""), ("accepted", ""), ("delivered", stored), ("dead_lettered", letters),
                        ("duplicates", ""), ("rejected", ""), ("shed", ""), ("expired", ""), ("gap", ""), ("held", "")):
        print(f"  {name.replace('_', '-'):<18} {sums[name]:>13} {there:>16}")
    print(f"  {'residue':<18} {residue:>13}")
    return residue


def stay(address):
    print(f"demo: the dashboard stays at {address} until Enter or Ctrl-C", flush=True)
    try:
        if sys.stdin.readline() == "":  # no terminal: until a signal
            while True:
                time.sleep(3600)
    except KeyboardInterrupt:
        print()


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--io", default="auto")
    args.add_argument("--rate", type=int, help="events per second over all edges; 0: as fast as it goes")
    args.add_argument("--tls", action="store_true", help="TLS with certificates of scripts/certs on every connection of edges and producers")
    args.add_argument("--faults", action=argparse.BooleanOptionalAction, default=True)
    args.add_argument("--stay", action="store_true")
    args = args.parse_args()
    source = input_file()
    # Replay of dead letters speaks plain TCP only: under TLS no rule is wrong.
    has_wrong_rule = args.faults and not args.tls
    cluster = Cluster(demo_story.edge_names(), io=args.io, is_tls=args.tls, edge_extra=demo_story.edge_texts(has_wrong_rule),
                      central_extra=demo_story.CENTRAL)
    address = f"http://127.0.0.1:{cluster.central.admin_port}/"
    print(f"demo: the dashboard is at {address}", flush=True)
    demo_story.tell_central_of_edges(cluster, args.tls)
    with gzip.open(source, "rb") as lines:
        total = demo_story.with_burst(lines, cluster.directory / "input.ndjson")
    parts = cluster.split_input(cluster.directory / "input.ndjson")
    progress = Progress(total)
    story = demo_story.Story(cluster, progress.say, args.faults, has_wrong_rule)
    with cluster:
        print(f"demo: {total} events from {source.name}, {len(cluster.edges)} edges in {len(demo_story.REGIONS)} regions, one central, all on loopback"
              + (", TLS 1.3 everywhere" if args.tls else ""), flush=True)
        rate = args.rate if args.rate is not None else max(total // SECONDS, 1)
        senders = [cluster.send(i, part, producer=f"gateway-{edge.name}", rate=max(rate // len(parts), 1) if rate else None)
                   for i, (edge, part) in enumerate(zip(cluster.edges, parts))]
        totals = Totals(cluster)
        run_story(story, senders, totals, progress)
        reports = cluster.finish(senders, may_be_rejected=has_wrong_rule)
        cluster.wait_until_delivered()
        print_latencies(cluster, reports)
        residue = print_ledger(cluster, totals.now())
        print()
        same = multiset.report(multiset.compare(parts, [cluster.central_events()]))
        cluster.verify_journals()
        good = same and residue == 0
        print("demo: every event is where it should be" if good else "demo: SOMETHING IS WRONG", flush=True)
        if args.stay:
            stay(address)
        for daemon in [*cluster.edges, cluster.central]:
            daemon.stop()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
