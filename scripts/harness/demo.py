#!/usr/bin/env python3
"""The demo: three regions send a month of real events through their edges to one central; the ledger closes at the end.

  scripts/demo [--io auto|uring|epoll] [--rate EVENTS_PER_SECOND]
"""
import argparse
import sys
import time

import multiset
from cluster import Cluster, get_json, input_file

BAR_CELLS = 30


def totals(cluster):
    rows = [edge.ledger() for edge in cluster.edges]
    return {name: sum(row[name] for row in rows) for name in
            ("offered", "accepted", "duplicates", "rejected", "spooled", "delivered", "dead_lettered", "shed", "expired",
             "gap", "held")}


def central_rows(cluster):
    answer = get_json(cluster.central.admin_port, "/api/v1/ledger")
    return answer["lanes"] if isinstance(answer, dict) else answer


def show_progress(cluster, senders, total):
    terminal = sys.stdout.isatty()
    last, last_at = 0, time.monotonic()
    while any(sender.poll() is None for sender in senders):
        time.sleep(0.5)
        now, sums = time.monotonic(), totals(cluster)
        rate = (sums["delivered"] - last) / (now - last_at)
        last, last_at = sums["delivered"], now
        cells = min(BAR_CELLS, BAR_CELLS * sums["delivered"] // max(total, 1))
        line = (f"  [{'#' * cells}{'.' * (BAR_CELLS - cells)}] {sums['delivered']:>7} of {total} delivered   "
                f"{rate:>8,.0f} events/s   held at the edges {sums['held']:>6}")
        print(f"\r{line}" if terminal else line, end="" if terminal else "\n", flush=True)
    if terminal:
        print()


def print_ledger(cluster, sums):
    rows = central_rows(cluster)
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


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--io", default="auto")
    args.add_argument("--rate", type=int, default=20_000, help="events per second over all edges; 0 = as fast as it goes")
    args.add_argument("--tls", action="store_true", help="TLS with certificates of scripts/certs on every connection")
    args = args.parse_args()
    source = input_file()
    with Cluster(["north", "center", "south"], io=args.io, is_tls=args.tls) as cluster:
        parts = cluster.split_input(source)
        total = sum(sum(1 for _ in open(part, "rb")) for part in parts)
        print(f"demo: {total} events from {source.name}, three edges (north, center, south), one central, all on loopback"
              + (", TLS 1.3 everywhere" if args.tls else ""))
        senders = [cluster.send(i, part, producer=f"region-{i}", rate=args.rate // len(parts) if args.rate else None)
                   for i, part in enumerate(parts)]
        show_progress(cluster, senders, total)
        reports = cluster.finish(senders)
        cluster.wait_until_delivered()
        print("\n  from the producer's write to `delivered` (on the edge's disk and on central's):")
        for edge, report in zip(cluster.edges, reports):
            latency = report["latency_us"]
            print(f"  {edge.name:<8} {report['acked']:>7} acked   p50 {latency['p50'] / 1000:8.2f} ms   "
                  f"p99 {latency['p99'] / 1000:8.2f} ms   max {latency['max'] / 1000:8.2f} ms")
        residue = print_ledger(cluster, totals(cluster))
        print()
        same = multiset.report(multiset.compare(parts, [cluster.central_events()]))
        cluster.verify_journals()
        for daemon in [*cluster.edges, cluster.central]:
            daemon.stop()
    good = same and residue == 0
    print("demo: every event is where it should be" if good else "demo: SOMETHING IS WRONG")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
