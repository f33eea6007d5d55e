#!/usr/bin/env python3
"""Sends real events through three edges and compares central's journal with the input as multisets; then sends them again,
which must change nothing.

  scripts/roundtrip [--io auto|uring|epoll] [--events N|all] [--once]
"""
import argparse
import sys

import multiset
from cluster import Cluster, input_file


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--io", default="auto")
    args.add_argument("--events", default="all")
    args.add_argument("--once", action="store_true", help="do not send everything a second time")
    args = args.parse_args()
    count = None if args.events == "all" else int(args.events)
    with Cluster(["north", "center", "south"], io=args.io) as cluster:
        parts = cluster.split_input(input_file(), count)
        for turn in range(1 if args.once else 2):
            reports = cluster.finish([cluster.send(i, part) for i, part in enumerate(parts)])
            acked = sum(report["acked"] for report in reports)
            seconds = max(report["seconds"] for report in reports)
            print(f"turn {turn + 1}: io={args.io} acked {acked} as delivered in {seconds:.2f} s", flush=True)
            if not multiset.report(multiset.compare(parts, [cluster.central_events()])):
                raise RuntimeError("the journal does not equal the input")
        duplicates = sum(edge.ledger()["duplicates"] for edge in cluster.edges)
        print(f"duplicates recognised by the edges: {duplicates}")
        cluster.verify_journals()
        cluster.audit()
        for daemon in [*cluster.edges, cluster.central]:
            daemon.stop()
        cluster.audit()
    print("roundtrip: PASS")
    return 0


if __name__ == "__main__":
    sys.exit(main())
